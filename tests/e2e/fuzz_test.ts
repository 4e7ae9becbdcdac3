/**
 * Whatever is sent to an endpoint: it answers in the contract's form and in the language asked for, tells nothing about its
 * inside, and is never at fault. Requests are made from each operation's own schemas, and broken.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import * as z from "zod";
import { cacheControlOf } from "../../supabase/functions/_shared/endpoint/answer-memory.ts";
import { errorCodes } from "../../supabase/functions/_shared/errors/error-codes.ts";
import { type Declaration, errorsOf } from "../../supabase/functions/_shared/endpoint/operation.ts";
import { Project } from "../../supabase/functions/_shared/videos/contract.ts";
import { webhookToken } from "../../supabase/functions/_shared/videos/providers/webhook-token.ts";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { allOperations, type Operation } from "../operations.ts";
import { propertyOptions } from "../runs.ts";
import { type Answer, assertError, bodyOf, readAnswer } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { credentialsFor } from "./support/credentials.ts";
import { deadTask } from "./support/example-requests.ts";
import { type Known } from "./support/json-schema-arbitrary.ts";
import { everyOddRequest, type OddRequest, oddRequests } from "./support/odd-requests.ts";
import { sign } from "./support/fal-webhook.ts";
import { sendUpload } from "./support/uploads.ts";
import { ended, generate, kling } from "./support/videos.ts";

const backend = shared(() => startBackend({ trustClientAddress: true }));
/** Who calls; another one as soon as they may not any more, having closed their account. */
let guest: Guest;
let other: Guest;
let admin: Guest;
/** Whom admins act upon. */
let customer: Guest;
let secrets: string[];

Deno.test.beforeAll(async () => {
  const { database: { sql }, keys } = backend;
  // Which limits apply, others test; here they would answer before what is tried.
  await sql`update guard.policies set max_hits = 300, window_seconds = 1`;
  // A video that is never made stays of each operation; and what is spent on all of them is bounded, too.
  await sql`update videos.providers set max_in_flight = 1000, daily_cap_cents = null`;
  admin = await backend.signInAdmin();
  customer = await backend.signIn(1_000);
  secrets = secretsIn({ ...keys, publishableKey: null });
});

/** What there is in the backend, so that requests get further than their form. Some of it they use up. */
async function knownValues(): Promise<Known> {
  // Those before may have closed their account, or be suspended.
  [guest, other] = await Promise.all([backend.signIn(1_000), backend.signIn(1_000)]);
  const neverMade = "A fox that nobody sees";
  await backend.stack.simulators.fal.control.rules({ prompt: neverMade, outcome: "never" });
  const [project, theirs] = await Promise.all(
    [guest, other].map(async (caller) =>
      bodyOf(await caller.call("projects", { body: { name: "A project" } }), 201, Project).project_id
    ),
  );
  const uploads = await Promise.all(
    [guest, guest, await backend.signIn()].map((caller) => sendUpload(caller)),
  );
  const [completed, pending, others] = await Promise.all([
    generate(guest),
    generate(guest, neverMade),
    generate(other),
  ]);
  await ended(backend, guest, completed.job_id);
  for (const { job_id } of [completed, others]) {
    await guest.call("reports", { body: { job_id, reason: "hate" } });
  }
  const cases = await backend.database.sql<{ id: string }[]>`
    select c.id from safety.cases as c order by c.id desc limit 2`;
  const { webhookId, deliveryId } = await knownWebhook();
  const [submission] = await backend.database.sql<{ id: string; owner: string }[]>`
    select s.id, u.reference as owner
    from videos.submissions as s join accounts.users as u on u.id = s.owner_id
    where s.job_id = ${pending.job_id}`;
  assert(submission);
  return {
    job_id: [completed.job_id, pending.job_id, others.job_id],
    cursor: (await Promise.all(
      allOperations.filter(({ isPaged }) => isPaged).map((list) => secondPage(list, webhookId)),
    )).flat(),
    user_id: [other.id, guest.id],
    model_id: [kling],
    project_id: [project, theirs],
    case_id: cases.map(({ id }) => id),
    webhook_id: [webhookId],
    delivery_id: [deliveryId],
    task_id: [await deadTask(backend), await deadTask(backend)],
    url: ["https://hooks.example.com/", "http://127.0.0.1:9/"],
    types: ["video.*", "#"],
    prompt: ["A fox in the snow", "🦊\n\tKar"],
    duration_seconds: [5],
    resolution: ["1080p"],
    aspect_ratio: ["16:9"],
    image_url: ["https://images.example.com/fox.png"],
    upload_id: uploads.map(({ upload_id }) => upload_id),
    content_type: ["image/jpeg"],
    bytes: [1000],
    device_token: Array.from({ length: 100 }, (_, index) => deviceToken(`a phone ${index}`)),
    provider: ["fal"],
    owner: [submission.owner],
    submission_id: [submission.id],
    token: [webhookToken(backend.keys.webhookSecret, "fal", submission.id)],
  };
}

/** One of the few that there may be, with two deliveries. */
async function knownWebhook(): Promise<{ webhookId: string; deliveryId: string }> {
  const webhookId = crypto.randomUUID();
  const { sql } = backend.database;
  await sql`delete from webhooks.webhooks`;
  await sql`select webhooks.add(${webhookId}, 'https://hooks.example.com/', '{account.closed}', 'v1.eA==')`;
  const told = await sql<{ id: string }[]>`
    select events.tell('webhook.test', '{}', 'webhook', ${webhookId}) as id from generate_series(1, 2)`;
  return { webhookId, deliveryId: told[0]?.id ?? "" };
}

/** Where a list of the guest's, of an admin's or of a webhook's goes on after its first entry, if it has more. */
async function secondPage({ name, auth }: Operation, webhookId: string): Promise<string[]> {
  const page = z.object({ next_cursor: z.string().nullable() });
  const caller = auth === "admin" ? admin : guest;
  const of = name === "admin-webhook-deliveries" ? `&webhook_id=${webhookId}` : "";
  const { next_cursor } = bodyOf(await caller.call(`${name}?limit=1${of}`), 200, page);
  return next_cursor === null ? [] : [next_cursor];
}

/** What admins change here, and nobody else needs. */
const knownToAdmins = () => ({
  user_id: [customer.id, admin.id],
  model_id: ["0190a000-0000-7000-8000-000000000002"],
  action: ["ban", "unban", "hold", "lift_hold"],
  amount: [1, 10],
  reason: ["A test"],
});

/** Every text in it that is too long to stand in an answer by chance. */
function secretsIn(value: unknown): string[] {
  if (typeof value === "string") return value.length >= 10 ? [value] : [];
  if (typeof value !== "object" || value === null) return [];
  // What a public key has as well is no secret.
  return Object.entries(value).flatMap(([name, member]) => /^(kid|x|y)$/.test(name) ? [] : secretsIn(member));
}

async function send(place: string, { method, auth }: Declaration, { query, headers, body }: OddRequest) {
  const isSigned = auth === "signed" && body !== null && body.bytes.length % 2 === 0;
  const signature = isSigned
    ? await sign(backend, new TextDecoder().decode(body.bytes), { requestId: crypto.randomUUID() })
    : {};
  const bytes = body?.inPieces ? inPieces(body.bytes) : body?.bytes;
  const response = await fetch(`${backend.stack.url}/functions/v1/${place}${query}`, {
    method,
    headers: {
      ...signature,
      ...headers,
      ...body?.headers,
      ...credentialsFor(backend, auth === "admin" ? admin : guest, auth),
    },
    ...(bytes ? { body: bytes } : {}),
  });
  return await readAnswer(response);
}

function inPieces(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const pieces = Array.from({ length: 7 }, (_, index) => {
    const size = Math.ceil(bytes.length / 7);
    return bytes.slice(index * size, (index + 1) * size);
  });
  return ReadableStream.from(pieces.filter((piece) => piece.length > 0));
}

/** What only somebody who looks inside could know. */
const inside =
  /\.ts\b|\bat \w+ \(|file:\/\/|node_modules|\bsql\b|\bselect\b.*\bfrom\b|sqlstate|pgrst|postgres|constraint "|relation "|column "|function \w+\.|127\.0\.0\.1:\d+\/rest/i;

function assertWellBehaved(operation: Declaration, request: OddRequest, answer: Answer): void {
  const { status, headers } = answer;
  const body = JSON.stringify(answer.body);
  const what = `${status} ${body}`;
  assert(status < 500, what);

  const told = `${body} ${JSON.stringify([...headers])}`;
  for (const secret of secrets) assert(!told.includes(secret), `a secret in ${what}`);

  assert.equal(headers.get("cache-control"), status < 400 ? cacheControlOf(operation.cache) : "no-store");
  const always = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'",
    "referrer-policy": "no-referrer",
    "access-control-allow-origin": "*",
  };
  for (const [name, value] of Object.entries(always)) assert.equal(headers.get(name), value);
  assert.match(headers.get("strict-transport-security") ?? "", /^max-age=\d{8}/);
  const own = request.headers["x-request-id"] ?? "";
  const form = /^[A-Za-z0-9._-]{8,64}$/;
  assert.match(headers.get("x-request-id") ?? "", form);
  if (form.test(own)) assert.equal(headers.get("x-request-id"), own);
  if (request.language !== null) assert.equal(headers.get("content-language"), request.language);

  if (status < 400) {
    assert(status in operation.response, what);
    return;
  }
  const { code, details } = assertError(answer, null, what);
  assert(errorsOf(operation).some((declared) => declared === code), `${code} is not declared`);
  assert.equal(
    headers.get("retry-after"),
    details.retry_after === undefined ? null : `${details.retry_after}`,
  );
  // What the caller sent may come back as a field's name.
  assert.doesNotMatch(`${told}`.replaceAll(/"path":"(?:[^"\\]|\\.)*"/g, ""), inside);
}

/** A body that the schema refuses is refused by its form, whatever else is said about it. */
function assertRefused({ request }: Declaration, { body }: OddRequest, answer: Answer): void {
  if (!request || !body || !("value" in body) || request.safeParse(body.value).success) return;
  assert(answer.status < 500 && answer.status >= 400, `accepted: ${JSON.stringify(answer.body)}`);
}

for (const operation of allOperations) {
  const { place, request, rawBody } = operation;

  Deno.test(`${operation.operation} answers anything in the contract's form, and is never at fault`, async () => {
    const known = await knownValues();
    const theirs = operation.auth === "admin" ? { ...known, ...knownToAdmins() } : known;
    const property = fc.asyncProperty(oddRequests(operation, theirs), async (request) => {
      const answer = await send(place, operation, request);
      assertWellBehaved(operation, request, answer);
      assertRefused(operation, request, answer);
      if (answer.status === errorCodes.ERR_4005.status) guest = await backend.signIn(1_000);
    });
    const examples = request || rawBody ? everyOddRequest : [];
    await fc.assert(property, { ...propertyOptions(12, 200), examples: [...examples] });
  });
}

Deno.test("nothing of it was unexpected, and the credits are where they belong", async () => {
  const log = await Deno.readTextFile(backend.stack.logs.functions);
  const lines = log.split("\n").filter((line) => line !== "");
  assert.deepEqual(lines.filter((line) => !line.startsWith("{") || line.includes('"level":"critical"')), []);
  await backend.proveLedger();
});
