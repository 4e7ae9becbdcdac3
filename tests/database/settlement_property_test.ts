/**
 * Whatever happens to jobs, in whatever order and at the same time: each ends once, in one way, and is paid for exactly
 * when there is a video. `PROPERTY_RUNS` tries more often, `PROPERTY_SEED` repeats what a failure printed.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { testDatabase } from "./harness.ts";
import { JobScript, script } from "./support/job-script.ts";
import { first, violations } from "./support/ledger.ts";
import { propertyOptions } from "./support/properties.ts";

/** Four keys a script, and so four jobs of 4 credits at most; one finds that there is nothing left. */
const credits = 14;

const watchJobs = `
  create table testing.changes (
    number integer generated always as identity, job_id uuid, from_status public.job_status, to_status public.job_status,
    ended boolean
  );
  create function testing.watch_job() returns trigger language plpgsql as $$
  begin
    insert into testing.changes (job_id, from_status, to_status, ended)
    values (new.id, old.status, new.status, old.completed_at is null and new.completed_at is not null);
    return null;
  end;
  $$;
  create trigger watch_job after update on public.video_jobs for each row
    when (old.status <> new.status or old.completed_at is distinct from new.completed_at)
    execute function testing.watch_job();
`;

Deno.test("any interleaving lets every job end exactly once, with its credits captured or released", async () => {
  const runs = fc.asyncProperty(script, async (batches) => {
    await using database = await testDatabase();
    const { sql } = database;
    await sql.unsafe(watchJobs).simple();
    const run = await JobScript.create(database, credits);
    for (const batch of batches) await Promise.all(batch.map((step) => run.perform(step)));
    await run.drain();

    const jobs = await sql<{
      id: string;
      status: string;
      price: number;
      path: string[];
      ends: number;
      transfers: string[];
      submissions: number;
      succeeded: boolean;
      late: boolean;
    }[]>`
      select j.id, j.status, h.amount::int as price, j.late_success_at is not null as late,
        coalesce(array(
          select format('%s → %s', c.from_status, c.to_status) from testing.changes as c where c.job_id = j.id order by c.number
        ), '{}') as path,
        (select count(*)::int from testing.changes as c where c.job_id = j.id and c.ended) as ends,
        array(
          select t.kind::text from credits.transfers as t
          where t.job_id = j.id and t.kind = 'hold' or t.reverses_id = h.id order by t.kind
        ) as transfers,
        (select count(*)::int from generation.submissions as s where s.job_id = j.id and s.state <> 'not_accepted')
          as submissions,
        exists (
          select from generation.events as e join generation.submissions as s on s.id = e.submission_id
          where s.job_id = j.id and s.request_id = e.request_id and e.state ->> 'state' = 'succeeded'
            and e.received_at > j.completed_at
        ) as succeeded
      from public.video_jobs as j
      left join credits.transfers as h on h.job_id = j.id and h.kind = 'hold'`;
    const { allowed } = await first(sql<{ allowed: string[] }[]>`
      select array_agg(format('%s → %s', t.from_status, t.to_status)) as allowed from public.job_transitions as t`);

    assert.deepEqual(
      jobs.map(({ id }) => id).sort(),
      [...run.jobs].sort(),
      "an accepted job is lost, or one too many",
    );
    for (const { id, status, path, ends, transfers, submissions, succeeded, late } of jobs) {
      assert.equal(ends, 1, `${id} ended ${ends} times: ${path.join(", ")}`);
      assert.ok(path.at(-1)?.endsWith(`→ ${status}`), `${id} is ${status} after ${path.join(", ")}`);
      for (const change of path) assert.ok(allowed.includes(change), `${id}: ${change}`);
      assert.deepEqual(transfers, ["hold", status === "completed" ? "capture" : "release"], id);
      assert.ok(submissions <= 1, `${id} may be at ${submissions} providers`);
      assert.equal(late, succeeded && status !== "completed", `${id}: a success after the end is recorded`);
    }

    console.log(
      batches.length,
      jobs.map((j) => j.status + (j.late ? "(late)" : "") + " " + j.path.length).join(", "),
      (await sql`select state, count(*)::int n from generation.submissions group by 1`).map((r) =>
        r.state + ":" + r.n
      ).join(" "),
      (await sql`select effect, count(*)::int n from generation.events group by 1`).map((r) =>
        r.effect + ":" + r.n
      ).join(" "),
    );
    const spent = jobs.filter(({ status }) => status === "completed").reduce(
      (sum, { price }) => sum + price,
      0,
    );
    const { balance } = await first(sql<{ balance: number }[]>`
      select a.balance::int from credits.accounts as a where a.user_id = ${run.userId} and a.kind = 'available'`);
    assert.equal(balance, credits - spent);
    assert.deepEqual(await violations(sql), []);
    assert.deepEqual([...await sql`select * from generation.tasks`], [], "nothing is left to do");
  });
  // A run takes about a third of a second.
  await fc.assert(runs, propertyOptions(20));
});
