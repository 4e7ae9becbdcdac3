/** What the operator sees in `ops`: it is what happened, and it is found without reading the history. */
import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { createAdmin, createCustomer, customersJob, refund } from "../support/admins.ts";
import {
  claimSubmission,
  failed,
  receiveEvent,
  recordPoll,
  recordStored,
  recordSubmission,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import type { Sql } from "../support/ledger.ts";
import { readAsAWhole } from "../support/scans.ts";
import { fill, volumeUser } from "../support/volume.ts";

/** Gives a job a request of its own; those of the test's helpers have one for all. */
async function nameRequest(sql: Sql, jobId: string): Promise<string> {
  const requestId = `request-of-${jobId}`;
  await sql`update videos.jobs set request_id = ${requestId} where id = ${jobId}`;
  return requestId;
}

async function trace(sql: Sql, requestId: string): Promise<string[]> {
  const rows = await sql<{ what: string }[]>`select t.what from ops.trace(${requestId}) as t order by t.what`;
  return rows.map(({ what }) => what);
}

Deno.test("a trace tells everything that a request did: job, credits, submissions, webhooks, files, tasks, errors", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const jobId = await startVideo(sql);
  const requestId = await nameRequest(sql, jobId);
  const submission = await submit(sql, jobId);
  await receiveEvent(sql, submission, { state: "running" });
  await sql`select api.record_error('ERR_6002', 'process-jobs', null, ${requestId}, '{"error": "away"}')`;
  const begun = ["credits: hold", "error ERR_6002", "generation started", "job accepted"];
  assert.deepEqual(await trace(sql, requestId), [
    ...begun,
    "submission accepted",
    "task poll",
    "webhook applied",
  ]);

  await receiveEvent(sql, submission, succeeded);
  await recordStored(sql, jobId);
  assert.deepEqual(
    await trace(sql, requestId),
    [
      ...begun,
      ...["credits: capture", "job completed", "storing began", "stored video", "submission ended"],
      ...["webhook applied", "webhook applied"],
    ].sort(),
  );
});

Deno.test("a trace tells what an admin's request did, and what admins did to a job", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const [adminId, userId] = [await createAdmin(sql), await createCustomer(sql, 10)];
  const jobId = await customersJob(sql, userId, "completed");
  await refund(sql, adminId, userId, 4, { jobId, reason: "it flickers" });
  assert.deepEqual(await trace(sql, "request"), ["admin: refund_credits"]);
  const [refunded] = await sql<{ details: unknown }[]>`
    select t.details from ops.trace_job(${jobId}) as t where t.what = 'credits: refund_credits'`;
  assert.deepEqual(refunded?.details, { amount: 4, admin_id: adminId, reason: "it flickers" });
  const [logged] = await sql`
    select action::text, admin_id, user_id, amount::int, job_id, reason, given_in_a_day::int
    from ops.admin_log order by id desc limit 1`;
  assert.deepEqual({ ...logged }, {
    action: "refund_credits",
    admin_id: adminId,
    user_id: userId,
    amount: 4,
    job_id: jobId,
    reason: "it flickers",
    given_in_a_day: 4,
  });
});

Deno.test("a user is seen with their credits, and their jobs by status", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const userId = await createCustomer(sql, 10);
  await customersJob(sql, userId, "completed");
  await customersJob(sql, userId, "processing");
  const [user] = await sql`
    select credits::int, credits_held::int, credits_owed::int, jobs, is_admin, is_banned, closed_at
    from ops.user_overview where user_id = ${userId}`;
  assert.deepEqual({ ...user }, {
    credits: 2,
    credits_held: 4,
    credits_owed: 0,
    jobs: { completed: 1, processing: 1 },
    is_admin: false,
    is_banned: false,
    closed_at: null,
  });
});

Deno.test("running jobs are seen with their stage, who has them and what happens next; ended ones are not", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const [pending, lost, done] = [await startVideo(sql), await startVideo(sql), await startVideo(sql)];
  const submissionId = await claimSubmission(sql, lost);
  assert(submissionId);
  await recordSubmission(sql, submissionId, { outcome: "unknown", cause: "no answer in time" });
  await receiveEvent(sql, await submit(sql, done), failed);
  const jobs = await sql`
    select job_id, stage, provider, submission::text, cause, next_task, age < interval '1 minute' as is_young,
      time_left between interval '10 minutes' and interval '15 minutes' as has_time
    from ops.running_jobs order by stage`;
  const same = { is_young: true, has_time: true };
  assert.deepEqual([...jobs.map((job) => ({ ...job }))], [
    {
      job_id: pending,
      stage: "queued",
      provider: null,
      submission: null,
      cause: null,
      next_task: "submit",
      ...same,
    },
    {
      job_id: lost,
      stage: "submitted",
      provider: "fal",
      submission: "unknown",
      cause: "no answer in time",
      next_task: null,
      ...same,
    },
  ]);
});

Deno.test("today's failures are counted by code, those of requests and those of jobs", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  for (let count = 0; count < 2; count += 1) {
    await receiveEvent(sql, await submit(sql, await startVideo(sql)), failed);
  }
  // Not a provider's fault nor ours.
  const refused: typeof failed = { state: "failed", failure: { code: "ERR_4003", cause: "policy" } };
  await receiveEvent(sql, await submit(sql, await startVideo(sql)), refused);
  await sql`select api.record_error('ERR_6001', 'models', null, null, '{}', 7)`;
  await sql`
    insert into ops.error_log (minute, code, endpoint, place, occurred_at, context, count)
    values (now() - interval '2 days', 'ERR_6001', 'models', 1, now() - interval '2 days', '{}', 1)`;
  const rows = await sql`
    select code, severity, source, failures::int from ops.failures_by_code order by code`;
  assert.deepEqual(rows.map((row) => ({ ...row })), [
    { code: "ERR_5003", severity: "error", source: "fal", failures: 2 },
    { code: "ERR_6001", severity: "error", source: "models", failures: 7 },
  ]);
  const [failure] = await sql`select cause, count from ops.failures where source = 'fal' limit 1`;
  assert.deepEqual({ ...failure }, { cause: "said so", count: 1 });
});

Deno.test("a provider is seen with its breaker, its jobs in flight, its spending and the last hour's outcomes", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`update videos.providers set daily_cap_cents = 1000 where name = 'fal'`;
  await receiveEvent(sql, await submit(sql, await startVideo(sql)), failed);
  await submit(sql, await startVideo(sql));
  const submissionId = await claimSubmission(sql, await startVideo(sql));
  assert(submissionId);
  await recordSubmission(sql, submissionId, { outcome: "unknown", cause: "no answer in time" });
  const [fal] = await sql`
    select is_enabled, breaker::text, failures_in_a_row, in_flight::int, max_in_flight,
      spent_today_cents > 0 as has_spent, daily_cap_cents::int, submissions::int, lost_answers::int, failed::int,
      completed::int
    from ops.provider_health where provider = 'fal'`;
  assert.deepEqual({ ...fal }, {
    is_enabled: true,
    breaker: "closed",
    failures_in_a_row: 1,
    in_flight: 2,
    max_in_flight: 40,
    has_spent: true,
    daily_cap_cents: 1000,
    submissions: 3,
    lost_answers: 1,
    failed: 1,
    completed: 0,
  });
  const [others] = await sql`select count(*)::int from ops.provider_health`;
  assert.equal(others?.count, 3);
});

Deno.test("a late success is seen with what it cost", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  const jobId = await startVideo(sql);
  const submission = await submit(sql, jobId);
  await sql`select videos.settle_video_job(${jobId}, 'failed', 'ERR_5001')`;
  await advance(60_000);
  await recordPoll(sql, submission, succeeded);
  const [late] = await sql`
    select job_id, status::text, error_code, provider, provider_request_id, cost_cents > 0 as cost_something,
      late_by >= interval '1 minute' as is_late
    from ops.late_successes`;
  assert.deepEqual({ ...late }, {
    job_id: jobId,
    status: "failed",
    error_code: "ERR_5001",
    provider: "fal",
    provider_request_id: submission.requestId,
    cost_something: true,
    is_late: true,
  });
});

/** As an operator asks. */
const questions: Record<string, string> = {
  "a user": `select * from ops.user_overview where user_id = '${volumeUser(7)}'`,
  "running jobs": "select stage, count(*), max(age) from ops.running_jobs group by stage",
  "failures by code": "select * from ops.failures_by_code order by failures desc",
  "today's failures": "select * from ops.failures order by occurred_at desc limit 50",
  "the providers": "select * from ops.provider_health",
  "late successes": "select * from ops.late_successes order by late_success_at desc limit 50",
  "what admins did": "select * from ops.admin_log order by id desc limit 50",
  "a request": "select * from ops.trace('request-of-a-job') order by at",
  "a job": `select * from ops.trace_job((select id from videos.jobs where user_id = '${volumeUser(7)}'
    and deleted_at is null limit 1)) order by at`,
};

const grown = [
  ...["credits.accounts", "credits.transfers", "accounts.users", "videos.jobs"],
  ...["videos.submissions", "ops.error_log", "ops.admin_actions"],
];

Deno.test("whatever the operator looks at, no grown table is read as a whole", async (test) => {
  await using database = await testDatabase();
  const { sql } = database;
  await fill(sql, { users: 4_000, jobsPerUser: 5 });
  await sql`
    insert into videos.submissions (
      job_id, owner_id, provider, provider_model, state, request_id, cost_cents, claimed_at, accepted_at, ended_at
    )
    select j.id, j.user_id, 'fal', 'a-model', 'ended', j.id::text, 1, j.created_at - interval '2 hours', j.created_at, j.completed_at
    from videos.jobs as j order by j.created_at`;
  await sql`
    insert into ops.error_log (minute, code, endpoint, place, occurred_at, request_id, context, count)
    select date_trunc('minute', now()) - n * interval '1 minute', 'ERR_6001', 'models', 1, now(), n::text, '{}', 1
    from generate_series(1, 20000) as n`;
  await sql`
    insert into ops.admin_actions (action, admin_id, user_id, amount, transfer_id, reason, request_id, created_at)
    select 'adjust_credits', ${volumeUser(7)}, ${
    volumeUser(8)
  }, 1, gen_random_uuid(), 'a reason', n::text, now() - n * interval '1 minute'
    from generate_series(1, 20000) as n`;
  for (const table of ["videos.submissions", "ops.error_log", "ops.admin_actions", "videos.jobs"]) {
    await sql.unsafe(`vacuum analyze ${table}`);
  }
  for (const [what, question] of Object.entries(questions)) {
    await test.step(what, async () => assert.deepEqual(await readAsAWhole(sql, grown, [question]), []));
  }
});

Deno.test("no view shows a prompt: whoever reads one is written down", async () => {
  await using database = await testDatabase();
  const shown = await database.sql<{ name: string }[]>`
    select c.relname as name from pg_class as c join pg_attribute as a on a.attrelid = c.oid
    where c.relnamespace = 'ops'::regnamespace and c.relkind = 'v' and a.attname = 'prompt'`;
  assert.deepEqual(shown.map(({ name }) => name), []);
});
