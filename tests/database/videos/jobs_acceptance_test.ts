import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { balancesOf, first, violations } from "../support/ledger.ts";
import { createPayer, generateVideo } from "../support/videos.ts";

Deno.test("credits that expire in the middle of an acceptance are spent or not, but no job is without its hold", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  // Each look at the clock is a minute later, so that a lot expires between any two of them.
  await sql`
    create sequence testing.minutes;
    create or replace function core.now() returns timestamptz language sql volatile security definer set search_path = ''
    as $$ select '2026-11-20 12:00:00+00'::timestamptz + nextval('testing.minutes') * interval '1 minute' $$;
  `.simple();
  const answers = new Set<string | undefined>();
  for (let minutes = 1; minutes <= 30; minutes++) {
    const user = await createPayer(sql, 0);
    // Two looks go by until the call: this one, and that of the posting itself.
    await sql`
      select credits.add(${user}, 4, 'grant', ${user},
        core.now() + ${minutes + 2}::integer * interval '1 minute')`;
    const { data, error } = await generateVideo(sql, user);
    answers.add(error);
    const { jobs, holds } = await first(sql`
      select count(*)::integer as jobs, count(t.id)::integer as holds
      from videos.jobs as j
      left join credits.transfers as t on t.job_id = j.id and t.kind = 'hold'
      where j.user_id = ${user}`);
    assert.deepEqual([jobs, holds], data === undefined ? [0, 0] : [1, 1]);
    assert.equal((await balancesOf(sql, user)).available, 0, "they are spent, or booked as expired");
  }
  assert.deepEqual(answers, new Set([undefined, "ERR_4001"]));
  assert.deepEqual(await violations(sql), []);
});

Deno.test("an accepted video is a job, its hold and its task, and tells what is left", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await createPayer(sql, 10);
  const { data, limits } = await generateVideo(sql, user);
  const { job_id, created_at, ...rest } = data ?? assert.fail("the video was not accepted");
  assert.deepEqual(rest, { status: "pending", credits_used: 4, credits_remaining: 6 });
  assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(limits?.map(({ policy, remaining }) => [policy, remaining]), [
    ["uncaptured_jobs", 29],
    ["video_generation", 9],
    ["generation_attempts", 59],
    ["generation_attempts_network", 299],
  ]);
  const job = await first(sql`
    select j.status, j.settings, j.due_at - j.created_at = interval '15 minutes' as is_due_in_time,
      (select t.kind from queue.tasks as t where t.subject = j.id) as task
    from videos.jobs as j where j.id = ${job_id}`);
  assert.deepEqual({ ...job }, {
    status: "pending",
    settings: { duration_seconds: 5, resolution: "1080p", aspect_ratio: "16:9" },
    is_due_in_time: true,
    task: "submit",
  });
});
