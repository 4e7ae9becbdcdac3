/** The endpoints without their database: each says so at once, nothing is lost, and all of it goes on afterwards. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { withConnection } from "../../local/postgres/database.ts";
import { startStack } from "../../local/stack.ts";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";
import { HealthResponse } from "../../supabase/functions/health/schema.ts";
import { VideoStatusResponse } from "../../supabase/functions/video-status/schema.ts";
import { operationsBut } from "../operations.ts";
import { eventually } from "./eventually.ts";
import { type Answer, bodyOf, errorOf, readAnswer } from "./support/answer.ts";
import { signIn, signInWithPassword } from "./support/backend.ts";
import { exampleRequest, signedByApple } from "./support/example-requests.ts";
import { startPace } from "./support/pace.ts";
import { kling, priceOfKling, requestOf, submissionsOf } from "./support/videos.ts";

/** Operations that are not asked as the others are, and why. */
const otherwise: Readonly<Record<string, string>> = {
  "GET health": "tells that it is unhealthy",
  "GET metrics": "has a key of its own",
  "POST process-jobs": "answers before it asks the database",
  "POST provider-webhook": "is called by the provider, whose delivery is looked at",
};

/** What a caller waits at most, in milliseconds. */
const patience = 3_000;

Deno.test("while the database is away every endpoint answers ERR_6001 at once, and afterwards nothing is lost or done twice", async () => {
  const dataDirectory = await Deno.makeTempDir();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(dataDirectory, { recursive: true }));
  // Postgres runs under an account of its own where we are root, and must get in.
  await Deno.chmod(dataDirectory, 0o711);
  const stack = cleanup.use(
    await startStack({
      dataDirectory,
      tickMilliseconds: 1_000,
      fal: { queueMilliseconds: 0, runMilliseconds: 0, webhookRetryMilliseconds: 100 },
    }),
  );
  const ask = <Row>(query: (sql: postgres.Sql) => Promise<Row[]>) => withConnection(stack.databaseUrl, query);

  const guest = await signIn(stack);
  await ask((sql) => sql`select credits.add_credits(${guest.id}, ${3 * priceOfKling}, 'for a test')`);
  const admin = await signInWithPassword(stack);
  await ask((sql) => sql`select ops.make_admin(${admin.id})`);
  const act = { user_id: guest.id, reason: "A test" };
  const refund = () => admin.call("admin-refund-credits", { body: { ...act, amount: 1 }, key: "one-credit" });
  const generate = (prompt: string) =>
    guest.call("generate-video", { body: { model_id: kling, prompt }, key: prompt.replaceAll(" ", "-") });
  const metrics = () =>
    fetch(`${stack.url}/functions/v1/metrics`, { headers: { apikey: stack.secretKey } }).then(readAnswer);
  const { control } = stack.simulators.fal;
  // It is made while the database is away.
  await control.rules({ prompt: "Accepted before", runMilliseconds: 60_000 });
  const before = bodyOf(await generate("Accepted before"), 202, AcceptedVideo);
  await eventually("the provider has it", async () => {
    const [row] = await ask((sql) =>
      sql<{ state: string }[]>`select state from videos.submissions where job_id = ${before.job_id}`
    );
    return row?.state === "accepted" || undefined;
  });

  // Nobody is told of what is only signed: while the database is away, the store's own notifications are others.
  const signed = { ...await signedByApple(stack), guestToken: (await signIn(stack)).token };
  await stack.database.stop();
  await control.elapse(60_000);
  await using pace = startPace(() => guest.call("nowhere"));
  const timed = async (call: Promise<Answer>): Promise<Answer> => {
    const startedAt = performance.now();
    const answer = await call;
    const milliseconds = performance.now() - startedAt;
    assert(milliseconds < pace.limit(patience), `An answer took ${Math.round(milliseconds)} ms`);
    return answer;
  };
  const asked = operationsBut(otherwise);
  const answers = await Promise.all([
    // What is asked again afterwards, with the same key.
    timed(generate("Asked meanwhile")),
    timed(refund()),
    timed(guest.call("device-check", { body: { device_token: deviceToken("a phone") } })),
    timed(metrics()),
    ...asked.map((operation) => {
      const { query, body } = exampleRequest(operation, { user: guest.id, job: before.job_id, ...signed });
      const { place, method, auth, idempotencyKey } = operation;
      const key = idempotencyKey === undefined ? {} : { key: crypto.randomUUID() };
      return timed((auth === "admin" ? admin : guest).call(`${place}${query}`, { method, body, ...key }));
    }),
  ]);
  for (const answer of answers) {
    assert.equal(answer.status, 503);
    assert.deepEqual(errorOf(answer, "ERR_6001").details, { retry_after: 2 });
  }
  const health = () => fetch(`${stack.url}/functions/v1/health`).then(readAnswer);
  assert.equal(bodyOf(await timed(health()), 503, HealthResponse).status, "unhealthy");
  const { devices } = await stack.simulators.deviceCheck.control.report();
  assert.deepEqual(devices, {}, "no device is marked for credits that nobody can grant");
  await eventually("the provider's webhook is not taken", async () => {
    const { deliveries } = await control.report();
    return deliveries.some(({ state, lastStatus }) => state === "due" && lastStatus === 503) || undefined;
  });

  await stack.database.start();
  // The same key: what was asked meanwhile was not done, and is now.
  const meanwhile = bodyOf(await generate("Asked meanwhile"), 202, AcceptedVideo);
  for (const { job_id } of [before, meanwhile]) {
    await eventually(`${job_id} is completed`, async () => {
      const [row] = await ask((sql) =>
        sql<{ status: string }[]>`select status from videos.jobs where id = ${job_id}`
      );
      return row?.status === "completed" || undefined;
    });
    const job = bodyOf(await guest.call(`video-status?job_id=${job_id}`), 200, VideoStatusResponse);
    assert(job.video_url);
  }
  const report = await control.report();
  for (const prompt of ["Accepted before", "Asked meanwhile"]) {
    assert.equal(submissionsOf(report, prompt).length, 1);
    assert(requestOf(report, prompt));
  }
  const check = await guest.call("device-check", { body: { device_token: deviceToken("a phone") } });
  assert.partialDeepStrictEqual(check.body, {
    credits_remaining: priceOfKling + 10,
    initial_grant: { status: "granted", credits: 10 },
  });
  assert.equal((await guest.call("models")).status, 200);
  assert.partialDeepStrictEqual((await refund()).body, { success: true, new_balance: priceOfKling + 11 });
  assert.equal((await ask((sql) => sql`select * from credits.reconcile(true)`)).length, 0);
  await eventually("it is healthy again", async () => (await health()).status === 200 || undefined);
});
