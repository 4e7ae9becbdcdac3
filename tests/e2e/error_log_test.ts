/** What goes wrong with a request, or with the work after it, is in the error log, whoever was answered what. */
import assert from "node:assert/strict";
import { eventually } from "./eventually.ts";
import { errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { generate, kling, priceOfKling } from "./support/videos.ts";

const backend = shared(startBackend);
let guest: Guest;

Deno.test.beforeAll(async () => {
  guest = await backend.signIn(10 * priceOfKling);
});

interface Entry {
  code: string;
  severity: string;
  endpoint: string;
  user_id: string | null;
  context: { error: { message: string; stack: string } };
}

/** The error that a request left. */
async function errorOfRequest(requestId: string): Promise<Entry> {
  return await eventually(`the error of ${requestId}`, async () => {
    const [row] = await backend.database.sql<Entry[]>`
      select code, severity, endpoint, user_id, context from ops.error_log where request_id = ${requestId}`;
    return row;
  });
}

Deno.test("an accident in a procedure is recorded with its cause, which its caller is not told", async () => {
  const { sql } = backend.database;
  const requestId = crypto.randomUUID();
  // With the arguments that it has, so that this takes its place and is no second one of its name.
  const [models] = await sql<{ definition: string; arguments: string }[]>`
    select
      pg_get_functiondef('api.models'::regproc) as definition,
      pg_get_function_arguments('api.models'::regproc) as arguments`;
  assert(models);
  await sql.unsafe(`
    create or replace function api.models(${models.arguments}) returns jsonb language plpgsql as $$
    begin raise exception 'broken for %', 'jane@example.com'; end $$`);
  const answer = await guest.call("models", { headers: { "x-request-id": requestId } });
  await sql.unsafe(models.definition);
  assert.deepEqual(errorOf(answer, "ERR_6003").details, {});
  const { context, ...error } = await errorOfRequest(requestId);
  assert.deepEqual(error, {
    code: "ERR_6003",
    severity: "critical",
    endpoint: "models",
    user_id: guest.id,
  });
  assert.match(context.error.message, /^models: P0001 broken for \[redacted\]$/);
  // By the name of a function of call.ts: in a bundle, a file's name is not its source's.
  assert.match(context.error.stack, /^ +at accident \(/m);
});

Deno.test("work that fails after the answer is recorded under the request that began it", async () => {
  const { sql } = backend.database;
  await sql`alter function api.claim_submission rename to hidden`;
  const { job_id } = await generate(guest, "Submitted by nobody");
  const [job] = await sql<{ request_id: string }[]>`
    select request_id from videos.jobs where id = ${job_id}`;
  const error = await errorOfRequest(job?.request_id ?? "");
  await sql`alter function api.hidden rename to claim_submission`;
  assert.deepEqual([error.code, error.endpoint, error.user_id], ["ERR_6003", "generate-video", guest.id]);
  assert.match(error.context.error.message, /claim_submission/);
});

Deno.test("what is switched off is recorded, and is nobody's alarm", async () => {
  const { sql } = backend.database;
  const requestId = crypto.randomUUID();
  await sql`update ops.feature_flags set is_enabled = false where key = 'generation'`;
  const body = { model_id: kling, prompt: "Switched off" };
  const answer = await guest.call("generate-video", {
    body,
    key: requestId,
    headers: { "x-request-id": requestId },
  });
  await sql`update ops.feature_flags set is_enabled = true where key = 'generation'`;
  assert.deepEqual(errorOf(answer, "ERR_6004").details, { feature: "generation", retry_after: 300 });
  assert.equal((await errorOfRequest(requestId)).severity, "info");
});
