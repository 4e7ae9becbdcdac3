/** What decides who is given a job: preference, circuit breakers, jobs in flight and the day's money. */
import assert from "node:assert/strict";
import type { TestDatabase } from "../harness.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { failed, recordPoll, succeeded } from "../support/generation.ts";
import { acceptJob, cheapModel } from "../support/jobs.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const everybody = ["fal", "replicate", "runway"];
const accepted = { outcome: "accepted", request_id: "", references: {}, reports_start: true };
const away = { outcome: "not_accepted", cause: "no connection" };
const busy = { ...away, is_busy: true, retry_after_seconds: 30 };
const lost = { outcome: "unknown", cause: "no answer" };

interface Claim {
  claimed: boolean;
  submission_id: string;
  provider: string;
}

/** A user who can pay for many jobs, of a model that fal is preferred for, and Replicate can make as well. */
async function setting() {
  const database = await stillDatabase();
  const { sql } = database;
  const userId = await database.createUser();
  await sql`select credits.add_credits(${userId}, 1000000, 'test')`;
  await sql`
    insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents)
    values (${cheapModel}, 2, 'replicate', 'owner/model', 40)`;
  const claim = async (jobId: string, providers = everybody): Promise<Claim> => {
    const [row] = await sql`select api.claim_submission(${jobId}, ${providers}) -> 'data' as claim`;
    return row?.claim;
  };
  return {
    database,
    sql,
    userId,
    claim,
    claimNew: async (providers = everybody) =>
      await claim(await acceptJob(sql, userId, { dueInMinutes: 600 }), providers),
    async record({ submission_id: id }: Claim, outcome: Record<string, unknown>) {
      await sql`select api.record_submission(${id}, ${sql.json({ ...outcome, request_id: id } as never)}, 5)`;
    },
    async breaker(provider = "fal"): Promise<string> {
      const [row] = await sql`select v.breaker from videos.providers as v where v.name = ${provider}`;
      return row?.breaker;
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

type Setting = Awaited<ReturnType<typeof setting>>;

/** Failures in a row until the breaker of fal is open. */
async function openBreaker({ claimNew, record, breaker }: Setting): Promise<void> {
  for (let failures = 0; failures < 5; failures += 1) await record(await claimNew(["fal"]), away);
  assert.equal(await breaker(), "open");
}

async function minute({ database }: { database: TestDatabase }, minutes = 1): Promise<void> {
  await database.advance(minutes * 60_000 + 1_000);
}

Deno.test("the preferred provider gets the job, and the next one after it turned the job away", async () => {
  await using test = await setting();
  const { claim, claimNew, record, sql } = test;
  const first = await claimNew();
  assert.equal(first.provider, "fal");
  await record(first, away);
  const [job] = await sql`select s.job_id from videos.submissions as s where s.id = ${first.submission_id}`;
  assert.equal((await claim(job?.job_id)).provider, "replicate");
});

Deno.test("a provider without keys is passed over", async () => {
  await using test = await setting();
  assert.equal((await test.claimNew(["replicate"])).provider, "replicate");
  assert.deepEqual(await test.claimNew([]), { claimed: false });
});

Deno.test("five failures in a row open the breaker, a success in between starts the count again", async () => {
  await using test = await setting();
  const { claimNew, record, breaker } = test;
  for (const outcome of [away, lost, away, lost, accepted, away, away, away, away]) {
    await record(await claimNew(["fal"]), outcome);
    assert.equal(await breaker(), "closed");
  }
  await record(await claimNew(["fal"]), lost);
  assert.equal(await breaker(), "open");
  assert.deepEqual(await claimNew(["fal"]), { claimed: false });
  assert.equal((await claimNew()).provider, "replicate");
});

Deno.test("being busy and refusing a content are nothing against a provider", async () => {
  await using test = await setting();
  const { claimNew, record, breaker } = test;
  const refused = { outcome: "refused", failure: { code: "ERR_4003", details: {}, cause: "content" } };
  for (let turn = 0; turn < 10; turn += 1) {
    await record(await claimNew(["fal"]), turn % 2 ? busy : refused);
    await minute(test);
  }
  assert.equal(await breaker(), "closed");
});

Deno.test("who is busy is remembered for all jobs until the time that it named, and others are asked at once", async () => {
  await using test = await setting();
  const { claim, claimNew, record, database, sql } = test;
  const first = await claimNew();
  await record(first, busy);
  const [job] = await sql`select s.job_id from videos.submissions as s where s.id = ${first.submission_id}`;
  assert.equal((await claim(job?.job_id)).provider, "replicate", "the same job, at once");
  assert.equal((await claimNew()).provider, "replicate", "the next job");
  assert.deepEqual(await claimNew(["fal"]), { claimed: false }, "nobody else is there");
  await database.advance(31_000);
  assert.equal((await claimNew()).provider, "fal", "when its time is over, it is preferred again");
});

Deno.test("a provider that names no time is left alone for 5 seconds, and none for more than an hour", async () => {
  await using test = await setting();
  const { claimNew, record, database } = test;
  await record(await claimNew(["fal"]), { ...away, is_busy: true });
  await database.advance(4_000);
  assert.deepEqual(await claimNew(["fal"]), { claimed: false });
  await database.advance(2_000);
  await record(await claimNew(["fal"]), { ...away, is_busy: true, retry_after_seconds: 900_000_000 });
  await database.advance(3_599_000);
  assert.deepEqual(await claimNew(["fal"]), { claimed: false });
  await database.advance(2_000);
  assert.equal((await claimNew(["fal"])).claimed, true);
});

Deno.test("a request that one provider refuses goes to the next; one against a policy does not", async () => {
  await using test = await setting();
  const { claim, claimNew, record, sql } = test;
  const jobOf = async ({ submission_id: id }: Claim) =>
    (await sql`
      select j.id, j.status, j.error_code, j.error_details
      from videos.submissions as s join videos.jobs as j on j.id = s.job_id where s.id = ${id}`)[0];
  const refusal = (code: string) => ({ outcome: "refused", failure: { code, details: {}, cause: code } });

  for (const code of ["ERR_5003", "ERR_5002"]) {
    const first = await claimNew();
    await record(first, refusal(code));
    const job = await jobOf(first);
    assert.equal(job?.status, "pending");
    const second = await claim(job?.id);
    assert.equal(second.provider, "replicate");
    await record(second, refusal("ERR_5003"));
    const ended = await jobOf(first);
    assert.deepEqual(
      [ended?.status, ended?.error_code],
      ["failed", "ERR_5003"],
      "a job that no provider takes any more fails",
    );
  }

  const against = await claimNew();
  await record(against, refusal("ERR_4003"));
  assert.equal((await jobOf(against))?.error_code, "ERR_4003");
});

Deno.test("after a minute one submission is let through, and two successes close the breaker", async () => {
  await using test = await setting();
  const { claimNew, record, breaker } = test;
  await openBreaker(test);
  await minute(test);
  const probe = await claimNew(["fal"]);
  assert.equal(probe.claimed, true);
  assert.equal(await breaker(), "half_open");
  assert.deepEqual(
    await claimNew(["fal"]),
    { claimed: false },
    "a provider whose breaker is half open gets one job at a time",
  );
  await record(probe, accepted);
  assert.equal(await breaker(), "half_open", "one success is not enough");
  await record(await claimNew(["fal"]), accepted);
  assert.equal(await breaker(), "closed");
});

Deno.test("a failure while half open opens the breaker again, for another minute", async () => {
  await using test = await setting();
  const { claimNew, record, breaker } = test;
  await openBreaker(test);
  await minute(test);
  await record(await claimNew(["fal"]), lost);
  assert.equal(await breaker(), "open");
  assert.deepEqual(await claimNew(["fal"]), { claimed: false });
  await minute(test);
  assert.equal((await claimNew(["fal"])).claimed, true);
});

Deno.test("a provider that comes second is found to be back, though the first takes every job", async () => {
  await using test = await setting();
  const { sql, claimNew, record, breaker } = test;
  for (let failures = 0; failures < 5; failures += 1) await record(await claimNew(["replicate"]), away);
  const next = async () => {
    const claim = await claimNew();
    await record(claim, accepted);
    return claim.provider;
  };
  await minute(test, 59);
  assert.equal(await next(), "fal");
  assert.equal(await breaker("replicate"), "open");
  await minute(test, 2);
  // Still away: that job goes on to the first one, and the others do at once.
  const probe = await claimNew();
  assert.equal(probe.provider, "replicate");
  await record(probe, away);
  assert.equal(await next(), "fal");
  await minute(test, 61);
  assert.deepEqual([await next(), await next(), await next()], ["replicate", "replicate", "fal"]);
  assert.equal(await breaker("replicate"), "closed");
  assert.deepEqual([...await sql`select from ops.incidents where ended_at is null`], []);
});

Deno.test("a probe whose worker died is waited for a minute, and then another is let through", async () => {
  await using test = await setting();
  await openBreaker(test);
  await minute(test);
  await test.claimNew(["fal"]);
  assert.deepEqual(await test.claimNew(["fal"]), { claimed: false });
  await minute(test);
  assert.equal((await test.claimNew(["fal"])).claimed, true);
});

Deno.test("as many jobs as it may have are with a provider, however many are claimed at once; the others wait", async () => {
  await using test = await setting();
  const { sql, userId, claim } = test;
  await sql`update videos.providers set max_in_flight = 3 where name = 'fal'`;
  const jobs: string[] = [];
  for (let count = 0; count < 12; count += 1) jobs.push(await acceptJob(sql, userId));
  const claims = await Promise.all(jobs.map((job) => claim(job, ["fal"])));
  assert.equal(claims.filter(({ claimed }) => claimed).length, 3);

  const [ended] = claims.filter(({ claimed }) => claimed);
  assert(ended);
  await sql`
    select videos.settle_video_job(s.job_id, 'failed', 'ERR_5001')
    from videos.submissions as s where s.id = ${ended.submission_id}`;
  const waiting = jobs[claims.findIndex(({ claimed }) => !claimed)];
  assert(waiting);
  assert.equal((await claim(waiting, ["fal"])).claimed, true, "a place that a job left is free again");
});

Deno.test("the day's cap is never passed, however many claim at once, and is new with the next day", async () => {
  await using test = await setting();
  const { sql, userId, claim, database } = test;
  // Kling costs 35 cents a video.
  await sql`update videos.providers set daily_cap_cents = 100 where name = 'fal'`;
  const jobs: string[] = [];
  for (let count = 0; count < 8; count += 1) jobs.push(await acceptJob(sql, userId, { dueInMinutes: 6000 }));
  const claims = await Promise.all(jobs.map((job) => claim(job, ["fal"])));
  assert.equal(claims.filter(({ claimed }) => claimed).length, 2);
  const [spent] = await sql`select s.cents::int from videos.spending as s where s.provider = 'fal'`;
  assert.equal(spent?.cents, 70);
  await database.advance(24 * 3600_000);
  const waiting = jobs[claims.findIndex(({ claimed }) => !claimed)];
  assert(waiting);
  assert.equal((await claim(waiting, ["fal"])).claimed, true);
});

Deno.test("a provider's day is capped at 5,000 cents until the operator writes another number, and open only if they write so", async () => {
  await using test = await setting();
  const { sql, claimNew } = test;
  const caps = await sql`select v.daily_cap_cents::int as cents from videos.providers as v`;
  assert.deepEqual(caps.map(({ cents }) => cents), [5000, 5000, 5000]);
  // Of the day 4,970 cents are spent: 30 are left, and Kling costs 35.
  await sql`
    insert into videos.spending (provider, day, cents)
    values ('fal', (core.now() at time zone 'UTC')::date, 4970)`;
  assert.equal((await claimNew(["fal"])).claimed, false);
  await sql`update videos.providers set daily_cap_cents = 5010 where name = 'fal'`;
  assert.equal((await claimNew(["fal"])).claimed, true);
  assert.equal((await claimNew(["fal"])).claimed, false);
  await sql`update videos.providers set daily_cap_cents = null where name = 'fal'`;
  assert.equal((await claimNew(["fal"])).claimed, true);
});

Deno.test("what a provider proved that it did not take costs nothing of the day's money", async () => {
  await using test = await setting();
  const { sql, claimNew, record } = test;
  await record(await claimNew(["fal"]), away);
  await record(await claimNew(["fal"]), lost);
  const [spent] = await sql`select s.cents::int from videos.spending as s where s.provider = 'fal'`;
  assert.equal(spent?.cents, 35, "the lost answer may have been a job");
});

Deno.test("when no provider of the model has money left, a video is refused with ERR_6004 before anything is held", async () => {
  await using test = await setting();
  const { sql, userId } = test;
  const generate = async (key: string) => {
    const [row] = await sql`
      select api.generate_video(${userId}, '192.0.2.1', ${key}, ${"0".repeat(64)}, 'a-request', ${cheapModel},
        'A fox', '{}', null) as answer`;
    return row?.answer;
  };
  await sql`update videos.providers set daily_cap_cents = 30`;
  const refused = await generate("a");
  assert.deepEqual([refused.error, refused.details], ["ERR_6004", { feature: "generation" }]);
  await sql`update videos.providers set daily_cap_cents = 39 where name = 'fal'`;
  assert.equal((await generate("a")).data.status, "pending", "the same key, later");
  assert.deepEqual([...await sql`select * from credits.reconcile(true)`], []);
});

/** Jobs that fal took, and that end by their bound. */
async function hang({ claimNew, record, sql, database }: Setting, jobs: number): Promise<void> {
  for (let job = 0; job < jobs; job += 1) await record(await claimNew(["fal"]), accepted);
  await database.advance(11 * 3_600_000);
  await runTask(sql, "enforce_deadlines");
}

Deno.test("a provider that takes jobs and finishes none opens its breaker, and only a job that it finishes closes it", async () => {
  await using test = await setting();
  const { claimNew, record, breaker, sql, database } = test;
  await hang(test, 4);
  assert.equal(await breaker(), "closed");
  // That it takes a job proves nothing.
  await hang(test, 1);
  assert.equal(await breaker(), "open");
  assert.deepEqual(await claimNew(["fal"]), { claimed: false });
  assert.equal((await claimNew()).provider, "replicate");

  for (let round = 0; round < 3; round += 1) {
    await minute(test);
    const probe = await claimNew(["fal"]);
    assert.equal(probe.claimed, true, "one job finds out");
    await record(probe, accepted);
    for (let minutes = 0; minutes < 20; minutes += 1) {
      await minute(test);
      assert.deepEqual(await claimNew(["fal"]), { claimed: false }, "while it has that one, no other");
    }
    await database.advance(11 * 3_600_000);
    await runTask(sql, "enforce_deadlines");
    assert.equal(await breaker(), "open", "it hung again");
  }

  await minute(test);
  const probe = await claimNew(["fal"]);
  await record(probe, accepted);
  await recordPoll(sql, { submissionId: probe.submission_id, requestId: probe.submission_id }, succeeded);
  for (let jobs = 0; jobs < 2; jobs += 1) {
    const next = await claimNew(["fal"]);
    assert.equal(next.claimed, true);
    await record(next, accepted);
  }
  assert.equal(await breaker(), "closed");
  assert.equal((await claimNew(["fal"])).claimed, true);
});

Deno.test("of jobs that hang, one in between that the provider finishes starts the count again, also by its failure", async () => {
  await using test = await setting();
  const { claimNew, record, breaker, sql } = test;
  for (const word of [succeeded, failed]) {
    await hang(test, 4);
    const job = await claimNew(["fal"]);
    await record(job, accepted);
    await recordPoll(sql, { submissionId: job.submission_id, requestId: job.submission_id }, word);
  }
  await hang(test, 4);
  assert.equal(await breaker(), "closed");
  await hang(test, 1);
  assert.equal(await breaker(), "open");
});

Deno.test("forty that hang take up forty places once: those that wait behind them get another provider, or an end", async () => {
  await using test = await setting();
  const { claimNew, record, claim, sql, userId, database } = test;
  for (let job = 0; job < 40; job += 1) await record(await claimNew(["fal"]), accepted);
  const waiting = await acceptJob(sql, userId, { dueInMinutes: 60 * 24 });
  assert.deepEqual(await claim(waiting, ["fal"]), { claimed: false }, "all places are taken");
  await database.advance(11 * 3_600_000);
  await runTask(sql, "enforce_deadlines");
  // Of the places that are free again, one is given.
  const given = [];
  for (let job = 0; job < 40; job += 1) {
    const next = await claimNew(["fal"]);
    if (next.claimed) given.push(next);
    if (next.claimed) await record(next, accepted);
    await minute(test);
  }
  assert.equal(given.length, 1);
  assert.equal((await claim(waiting)).provider, "replicate");
});

Deno.test("jobs of closed accounts are nothing against a provider", async () => {
  await using test = await setting();
  const { claimNew, record, breaker, sql, userId } = test;
  for (let job = 0; job < 8; job += 1) await record(await claimNew(["fal"]), accepted);
  await sql`select accounts.admit(${userId})`;
  await sql`select accounts.close(${userId})`;
  await test.database.advance(11 * 3_600_000);
  await runTask(sql, "enforce_deadlines");
  assert.equal(await breaker(), "closed");
});
