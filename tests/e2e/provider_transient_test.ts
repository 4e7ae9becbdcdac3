/**
 * What passes by itself ends no job that a provider works at, and what only the operator can mend waits for them: the
 * video is completed all the same, and paid once.
 */
import assert from "node:assert/strict";
import { holdPorts } from "../../local/ports.ts";
import { startStack, takePorts } from "../../local/stack.ts";
import { testDatabase } from "../database/harness.ts";
import { type Guest, signIn, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import {
  ended,
  eventuallyDone,
  generate,
  kling,
  priceOfKling,
  submissionIs,
  submissionsOf,
} from "./support/videos.ts";

const quick = { queueMilliseconds: 0, runMilliseconds: 0 };
const backend = shared(() => startBackend({ replicate: quick, runway: quick }));

const makers = {
  fal: "fal-ai/kling-video/v2.5-turbo/pro/text-to-video",
  replicate: "kwaivgi/kling-v2.5-turbo-pro",
  runway: "veo3.1",
} as const;
type Maker = keyof typeof makers;

/** Lets the model of the tests be made by these, in this order, all of which are well. */
async function letBeMadeBy(...names: Maker[]): Promise<void> {
  const { sql } = backend.database;
  const duration = names.includes("runway") ? 8 : 5;
  await sql`
    update videos.models
    set options = jsonb_set(options, '{duration_seconds}', ${
    sql.json({ values: [duration], default: duration })
  })
    where id = ${kling}`;
  await sql`delete from videos.model_providers where model_id = ${kling}`;
  for (const [index, name] of names.entries()) {
    await sql`
      insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents)
      values (${kling}, ${index + 1}, ${name}, ${makers[name]}, 35)`;
  }
  await sql`update videos.providers set breaker = 'closed', failures = 0, busy_until = null`;
  for (const name of names) await backend.stack.simulators[name].control.reset();
}

/** Lets time pass for the job, and the worker do what is due each time, until the job has ended. */
async function endedInTime(guest: Guest, jobId: string) {
  const { sql } = backend.database;
  // 10 minutes, within the bound of a job.
  for (let ticks = 0; ticks < 40; ticks += 1) {
    const [gone] =
      await sql`select from videos.jobs as j where j.id = ${jobId} and j.completed_at is not null`;
    if (gone !== undefined) break;
    await backend.database.advance(15_000);
    await backend.stack.tick();
    await eventuallyDone(backend, "what is due is done", async () => {
      const [open] = await sql`
        select from queue.tasks as t
        where t.subject = ${jobId} and t.failed_at is null and (t.run_at <= core.now() or t.leased_until > core.now())`;
      return open === undefined || undefined;
    }, 1_000);
  }
  return await ended(backend, guest, jobId);
}

async function assertPaid(guest: Guest, jobId: string): Promise<void> {
  const job = await endedInTime(guest, jobId);
  assert.deepEqual([job.status, job.error], ["completed", null]);
  assert.equal(await backend.balanceOf(guest), 0);
  await backend.proveLedger();
}

async function alertsAbout(subject: string): Promise<string[]> {
  const rows = await backend.database
    .sql`select rule from ops.open_alerts where subject like ${`${subject}%`}`;
  return rows.map(({ rule }) => rule);
}

async function providersAsked(jobId: string): Promise<string[]> {
  const rows = await backend.database.sql`
    select s.provider from videos.submissions as s where s.job_id = ${jobId} order by s.claimed_at, s.id`;
  return rows.map(({ provider }) => provider);
}

for (const name of ["fal", "replicate", "runway"] as const) {
  Deno.test(`${name}: first polls that do not find the generation end nothing`, async () => {
    await letBeMadeBy(name);
    const { control } = backend.stack.simulators[name];
    const lost = name === "runway" ? {} : { webhook: "lost" } as const;
    await control.rules({ ...lost, pollFailures: 2, pollFailure: "missing" });
    const guest = await backend.signIn(priceOfKling);
    const { job_id } = await generate(guest, `${name} finds it later`);
    await assertPaid(guest, job_id);
  });

  Deno.test(`${name}: polls that are told that our key is not known end nothing, and alert`, async () => {
    await letBeMadeBy(name);
    const { control } = backend.stack.simulators[name];
    const lost = name === "runway" ? {} : { webhook: "lost" } as const;
    await control.rules({ ...lost, pollFailures: 2, pollFailure: "unauthorized" });
    const guest = await backend.signIn(priceOfKling);
    const { job_id } = await generate(guest, `${name} knows us later`);
    await assertPaid(guest, job_id);
    assert.deepEqual(await alertsAbout(name), ["provider_refuses"]);
  });

  Deno.test(`${name}: a finished file that is not there at first is stored when it is`, async () => {
    await letBeMadeBy(name);
    await backend.stack.simulators[name].control.rules({ mediaFailures: 3 });
    const guest = await backend.signIn(priceOfKling);
    const { job_id } = await generate(guest, `${name} has the file later`);
    await assertPaid(guest, job_id);
  });

  Deno.test(`${name}: a report of five million bytes is read`, async () => {
    await letBeMadeBy(name);
    await backend.stack.simulators[name].control.rules({ logBytes: 5_000_000 });
    const guest = await backend.signIn(priceOfKling);
    const { job_id } = await generate(guest, `${name} tells much`);
    await assertPaid(guest, job_id);
  });
}

Deno.test("a video at a host that is not configured waits, alerts, and is completed once the host is configured", async () => {
  await using cleanup = new AsyncDisposableStack();
  const dataDirectory = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(dataDirectory, { recursive: true }));
  const database = cleanup.use(await testDatabase());
  // The file's URL names a port.
  const ports = takePorts(cleanup.use(holdPorts()));
  const options = { databaseUrl: database.url, dataDirectory, tickMilliseconds: Infinity, fal: quick, ports };

  const first = await startStack({ ...options, environment: { FAL_RESULT_HOSTS: "cdn.example.com" } });
  const guest = await signIn(first);
  await database.sql`select credits.add_credits(${guest.id}, ${priceOfKling}, 'for a test')`;
  const { job_id } = await generate(guest, "A fox at another host");
  const alert = await eventually("the operator is told", async () => {
    const [row] = await database
      .sql`select a.subject, a.details from ops.open_alerts as a where a.rule = 'result_host'`;
    return row;
  });
  const { mediaHost } = first.simulators.fal;
  assert.deepEqual([alert.subject, alert.details.host], [`fal ${mediaHost}`, mediaHost]);
  await first[Symbol.asyncDispose]();

  const second = cleanup.use(await startStack(options));
  await database.advance(61_000);
  await second.tick();
  await eventually("the video is there", async () => {
    const [job] = await database.sql`select j.status from videos.jobs as j where j.id = ${job_id}`;
    assert(job?.status !== "failed");
    return job?.status === "completed" || undefined;
  });
});

Deno.test("a provider that is busy is passed over at once, and not asked for the next job either", async () => {
  await letBeMadeBy("fal", "replicate");
  const { fal } = backend.stack.simulators;
  await fal.control.rules({ submit: "rate_limited", retryAfterSeconds: 90 });
  const guest = await backend.signIn(2 * priceOfKling);
  const first = await generate(guest, "fal is busy");
  // Nobody lets time pass, nor the scheduler come by.
  await submissionIs(backend, first.job_id, "ended");
  assert.deepEqual(await providersAsked(first.job_id), ["fal", "replicate"]);
  const next = await generate(guest, "fal is still busy");
  await submissionIs(backend, next.job_id, "ended");
  assert.deepEqual(await providersAsked(next.job_id), ["replicate"]);
  const report = await fal.control.report();
  const asked = ["fal is busy", "fal is still busy"].map((prompt) => submissionsOf(report, prompt).length);
  assert.deepEqual(asked, [1, 0], "how often fal was asked");
  for (const { job_id } of [first, next]) {
    assert.equal((await ended(backend, guest, job_id)).status, "completed");
  }
  await backend.proveLedger();
});

Deno.test("a posting that one provider refuses goes on to the next, and the user is not told of it", async () => {
  await letBeMadeBy("fal", "replicate");
  await backend.stack.simulators.fal.control.rules({ submit: "refused" });
  const guest = await backend.signIn(priceOfKling);
  const { job_id } = await generate(guest, "fal will not");
  const job = await ended(backend, guest, job_id);
  assert.deepEqual([job.status, await providersAsked(job_id)], ["completed", ["fal", "replicate"]]);
});

Deno.test("a model that a provider does not have is made by the next, and the operator is told", async () => {
  await letBeMadeBy("fal", "replicate");
  await backend.database.sql`
    update videos.model_providers set provider_model = 'fal-ai/not-there' where model_id = ${kling} and provider = 'fal'`;
  const guest = await backend.signIn(2 * priceOfKling);
  const { job_id } = await generate(guest, "fal has no such model");
  assert.equal((await ended(backend, guest, job_id)).status, "completed");
  assert.deepEqual(await alertsAbout("fal"), ["provider_refuses"]);

  await backend.database
    .sql`delete from videos.model_providers where model_id = ${kling} and provider = 'replicate'`;
  const alone = await generate(guest, "fal alone has no such model");
  const { status, error } = await ended(backend, guest, alone.job_id);
  assert.deepEqual([status, error?.code], ["failed", "ERR_5002"], "the fault is not the user's");
  assert.equal(await backend.balanceOf(guest), priceOfKling);
});

Deno.test("a prompt that Runway is too short for is given to the next, and refused where there is none", async () => {
  await letBeMadeBy("runway", "fal");
  const { sql } = backend.database;
  await sql`update videos.model_providers set prompt_max_units = 1000 where provider = 'runway'`;
  // fal makes 5 s, Runway 8.
  await sql`update videos.model_providers set takes = '{"duration_seconds": [8]}' where provider = 'runway'`;
  await sql`
    update videos.models
    set options = jsonb_set(options, '{duration_seconds}', '{"values": [5, 8], "default": 5}') where id = ${kling}`;
  const guest = await backend.signIn(3 * priceOfKling);
  const { job_id } = await generate(guest, "🦊".repeat(501));
  assert.deepEqual([(await ended(backend, guest, job_id)).status, await providersAsked(job_id)], [
    "completed",
    ["fal"],
  ]);
  const before = await backend.balanceOf(guest);
  await sql`delete from videos.model_providers where model_id = ${kling} and provider = 'fal'`;
  const tooLong = await guest.call("generate-video", {
    body: { model_id: kling, prompt: "🦊".repeat(501), settings: { duration_seconds: 8 } },
    key: "two",
  });
  assert.equal(tooLong.status, 400);
  assert.partialDeepStrictEqual(tooLong.body, {
    error: {
      code: "ERR_4008",
      details: { fields: [{ path: "prompt", message: "This model takes at most 1000 characters" }] },
    },
  });
  assert.equal(await backend.balanceOf(guest), before, "nothing is held");
});
