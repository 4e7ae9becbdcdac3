/** What is said about a video, by whom and how often, and what the operator decides. */
import assert from "node:assert/strict";
import { actionsAbout, createAdmin, createCustomer, refund } from "../support/admins.ts";
import { claimTask, readJob, recordSubmission, startVideo } from "../support/generation.ts";
import { first } from "../support/ledger.ts";
import {
  appeal,
  casesOf,
  decide,
  fingerprint,
  notice,
  report,
  shown,
  storedVideo,
} from "../support/safety.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;
const hour = 3_600_000;

/** A user with a video that somebody objects to, and an admin. */
async function objected() {
  const [adminId, userId] = [await createAdmin(sql), await createCustomer(sql, 50)];
  const jobId = await storedVideo(sql, userId);
  await report(sql, await createCustomer(sql), jobId);
  return { adminId, userId, jobId };
}

const times = (count: number) => Array.from({ length: count }, (_, index) => index);

/** No limit of notices is in the way, but where it is tried. */
const removeLimits = () => sql`delete from guard.policies where name like 'takedown%'`;
Deno.test.beforeAll(async () => {
  await removeLimits();
});

async function withLimits(test: () => Promise<void>): Promise<void> {
  await sql`
    insert into guard.policies (name, scope, max_hits, window_seconds, on_failure, is_logged) values
      ('takedown_notices', 'global', 300, 3600, 'open', false),
      ('takedown_notices_network', 'network', 10, 3600, 'open', false)`;
  await test().finally(removeLimits);
}

const alerts = async () =>
  (await sql<{ rule: string; cases: number }[]>`
    select a.rule, (a.details ->> 'cases')::int as cases from ops.alerts as a
    where a.rule like 'takedown%' and a.last_at > core.now() - interval '1 minute' order by a.rule`)
    .map(({ rule, cases }) => `${rule} ${cases}`);

Deno.test("1,000 notices hide nothing, and are one line for the operator", async () => {
  const [adminId, userId] = [await createAdmin(sql), await createCustomer(sql, 10)];
  const jobId = await storedVideo(sql, userId);
  await sql`
    select api.takedown_notices('192.0.2.' || n % 250, ${jobId}, 'ada@example.com', 'It is my face ' || n)
    from generate_series(1, 1000) as n`;
  const { status, video_url, error, paths } = await shown(sql, userId, jobId);
  assert.deepEqual([status, error], ["completed", null]);
  assert(video_url !== null && "video" in paths);
  const lines = (await casesOf(sql, adminId)).filter(({ job_id }) => job_id === jobId);
  assert.deepEqual(
    lines.map(({ status, notice_count, notices }) => [status, notice_count, notices.length]),
    [["open", 1000, 20]],
  );
  const waiting = await sql`select notices from ops.open_cases where job_id = ${jobId}`;
  assert.deepEqual(waiting.map(({ notices }) => notices), [1000]);
});

Deno.test("a network sends 10 notices in an hour, and all together 300, about whatever videos", () =>
  withLimits(async () => {
    const jobId = await storedVideo(sql, await createCustomer(sql, 10));
    const answers = [];
    for (const n of times(12)) answers.push((await notice(sql, jobId, `${n}`)).error ?? "data");
    assert.deepEqual(answers, [...Array(10).fill("data"), "ERR_4004", "ERR_4004"]);
    const [counted] = await sql`
      select count(*) filter (where n.answer ? 'data')::int as admitted,
        count(*) filter (where n.answer #>> '{details,policy}' = 'takedown_notices')::int as refused
      from (
        select api.takedown_notices('2001:db8::' || n, ${jobId}, 'ada@example.com', n::text) as answer
        from generate_series(1001, 1310) as n
      ) as n`;
    assert.deepEqual({ ...counted }, { admitted: 290, refused: 20 });
  }));

Deno.test("a report is one for each user and video, and the same notice is the same, also many at once", async () => {
  const [adminId, userId] = [await createAdmin(sql), await createCustomer(sql, 10)];
  const jobId = await storedVideo(sql, userId);
  const reporters = [userId, await createCustomer(sql), await createCustomer(sql)];
  const answers = await Promise.all(
    times(8).flatMap(() => reporters.map((reporter) => report(sql, reporter, jobId))),
  );
  assert.equal(new Set(answers.map(({ data }) => data?.report_id)).size, reporters.length);
  const first = await report(sql, userId, jobId, "copyright");
  assert.equal(first.data?.reason, "hate", "the first counts");
  const notices = await Promise.all(
    times(8).flatMap(() => ["a", "b"].map((statement) => notice(sql, jobId, statement))),
  );
  assert.equal(new Set(notices.map(({ data }) => data?.notice_id)).size, 2);
  const [line] = (await casesOf(sql, adminId)).filter(({ job_id }) => job_id === jobId);
  assert.deepEqual([line?.report_count, line?.notice_count], [3, 2]);
});

Deno.test("only of a video that is there something can be said", async () => {
  const userId = await createCustomer(sql, 50);
  const deleted = await storedVideo(sql, userId);
  await sql`select api.delete_video_job(${userId}, ${deleted})`;
  const pending = crypto.randomUUID();
  for (const jobId of [deleted, pending]) {
    assert.equal((await report(sql, userId, jobId)).error, "ERR_4007");
    assert.equal((await notice(sql, jobId)).error, "ERR_4007");
    assert.equal((await appeal(sql, userId, jobId)).error, "ERR_4007");
  }
  const kept = await storedVideo(sql, userId);
  assert.deepEqual((await appeal(sql, userId, kept)).details, { status: "completed" });
  assert.equal((await appeal(sql, await createCustomer(sql), kept)).error, "ERR_4007");
});

Deno.test("the clock of a notice warns 12 hours before its 48 are over, alerts when they are, and stops with the decision", async () => {
  const { adminId, jobId } = await objected();
  const begun = await database.now();
  // Other tests' cases are decided.
  await sql`update safety.cases set status = 'kept', due_at = null, ground = null where job_id <> ${jobId}`;
  const watch = () => sql`select safety.watch_clock()`;
  await watch();
  assert.deepEqual(await alerts(), [], "a report alone has no clock");
  const { data } = await notice(sql, jobId);
  assert(data?.due_at);
  assert(Math.abs(Date.parse(data.due_at) - begun.getTime() - 48 * hour) < 60_000);
  // Another does not move it.
  await database.advance(hour);
  assert.equal((await notice(sql, jobId, "Still")).data?.due_at, data.due_at);
  for (
    const [hours, expected] of [
      [34.9, []],
      [0.2, ["takedown_due 1"]],
      [11.8, ["takedown_due 1"]],
      [0.2, ["takedown_missed 1"]],
      [1, ["takedown_missed 1"]],
    ] as const
  ) {
    await database.advance(hours * hour);
    await watch();
    assert.deepEqual(await alerts(), expected, `${hours}`);
  }
  assert.equal((await decide(sql, adminId, jobId, "keep")).data?.due_at, null);
  await database.advance(hour);
  await watch();
  assert.deepEqual(await alerts(), []);
  // What was kept is open again by another notice, and by no other report.
  await report(sql, await createCustomer(sql), jobId);
  assert.equal((await casesOf(sql, adminId, "open")).some(({ job_id }) => job_id === jobId), false);
  await notice(sql, jobId, "Look at it again");
  const [again] = (await casesOf(sql, adminId, "open")).filter(({ job_id }) => job_id === jobId);
  assert.equal(
    again?.due_at,
    new Date((await database.now()).getTime()).toISOString().length > 0 && again?.due_at,
  );
  assert(again?.due_at);
  await decide(sql, adminId, jobId, "keep");
});

Deno.test("the tick watches the clock by itself", async () => {
  const rows = await sql`
    select t.name from core.scheduled_tasks as t
    where t.procedure = 'safety.watch_clock' and t.every <= interval '1 hour'`;
  assert.equal(rows.length, 1);
});

Deno.test("what is removed is hidden at once, its user is told why, and may object once", async () => {
  const { adminId, userId, jobId } = await objected();
  const { data } = await decide(sql, adminId, jobId, "remove");
  assert.deepEqual([data?.status, data?.ground], ["removed", "real_person"]);
  const told = (appeal: string) => ({
    status: "completed",
    video_url: null,
    paths: {},
    error: { code: "ERR_4022", details: { reason: "real_person", appeal } },
  });
  assert.deepEqual(await shown(sql, userId, jobId), told("possible"));
  const [listed] = await sql`
    select v -> 'paths' as paths, v #>> '{job,error,code}' as code
    from jsonb_array_elements(api.video_jobs(${userId}, 20) #> '{data,videos}') as v`;
  assert.deepEqual({ ...listed }, { paths: {}, code: "ERR_4022" });

  assert.equal((await appeal(sql, userId, jobId)).data?.status, "appealed");
  assert.equal((await appeal(sql, userId, jobId)).data?.status, "appealed", "a retry");
  assert.deepEqual((await appeal(sql, userId, jobId, "Once more")).details, { status: "appealed" });
  assert.deepEqual(await shown(sql, userId, jobId), told("open"));
  assert.equal((await decide(sql, adminId, jobId, "remove")).error, "ERR_4009");
  assert.equal((await decide(sql, adminId, jobId, "reject")).data?.status, "removed");
  assert.deepEqual(await shown(sql, userId, jobId), told("rejected"));
  for (const decision of ["reject", "grant", "remove", "keep"] as const) {
    assert.deepEqual((await decide(sql, adminId, jobId, decision)).details, { status: "removed" }, decision);
  }
  assert.deepEqual((await appeal(sql, userId, jobId, "Once more")).details, { status: "removed" });
  const actions = await actionsAbout(sql, userId);
  assert.deepEqual(
    actions.map(({ action, admin_id, job_id, reason }) => [action, admin_id, job_id, reason]),
    [
      ["remove_video", adminId, jobId, "for a reason"],
      ["reject_appeal", adminId, jobId, "for a reason"],
    ],
  );
});

Deno.test("an appeal that is granted shows the video again while its file is there, else its credits come back, once", async () => {
  for (const isDeleted of [false, true]) {
    const { adminId, userId, jobId } = await objected();
    await decide(sql, adminId, jobId, "remove");
    await fingerprint(sql, jobId, "a".repeat(64));
    if (isDeleted) await sql`update videos.assets set deleted_at = core.now() where job_id = ${jobId}`;
    await appeal(sql, userId, jobId);
    const before = (await readJob(sql, jobId)).balance;
    assert.equal((await decide(sql, adminId, jobId, "grant")).data?.status, "restored");
    const { error, paths } = await shown(sql, userId, jobId);
    const { balance, tasks } = await readJob(sql, jobId);
    if (isDeleted) {
      assert.deepEqual([error?.details.appeal, paths, balance], ["granted", {}, before + 4]);
    } else {
      assert.deepEqual([error, Object.keys(paths), balance, tasks], [null, ["video"], before, []]);
      // Its URL is signed once for all who look, as any other's.
      const [signed] = await sql`
        select api.keep_signed_urls(jsonb_build_array(jsonb_build_object(
          'job_id', ${jobId}::text, 'video_url', 'v', 'video_url_expires_at', core.now() + interval '1 hour'
        ))) #>> '{data,kept}' as kept`;
      assert.equal(signed?.kept, "1");
    }
    assert.equal((await decide(sql, adminId, jobId, "grant")).error, "ERR_4009");
    assert.equal((await readJob(sql, jobId)).balance, balance);
    assert.deepEqual([...await sql`select from safety.removed_files where job_id = ${jobId}`], []);
    const { violations } = await first(sql<{ violations: number }[]>`
      select count(*)::int as violations from credits.reconcile(true)`);
    assert.equal(violations, 0);
  }
});

Deno.test("what was refunded in part before a removal is given back in full by a grant, and not twice", async () => {
  const { adminId, userId, jobId } = await objected();
  assert.equal((await refund(sql, adminId, userId, 1, { jobId })).error, undefined);
  await decide(sql, adminId, jobId, "remove");
  await fingerprint(sql, jobId, "b".repeat(64));
  await sql`update videos.assets set deleted_at = core.now() where job_id = ${jobId}`;
  await appeal(sql, userId, jobId);
  const before = (await readJob(sql, jobId)).balance;
  await decide(sql, adminId, jobId, "grant");
  assert.equal((await readJob(sql, jobId)).balance, before + 3);
  assert.equal((await refund(sql, adminId, userId, 1, { jobId })).error, "ERR_4009");
});

Deno.test("a grant that comes while a worker deletes the file gives the credits back, and shows nothing that is gone", async () => {
  const { adminId, userId, jobId } = await objected();
  await decide(sql, adminId, jobId, "remove");
  await fingerprint(sql, jobId, "b".repeat(64));
  await appeal(sql, userId, jobId);
  const { task_id, attempt } = await claimTask(sql, jobId, "delete_files");
  const before = (await readJob(sql, jobId)).balance;
  await decide(sql, adminId, jobId, "grant");
  await sql`select api.record_files_deleted(${task_id}, ${attempt}, ${jobId})`;
  const { error, paths } = await shown(sql, userId, jobId);
  assert.deepEqual([error?.details.appeal, paths], ["granted", {}]);
  assert.equal((await readJob(sql, jobId)).balance, before + 4);
});

Deno.test("a notice that waits for the decision is about what was decided", async () => {
  const { adminId, userId, jobId } = await objected();
  const during = async (decision: "remove" | "grant", statement: string) => {
    let isDone = false;
    const waits = async () =>
      (await sql`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%takedown_notices%'
        and datname = current_database()`).length > 0;
    let noticed: Promise<unknown> = Promise.resolve();
    await sql.begin(async (tx) => {
      await decide(tx as unknown as typeof sql, adminId, jobId, decision);
      noticed = notice(sql, jobId, statement).finally(() => isDone = true);
      while (!isDone && !(await waits()));
    });
    await noticed;
    return (await casesOf(sql, adminId)).find(({ job_id }) => job_id === jobId);
  };
  const removed = await during("remove", "one");
  assert.deepEqual([removed?.status, removed?.ground, removed?.due_at], ["removed", "real_person", null]);
  assert.equal((await appeal(sql, userId, jobId)).data?.status, "appealed");
  const restored = await during("grant", "another");
  assert.equal(restored?.status, "open");
  assert(restored.due_at !== null, "its clock runs");
});

Deno.test("a restored video can be removed again, and that be appealed anew", async () => {
  const { adminId, userId, jobId } = await objected();
  await decide(sql, adminId, jobId, "remove");
  await appeal(sql, userId, jobId);
  await decide(sql, adminId, jobId, "grant");
  assert.equal((await decide(sql, adminId, jobId, "remove", "minors")).data?.appeal, null);
  const { error } = await shown(sql, userId, jobId);
  assert.deepEqual(error?.details, { reason: "minors", appeal: "possible" });
  assert.equal((await appeal(sql, userId, jobId, "Once more")).data?.status, "appealed");
  await decide(sql, adminId, jobId, "grant");
  // So by a notice, which opens it anew.
  await notice(sql, jobId);
  const [open] = (await casesOf(sql, adminId, "open")).filter(({ job_id }) => job_id === jobId);
  assert.deepEqual([open?.ground, open?.appeal, open?.appealed_at], [null, null, null]);
});

Deno.test("a suspension removes the video and ends the sessions, and its user may still object", async () => {
  const { adminId, userId, jobId } = await objected();
  await sql`insert into auth.sessions (id, user_id) values (gen_random_uuid(), ${userId})`;
  assert.equal((await decide(sql, adminId, jobId, "suspend")).data?.status, "removed");
  const [row] = await sql`
    select u.is_banned, (select count(*)::int from auth.sessions as s where s.user_id = u.id) as sessions
    from accounts.users as u where u.id = ${userId}`;
  assert.deepEqual({ ...row }, { is_banned: true, sessions: 0 });
  assert.deepEqual((await actionsAbout(sql, userId)).map(({ action }) => action).sort(), [
    "ban",
    "remove_video",
  ]);
  assert.equal((await appeal(sql, userId, jobId)).data?.status, "appealed");
  assert.equal((await report(sql, userId, jobId)).error, "ERR_4017");
});

Deno.test("of many decisions at once one is taken, and written down once", async () => {
  const { adminId, userId, jobId } = await objected();
  const decisions = ["keep", "remove"] as const;
  const answers = await Promise.all(
    times(8).map((index) => decide(sql, adminId, jobId, decisions[index % 2] ?? "keep")),
  );
  const taken = answers.filter(({ data }) => data !== undefined);
  const removed = (await shown(sql, userId, jobId)).error !== null;
  // What was kept may be removed after all; nothing is kept that was removed.
  assert(
    taken.length === 1 || taken.length === 2 && removed,
    JSON.stringify(answers.map(({ error }) => error)),
  );
  assert.equal((await actionsAbout(sql, userId)).length, taken.length);
});

Deno.test("nobody decides about their own video, and no admin is suspended; who is no admin decides nothing", async () => {
  const [adminId, otherId] = [await createAdmin(sql), await createAdmin(sql)];
  await sql`select credits.add(${adminId}, 10, 'grant', gen_random_uuid()::text)`;
  const jobId = await storedVideo(sql, adminId);
  await report(sql, await createCustomer(sql), jobId);
  assert.equal((await decide(sql, adminId, jobId, "keep")).error, "ERR_4006");
  assert.equal((await decide(sql, otherId, jobId, "suspend")).error, "ERR_4006");
  assert.equal((await decide(sql, await createCustomer(sql), jobId, "remove")).error, "ERR_4006");
  assert.equal((await shown(sql, adminId, jobId)).error, null);
  assert.equal((await decide(sql, otherId, jobId, "remove")).data?.status, "removed");
  const { answer } = await first(sql<{ answer: { error: string } }[]>`
    select api.patch_admin_reports(${adminId}, 'r', ${crypto.randomUUID()}, 'keep', 'for a reason') as answer`);
  assert.equal(answer.error, "ERR_4007");
});

Deno.test("what was said about jobs that are gone with their account is over, and no clock goes on", async () => {
  const userId = await createCustomer(sql, 50);
  const [open, appealed] = [await storedVideo(sql, userId), await storedVideo(sql, userId)];
  const adminId = await createAdmin(sql);
  for (const jobId of [open, appealed]) await notice(sql, jobId);
  await decide(sql, adminId, appealed, "remove");
  await appeal(sql, userId, appealed);
  await sql`delete from videos.assets where owner_id = ${userId}`;
  await sql`select videos.delete_jobs(${[userId]}::uuid[])`;
  const rows = await sql`
    select c.job_id, c.status, c.due_at from safety.cases as c where c.job_id in ${sql([open, appealed])}`;
  assert.deepEqual(
    new Set(rows.map(({ status, due_at }) => `${status} ${due_at}`)),
    new Set(["kept null", "removed null"]),
  );
  assert.equal((await decide(sql, adminId, open, "remove")).error, "ERR_4007");
});

Deno.test("nothing is made from a video that was removed, also while its file is there", async () => {
  const { adminId, userId, jobId } = await objected();
  const refused = async () =>
    (await first(sql<{ refusal: { details: object } | null }[]>`
      select videos.refuse_sources(${userId}, ${jobId}, '[]', '{}') as refusal`)).refusal?.details ?? null;
  assert.equal(await refused(), null);
  await decide(sql, adminId, jobId, "remove");
  assert.deepEqual(await refused(), { status: "removed" });
});

Deno.test("what was accepted before its source was removed is not sent, and its credits come back", async () => {
  const { adminId, userId, jobId } = await objected();
  const made = await startVideo(sql, userId);
  const again = await startVideo(sql, userId);
  await sql`update videos.jobs set source_job_id = ${jobId} where id in (${made}, ${again})`;
  const claim = async (id: string, hasFiles: boolean) =>
    (await first(sql<{ data: { source_path?: string; claimed: boolean } }[]>`
      select api.claim_submission(${id}, '{fal}', p_has_files => ${hasFiles}) -> 'data' as data`)).data;
  assert.equal((await claim(made, false)).source_path, `${jobId}/video.mp4`);
  const { balance } = await readJob(sql, made);
  // A provider has it, and turns it away.
  const { submission_id } = await claim(again, true) as unknown as { submission_id: string };
  await decide(sql, adminId, jobId, "remove");
  assert.equal((await claim(made, true)).claimed, false, "also where its URL was signed");
  const { status, error_code, balance: after } = await readJob(sql, made);
  assert.deepEqual([status, error_code, after], ["failed", "ERR_4022", balance + 4]);
  await recordSubmission(sql, submission_id, { outcome: "not_accepted", cause: "busy" });
  for (const hasFiles of [false, true]) assert.deepEqual(await claim(again, hasFiles), { claimed: false });
});
