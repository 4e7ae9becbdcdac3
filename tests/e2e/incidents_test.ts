/** What was away, who did its work meanwhile or how it waited, and when it came back. */
import assert from "node:assert/strict";
import * as z from "zod";
import { HealthResponse } from "../../supabase/functions/health/schema.ts";
import { withConnection } from "../../local/postgres/database.ts";
import { asSuperuser } from "../database/harness.ts";
import { bodyOf } from "./support/answer.ts";
import { type Backend, startBackend } from "./support/backend.ts";
import { ended, eventuallyDone, generate, kling, priceOfKling, videoStatus } from "./support/videos.ts";

const quick = { queueMilliseconds: 0, runMilliseconds: 0 };

interface Incident {
  subject: string;
  taken_over_by: string[] | null;
  began_at: Date;
  ended_at: Date | null;
}

async function incidents({ database }: Backend): Promise<Incident[]> {
  const rows = await database.sql<Incident[]>`
    select i.subject, i.taken_over_by, i.began_at, i.ended_at from ops.incident_log as i order by i.id`;
  return rows.map((row) => ({ ...row }));
}

/** Asked anew: an isolate shares an answer for 5 seconds. */
async function health({ stack, call }: Backend): Promise<[string, readonly string[]]> {
  await stack.tick();
  await stack.functions.reload();
  const answer = await call("health", { headers: { apikey: stack.secretKey } });
  const { status, checks } = bodyOf(answer, 200, HealthResponse);
  return [status, checks?.incidents.away ?? []];
}

Deno.test("a provider that is down: the other one, degraded, and healthy again, as an incident with its two times", async () => {
  await using backend = await startBackend({ replicate: quick });
  const { database: { sql, advance, now }, stack: { simulators } } = backend;
  await sql`
    insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents)
    values (${kling}, 2, 'replicate', 'kwaivgi/kling-v2.5-turbo-pro', 40)`;
  const guest = await backend.signIn(20 * priceOfKling);
  assert.deepEqual(await health(backend), ["healthy", []]);

  const before = await now();
  await simulators.fal.control.rules({ submit: "error", status: 503, ownBody: true, times: null });
  for (let video = 0; video < 6; video++) {
    const { job_id } = await generate(guest, `A fox, ${video}`);
    assert.equal((await ended(backend, guest, job_id)).status, "completed");
  }
  const [lasting, ...others] = await incidents(backend);
  assert(lasting !== undefined && others.length === 0);
  assert.deepEqual([lasting.subject, lasting.taken_over_by, lasting.ended_at], [
    "provider fal",
    ["replicate"],
    null,
  ]);
  assert(lasting.began_at >= before && lasting.began_at <= await now());
  assert.deepEqual(await health(backend), ["degraded", ["provider fal"]]);

  // It is back, and two jobs that it takes prove it.
  await simulators.fal.control.reset();
  await advance(61_000);
  const back = await now();
  for (let video = 0; video < 2; video++) {
    await ended(backend, guest, (await generate(guest, `An owl, ${video}`)).job_id);
  }
  const [over] = await incidents(backend);
  assert(over !== undefined && over.ended_at !== null);
  assert(over.ended_at >= back && over.ended_at <= await now());
  assert.deepEqual(await health(backend), ["healthy", []]);
  await backend.proveLedger();
});

Deno.test("with Storage down videos wait, for longer than a task has tries, and nothing is lost when it is back", async () => {
  await using backend = await startBackend();
  const { database, stack } = backend;
  const { sql, advance, now } = database;
  const guest = await backend.signIn(3 * priceOfKling);
  assert.deepEqual(await health(backend), ["healthy", []]);
  const before = await now();
  // Storage's own table, which only the platform may touch: it answers 500 without it.
  const storage = (change: string) =>
    withConnection(asSuperuser(database.url), (sql) => sql.unsafe(`alter table storage.${change}`));
  await storage("objects rename to objects_away");
  const jobs = [];
  for (let video = 0; video < 3; video++) jobs.push((await generate(guest, `A fox, ${video}`)).job_id);

  const tried = (times: number) =>
    eventuallyDone(backend, `each video was tried ${times} times`, async () => {
      const rows = await sql`
        select from queue.tasks as t
        where t.kind = 'store' and t.attempts >= ${times} and t.leased_until is null and t.failed_at is null`;
      return rows.length === jobs.length || undefined;
    }, 200);
  for (let times = 1; times <= 12; times++) {
    await tried(times);
    await advance(61_000);
    await stack.tick();
  }
  for (const jobId of jobs) {
    const { status, progress } = await videoStatus(guest, jobId);
    assert.deepEqual([status, progress.stage], ["processing", "storing"]);
  }
  assert.deepEqual((await incidents(backend)).map(({ subject, ended_at }) => [subject, ended_at]), [[
    "storage",
    null,
  ]]);
  const open = await sql`select a.rule from ops.open_alerts as a where a.rule = 'storage_away'`;
  assert.equal(open.length, 1);

  await tried(13);
  const back = await now();
  await storage("objects_away rename to objects");
  await advance(61_000);
  await stack.tick();
  for (const jobId of jobs) {
    const { status, video_url } = await ended(backend, guest, jobId);
    assert.equal(status, "completed");
    const file = await fetch(z.string().parse(video_url));
    assert.equal(file.status, 200);
    await file.body?.cancel();
  }
  const stored = await now();
  await advance(3 * 60_000);
  assert.deepEqual(await health(backend), ["healthy", []]);
  const [over, ...others] = await incidents(backend);
  assert(over !== undefined && over.ended_at !== null && others.length === 0);
  assert(over.began_at >= before && over.began_at < back);
  assert(over.ended_at > back && over.ended_at <= stored, "it was back when the first video came through");
  assert.equal((await sql`select from ops.open_alerts as a where a.rule = 'storage_away'`).length, 0);
  assert.equal(await backend.balanceOf(guest), 0);
  await backend.proveLedger();
});
