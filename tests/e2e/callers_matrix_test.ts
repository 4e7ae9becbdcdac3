/**
 * What every kind of caller gets from every endpoint, held to the second table of docs/security.md. The operations are found
 * from the declarations; each is asked a well-formed request, so that only the caller decides.
 */
import assert from "node:assert/strict";
import { isErrorCode } from "../../supabase/functions/_shared/errors/error-codes.ts";
import { deviceToken } from "../../local/simulators/device-check.ts";
import { declaredOperations } from "../contract/generate-openapi.ts";
import { type CallerKind, readAnswers } from "../security-document.ts";
import { type Answer, assertError } from "./support/answer.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";
import { badCredentials } from "./support/bad-credentials.ts";
import { ended, generate, kling, priceOfKling, submissionIs } from "./support/videos.ts";

const operations = [...await declaredOperations()].flatMap(([name, declarations]) =>
  declarations.map(({ method, auth, idempotencyKey }) => ({ name, method, auth, idempotencyKey }))
);
const answers = await readAnswers();

let backend: Backend;
Deno.test.beforeAll(async () => {
  backend = await startBackend();
});
Deno.test.afterAll(() => backend[Symbol.asyncDispose]());

interface Request {
  query?: string;
  body?: unknown;
}

/** A well-formed request to each operation, about something that is `guest`'s where it is about somebody's. */
const requests: Record<string, (guest: Guest) => Request | Promise<Request>> = {
  "POST device-check": () => ({ body: { device_token: deviceToken(crypto.randomUUID()) } }),
  "GET models": () => ({}),
  "POST generate-video": () => ({ body: { model_id: kling, prompt: "A fox in the snow" } }),
  "GET video-status": async (guest) => ({ query: `?job_id=${await endedJob(guest)}` }),
  "GET video-jobs": () => ({}),
  "POST cancel-video": async (guest) => ({ body: { job_id: await runningJob(guest) } }),
  "DELETE delete-video-job": async (guest) => ({ query: `?job_id=${await endedJob(guest)}` }),
  "GET credits": () => ({}),
  "GET user-profile": () => ({}),
  "PATCH user-profile": () => ({ body: { display_name: "Ada" } }),
  "DELETE user-profile": () => ({}),
  "POST admin-refund-credits": async () => ({
    body: { user_id: await somebody(), amount: 1, reason: "A test" },
  }),
  "POST admin-adjust-credits": async () => ({
    body: { user_id: await somebody(), amount: 1, reason: "A test" },
  }),
  "PATCH admin-models": () => ({ body: { model_id: kling, is_available: true, reason: "A test" } }),
  "GET admin-users": async () => ({ query: `?user_id=${await somebody()}` }),
  "POST admin-users": async () => ({ body: { user_id: await somebody(), action: "ban", reason: "A test" } }),
  "POST provider-webhook": () => ({
    query: `?owner=${crypto.randomUUID()}&provider=fal&submission_id=${crypto.randomUUID()}&token=${
      "a".repeat(43)
    }`,
    body: {},
  }),
  "POST process-jobs": () => ({}),
  "GET health": () => ({}),
};

async function endedJob(guest: Guest): Promise<string> {
  const { job_id } = await generate(guest);
  await ended(backend, guest, job_id);
  return job_id;
}

async function runningJob(guest: Guest): Promise<string> {
  await backend.stack.simulators.fal.control.rules({ outcome: "never" });
  const { job_id } = await generate(guest);
  await submissionIs(backend, job_id, "accepted");
  return job_id;
}

/** Whom an admin acts upon. */
async function somebody(): Promise<string> {
  return (await backend.signIn(1)).id;
}

/** The tokens that are none of a user's; several may be of one kind. */
const badTokens: Partial<Record<CallerKind, string[]>> = {
  "forged": [
    "a token signed with another key",
    "a token unsigned",
    "a token signed with the public key as a secret",
  ],
  "expired": ["a token expired", "a token without an end"],
  "audience": ["a token for another audience", "a token without an audience"],
  "issuer": ["a token of another issuer", "a token without an issuer"],
  "role": ["a token for the role anon", "a token for the role service_role", "a token without a role"],
};

/** What the columns of users change in their rows. */
const userColumns: Partial<Record<CallerKind, Record<string, unknown>>> = {
  "guest": {},
  "user": {},
  "suspended": { is_banned: true },
  "closed": { closed_at: new Date() },
  "admin": { is_admin: true },
};

/** The guest links an identity: from then on their token says that they are none. */
async function linkIdentity(guest: Guest): Promise<string> {
  await backend.database.sql`
    update auth.users set is_anonymous = false, email = ${`${guest.id}@example.com`} where id = ${guest.id}`;
  const { data: { session }, error } = await guest.supabase.auth.refreshSession();
  assert(session, `No session: ${error?.message}`);
  return session.access_token;
}

/** Every set of credentials that a caller of this kind has, and the request that they send with it. */
async function callsOf(
  operation: string,
  caller: CallerKind,
): Promise<{ what: string; headers: Record<string, string>; request: Request }[]> {
  const { publishableKey, secretKey } = backend.stack;
  const guest = await backend.signIn(priceOfKling);
  // Jobs are made before an account is suspended.
  const request = await requests[operation]?.(guest);
  assert(request, `Write here what a well-formed request to ${operation} is`);
  const columns = userColumns[caller];
  if (columns !== undefined) {
    const token = caller === "guest" ? guest.token : await linkIdentity(guest);
    const row = { id: guest.id, ...columns };
    const { sql } = backend.database;
    await sql`insert into accounts.users ${sql(row)} on conflict (id) do update set ${sql(row)}`;
    return [{ what: caller, headers: { apikey: publishableKey, authorization: `Bearer ${token}` }, request }];
  }
  const tokens = badTokens[caller];
  if (tokens === undefined) {
    const headers: Record<string, string> = caller === "secret key" ? { apikey: secretKey } : {};
    return [{ what: caller, headers, request }];
  }
  const credentials = await badCredentials(backend, guest, "user");
  return tokens.map((what) => {
    const headers = credentials[what];
    assert(headers, what);
    return { what, headers, request };
  });
}

Deno.test("every operation has its row in docs/security.md, and every row its operation", () => {
  const declared = new Set(operations.map(({ name, method }) => `${method} ${name}`));
  const written = new Set(answers.keys());
  assert.deepEqual(
    {
      "add it to docs/security.md": [...declared.difference(written)],
      "docs/security.md has it, no endpoint does": [...written.difference(declared)],
    },
    { "add it to docs/security.md": [], "docs/security.md has it, no endpoint does": [] },
  );
});

for (const { name, method, idempotencyKey } of operations) {
  const operation = `${method} ${name}`;
  // Refusals first: from then on an isolate may have the catalogue in its memory.
  const row = [...answers.get(operation) ?? []].sort(([, one], [, other]) => other - one);
  for (const [caller, expected] of row) {
    Deno.test(`${operation}: ${caller} gets ${expected}`, async () => {
      for (const { what, headers, request: { query = "", body } } of await callsOf(operation, caller)) {
        const answer: Answer = await backend.call(`${name}${query}`, {
          method,
          headers: {
            ...headers,
            ...(idempotencyKey === undefined ? {} : { "idempotency-key": crypto.randomUUID() }),
            ...(body === undefined ? {} : { "content-type": "application/json" }),
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        const code = `ERR_${expected}`;
        if (isErrorCode(code)) assertError(answer, code, what);
        else assert.deepEqual([what, answer.status], [what, expected], JSON.stringify(answer.body));
      }
    });
  }
}
