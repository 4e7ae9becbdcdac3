/**
 * Whatever happens to jobs, in whatever order and at the same time, also when their account is closed meanwhile: each ends
 * once, in one way, and is paid for exactly when there is a video; and the day's spending is the cost of what was billed, or
 * may have been.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { jobStatuses, jobTransitions } from "../../../supabase/functions/_shared/videos/job-status.ts";
import { type TestDatabase, testDatabase } from "../harness.ts";
import { creditsOf } from "../support/accounts.ts";
import { JobScript, lateEvent } from "../support/job-script.ts";
import { lastWorker, script } from "../support/job-steps.ts";
import { first, type Sql, violations } from "../support/ledger.ts";
import { propertyOptions, runs } from "../../runs.ts";

/** A script has four keys, and a video costs 4 credits: the fourth job finds that there are not enough. */
const credits = 14;

// A thousand in all: each reconciles whatever its database has, so that many in one cost more each.
for (let part = 1; part <= runs(1, 4); part++) {
  Deno.test(`any interleaving lets every job end exactly once, with its credits captured or released (${part})`, async () => {
    let database: TestDatabase | null = null;
    try {
      const options = propertyOptions(10, 250);
      const anyInterleaving = fc.asyncProperty(script, lastWorker, async (batches, last) => {
        database ??= await watchedDatabase();
        try {
          const run = await JobScript.create(database, credits);
          for (const batch of batches) await Promise.all(batch.map((step) => run.perform(step)));
          await run.drain(last);
          await proveJobs(database, run);
          await run.succeedLate();
          await proveJobs(database, run);
        } catch (error) {
          // What a failed run leaves behind is not the next one's.
          await database[Symbol.asyncDispose]();
          database = null;
          throw error;
        }
      });
      await fc.assert(anyInterleaving, {
        ...options,
        // The smallest script that fails takes minutes to find: PROPERTY_SEED, with what the failure printed, does.
        endOnFailure: options.seed === undefined,
      });
    } finally {
      await (database as TestDatabase | null)?.[Symbol.asyncDispose]();
    }
  });
}

/** A database that writes down every change of a job's status, and every end, and takes nothing new for a closed account. */
async function watchedDatabase(): Promise<TestDatabase> {
  const database = await testDatabase();
  // No work of a job's: whether Apple told all of it, and what providers say of our account.
  await database.sql`
    delete from core.scheduled_tasks where name in ('read_notification_history', 'read_provider_accounts')`;
  await database.sql`
    create function testing.is_closed(p_job_id uuid) returns boolean language sql as $$
      select exists (
        select from videos.jobs as j
        join accounts.users as u on u.id = j.user_id
        where j.id = p_job_id and u.closed_at is not null
      )
    $$;
    create table testing.changes (
      number integer generated always as identity, job_id uuid, change text, is_end boolean, is_closed boolean
    );
    create function testing.note_change() returns trigger language plpgsql as $$
    begin
      insert into testing.changes (job_id, change, is_end, is_closed) values (
        new.id, format('%s to %s', old.status, new.status), old.completed_at is distinct from new.completed_at,
        testing.is_closed(new.id)
      );
      return null;
    end;
    $$;
    create trigger note_change after update on videos.jobs for each row
      when (old.status <> new.status or old.completed_at is distinct from new.completed_at)
      execute function testing.note_change();

    create function testing.refuse_if_closed() returns trigger language plpgsql as $$
    begin
      if testing.is_closed((to_jsonb(new) ->> tg_argv[0])::uuid) then
        raise exception '% has something new for a closed account', tg_table_name;
      end if;
      return null;
    end;
    $$;
    create trigger refuse_acceptance after insert on videos.jobs
      for each row execute function testing.refuse_if_closed('id');
    create trigger refuse_storing after update on videos.jobs
      for each row when (old.storing_at is distinct from new.storing_at)
      execute function testing.refuse_if_closed('id');
    create trigger refuse_files after insert on videos.assets
      for each row execute function testing.refuse_if_closed('job_id');
  `.simple();
  return database;
}

async function proveJobs({ sql }: TestDatabase, { userId, accepted, isClosed }: JobScript): Promise<void> {
  const jobs = await sql<{
    id: string;
    status: string;
    changes: string[];
    ends: number;
    abandoned: boolean;
    transfers: string[];
    spent: number;
    code: string | null;
    stored: boolean;
    submissions: number;
    late: boolean;
    succeeded: boolean;
  }[]>`
    select j.id, j.status, j.credits_used::int as spent, j.error_code as code, j.storing_at is not null as stored,
      j.late_success_at is not null as late,
      array(select c.change from testing.changes as c where c.job_id = j.id order by c.number) as changes,
      (select count(*)::int from testing.changes as c where c.job_id = j.id and c.is_end) as ends,
      exists (select from testing.changes as c where c.job_id = j.id and c.is_end and c.is_closed) as abandoned,
      array(
        select t.kind::text
        from credits.transfers as h
        join credits.transfers as t on t.id = h.id or t.reverses_id = h.id
        where h.job_id = j.id and h.kind = 'hold'
        order by t.created_at, t.kind
      ) as transfers,
      (
        select count(*)::int from videos.submissions as s where s.job_id = j.id and s.state not in ('not_accepted', 'refused')
      ) as submissions,
      exists (
        select from videos.provider_events as e
        join videos.submissions as s on s.id = e.submission_id
        where s.job_id = j.id and e.event_id like ${`${lateEvent} %`} and e.effect <> 'ignored'
      ) as succeeded
    from videos.jobs as j
    where j.user_id = ${userId}`;
  const allowed = jobStatuses.flatMap((from) => jobTransitions[from].map((to) => `${from} to ${to}`));

  assert.deepEqual(
    jobs.map(({ id }) => id).sort(),
    [...accepted.values()].sort(),
    "jobs are lost, or nobody's",
  );
  for (const job of jobs) {
    const { id, status, changes, ends, abandoned, transfers, submissions, code, stored, late, succeeded } =
      job;
    const what = `${id}: ${changes.join(", ")}`;
    assert.equal(ends, 1, what);
    assert.deepEqual(changes.filter((change) => !allowed.includes(change)), [], what);
    assert.deepEqual(transfers, ["hold", status === "completed" ? "capture" : "release"], what);
    if (abandoned) assert.deepEqual([status, code], ["cancelled", null], `${what}; its account was closed`);
    assert(submissions <= 1, `${what}; ${submissions} providers may have it`);
    if (stored) {
      assert(code === null || ["ERR_5003", "ERR_6002"].includes(code), `${what}; ${code} while storing`);
    }
    if (succeeded) assert.equal(late, status !== "completed", `${what}; a success after the end is recorded`);
  }
  const { closed, settled } = await first(sql<{ closed: boolean; settled: boolean }[]>`
    select u.closed_at is not null as closed,
      exists (select from accounts.erasures as r where r.user_id = u.id)
      or exists (select from queue.tasks as t where t.subject = u.id and t.failed_at is not null) as settled
    from accounts.users as u where u.id = ${userId}`);
  assert.equal(closed, isClosed);
  assert.equal(settled, closed, "what a closed account leaves is erased, or a dead letter tells of it");
  const unspent = credits - jobs.reduce((sum, { spent }) => sum + spent, 0);
  assert.deepEqual(
    await creditsOf(sql, userId),
    closed ? { available: 0, forfeited: unspent } : { available: unspent, forfeited: 0 },
  );
  assert.deepEqual(await violations(sql), []);
  await proveSpending(sql);
  // Only the removal of files, and what is told of an end, have dead letters.
  const left = await sql`
    select * from queue.tasks
    where failed_at is null or kind not in ('delete_files', 'erase_account', 'deliver_inbox')`;
  assert.deepEqual([...left], [], "nothing is left to do");
}

/** What counts is the cost of the submissions that count, each once and on its day: all but those that surely were free. */
async function proveSpending(sql: Sql): Promise<void> {
  const days = await sql`
    select coalesce(s.provider, c.provider) as provider, s.cents::int as spent, coalesce(c.cents, 0)::int as counted
    from videos.spending as s
    full join (
      select b.provider, b.counted_on, sum(b.cost_cents) as cents
      from videos.submissions as b where b.counted_on is not null group by b.provider, b.counted_on
    ) as c on c.provider = s.provider and c.counted_on = s.day
    where s.cents is distinct from coalesce(c.cents, 0)`;
  assert.deepEqual([...days], []);
  const wrong = await sql`
    select s.id, s.state, s.counted_on, j.status from videos.submissions as s
    join videos.jobs as j on j.id = s.job_id
    where (s.counted_on is not null) <> case
      when s.state in ('not_accepted', 'refused') then false
      when s.state in ('sending', 'unknown') or j.storing_at is not null or j.late_success_at is not null then true
      else s.counted_on is not null
    end`;
  assert.deepEqual([...wrong], []);
}
