/** A video's whole path at each provider but fal, which has tests of its own, with a model that names the provider. */
import assert from "node:assert/strict";
import { type Stack, startStack } from "../../local/stack.ts";
import { testDatabase } from "../database/harness.ts";
import { startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { ended, generate, kling, priceOfKling, submissionIs } from "./support/videos.ts";

const quick = { queueMilliseconds: 0, runMilliseconds: 0 };
const backend = shared(() => startBackend({ replicate: quick, runway: quick }));

/** Lets the model of the tests be made by this provider alone. */
async function letBeMadeBy(provider: string, providerModel: string): Promise<void> {
  await backend.database.sql`
    update videos.model_providers set provider = ${provider}, provider_model = ${providerModel}
    where model_id = ${kling}`;
}

Deno.test("a video that Replicate makes is completed by its webhook", async () => {
  await letBeMadeBy("replicate", "kwaivgi/kling-v2.5-turbo-pro");
  const { control } = backend.stack.simulators.replicate;
  await control.rules({ runMilliseconds: 60_000 });
  const guest = await backend.signIn(priceOfKling);
  const { job_id } = await generate(guest, "A heron in the reeds");
  // Its webhook comes when its id is recorded.
  await submissionIs(backend, job_id, "accepted");
  await control.elapse(60_000);
  assert.equal((await ended(backend, guest, job_id)).status, "completed");
  const events = await backend.database.sql`
    select e.effect, s.state
    from videos.submissions as s
    join videos.provider_events as e on e.submission_id = s.id
    where s.job_id = ${job_id} and s.provider = 'replicate'`;
  assert.deepEqual([...events], [{ effect: "applied", state: "ended" }]);
  assert.equal(await backend.balanceOf(guest), 0);
});

Deno.test("a video that Runway makes is completed by polls", async () => {
  await letBeMadeBy("runway", "veo3.1");
  const { control } = backend.stack.simulators.runway;
  // What the model of the tests asks for is nothing that Runway has: 5 s. So it refuses, and the credits come back.
  const refused = await backend.signIn(priceOfKling);
  const refusedJob = await generate(refused, "A heron that takes off");
  assert.equal((await ended(backend, refused, refusedJob.job_id)).status, "failed");
  assert.equal(await backend.balanceOf(refused), priceOfKling);
  assert.deepEqual((await control.report()).jobs, []);

  const { sql } = backend.database;
  await sql`
    update videos.models
    set options = jsonb_set(options, '{duration_seconds}', '{"values": [8], "default": 8}')
    where id = ${kling}`;
  const guest = await backend.signIn(priceOfKling);
  const { job_id } = await generate(guest, "A heron that lands");
  await submissionIs(backend, job_id, "accepted");
  // Runway is asked 5 s later for the first time.
  await backend.database.advance(5_000);
  await backend.stack.tick();
  assert.equal((await ended(backend, guest, job_id)).status, "completed");
  const events = await sql`
    select from videos.provider_events as e
    join videos.submissions as s on s.id = e.submission_id
    where s.job_id = ${job_id}`;
  assert.equal(events.length, 0);
  assert.equal(await backend.balanceOf(guest), 0);
  await backend.proveLedger();
});

Deno.test("a stack whose keys are older than a provider makes that provider's, and keeps the others", async () => {
  await using cleanup = new AsyncDisposableStack();
  const dataDirectory = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(dataDirectory, { recursive: true }));
  const { runwaySecret: _, replicateToken: __, ...older } = backend.keys;
  const file = `${dataDirectory}/keys.json`;
  await Deno.writeTextFile(file, JSON.stringify(older));
  const database = cleanup.use(await testDatabase());
  const options = { databaseUrl: database.url, dataDirectory, tickMilliseconds: Infinity };
  const secretsOf = ({ secretKey, simulators: { replicate, runway } }: Stack) => ({
    ...{ secretKey, replicateToken: replicate.token, runwaySecret: runway.secret },
  });

  const first = await startStack(options);
  const made = secretsOf(first);
  await first[Symbol.asyncDispose]();
  assert.equal(made.secretKey, backend.keys.secretKey);
  assert.match(made.replicateToken, /^r8_/);
  assert.notEqual(made.replicateToken, backend.keys.replicateToken);
  assert.match(made.runwaySecret, /^key_/);
  assert.partialDeepStrictEqual(JSON.parse(await Deno.readTextFile(file)), made);

  const second = cleanup.use(await startStack(options));
  assert.deepEqual(secretsOf(second), made);
});
