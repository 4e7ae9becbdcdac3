/** What a day's spending counts: what was billed, or may have been, and nothing that a provider surely did not bill. */
import assert from "node:assert/strict";
import type { TestDatabase } from "../harness.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  cancelled,
  claimSubmission,
  failed,
  type ProviderState,
  receiveEvent,
  recordCancel,
  recordPoll,
  recordSubmission,
  startVideo,
  type Submission,
  submit,
  succeeded,
} from "../support/generation.ts";
import { acceptJob, cheapModel, settle } from "../support/jobs.ts";
import { times } from "../support/connections.ts";
import { first, type Sql, violations } from "../support/ledger.ts";
import { createPayer, generateVideo } from "../support/videos.ts";
import { cost, endings, free, minutes, spent } from "../support/spending.ts";

/** A database in which one job of somebody else's counts already: what is given back twice would be missed there. */
async function setting(): Promise<TestDatabase> {
  const database = await stillDatabase();
  await submit(database.sql, await startVideo(database.sql));
  return database;
}

for (const [name, [counted, end]] of Object.entries(endings)) {
  Deno.test(`of a submission that ended as ${name}, ${counted === 0 ? "nothing" : "all"} counts`, async () => {
    await using database = await setting();
    const { sql } = database;
    await end(sql, await startVideo(sql), database);
    assert.deepEqual(await spent(sql), [cost + counted]);
    assert.deepEqual(await violations(sql), []);
  });
}

/** Ways in which it is told, and told again, that a submission was not billed. */
const news: Record<string, (sql: Sql, jobId: string, submission: Submission) => Promise<unknown>> = {
  webhook: (sql, _, submission) => receiveEvent(sql, submission, cancelled),
  poll: (sql, _, submission) => recordPoll(sql, submission, cancelled),
  cancellation: (sql, jobId) => recordCancel(sql, jobId, "cancelled"),
  failure: (sql, _, submission) => receiveEvent(sql, submission, free),
};

/** News after which it stays as it is. */
const otherNews: typeof news = {
  deadline: (sql, jobId) => settle(sql, jobId, "failed"),
  "doubtful failure": (sql, _, submission) => receiveEvent(sql, submission, failed),
};

Deno.test("whatever tells that a submission was not billed, in any order, it is given back once", async () => {
  await using database = await setting();
  const { sql } = database;
  const all = { ...news, ...otherNews };
  const orders = Object.keys(all).flatMap((first) =>
    Object.keys(all).filter((second) => first !== second).map((
      second,
    ) => [first, second, ...Object.keys(news)])
  );
  for (const order of orders) {
    const jobId = await startVideo(sql);
    const submission = await submit(sql, jobId);
    assert.deepEqual(await spent(sql), [2 * cost]);
    for (const name of order) await all[name]?.(sql, jobId, submission);
    assert.deepEqual(await spent(sql), [cost], order.join(", "));
  }
});

Deno.test("a success counts once whatever was said before and after it", async () => {
  await using database = await setting();
  const { sql } = database;
  let counted = cost;
  for (const early of [...Object.values(news), ...Object.values(otherNews), null]) {
    const jobId = await startVideo(sql);
    const submission = await submit(sql, jobId);
    await early?.(sql, jobId, submission);
    counted += cost;
    for (let turn = 0; turn < 2; turn++) {
      await receiveEvent(sql, submission, succeeded);
      for (const late of Object.values({ ...news, ...otherNews })) await late(sql, jobId, submission);
      assert.deepEqual(await spent(sql), [counted]);
    }
  }
});

Deno.test("what is given back goes to the day on which it was counted, and a late success counts today", async () => {
  await using database = await setting();
  const { sql } = database;
  const submission = await submit(sql, await startVideo(sql));
  const day = 24 * 60;
  await minutes(database, day);
  await submit(sql, await startVideo(sql));
  assert.deepEqual(await spent(sql), [2 * cost, cost]);
  await receiveEvent(sql, submission, cancelled);
  assert.deepEqual(await spent(sql), [cost, cost]);
  await minutes(database, day);
  await receiveEvent(sql, submission, succeeded);
  assert.deepEqual(await spent(sql), [cost, cost, cost]);
  await receiveEvent(sql, submission, cancelled, "once more");
  assert.deepEqual(await spent(sql), [cost, cost, cost]);
});

Deno.test("a claim at midnight is given back to the day that counted it", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const jobId = await startVideo(sql);
  // Each look at the clock is a second later, so that midnight is anywhere in a claim.
  await sql`
    create sequence testing.looks minvalue -100;
    create or replace function core.now() returns timestamptz language sql volatile security definer set search_path = ''
    as $$ select '2026-11-20 00:00:00+00'::timestamptz + nextval('testing.looks') * interval '1 second' $$;
  `.simple();
  for (let seconds = 1; seconds <= 12; seconds++) {
    await sql`select setval('testing.looks', ${-seconds}, true)`;
    const submissionId = await claimSubmission(sql, jobId) ?? assert.fail("nothing was claimed");
    await recordSubmission(sql, submissionId, { outcome: "not_accepted", cause: "drawn" });
    assert.deepEqual(new Set(await spent(sql)), new Set([0]), `midnight ${seconds} s after the claim began`);
    await sql`update videos.providers set breaker = 'closed', failures = 0`;
    await sql`update queue.tasks set run_at = '2026-11-01', leased_until = null`;
  }
});

Deno.test("claims, endings and news about the same providers at once neither block each other nor lose a cent", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await sql`
    insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents)
    values (${cheapModel}, 2, 'replicate', 'owner/model', 40)`;
  const userId = await createPayer(sql, 1000);
  const run = async (turn: number) => {
    const jobId = await acceptJob(sql, userId);
    const claimed = await claimSubmission(sql, jobId, turn % 2 ? ["fal"] : ["replicate"]);
    if (claimed === null) return;
    const submission = { submissionId: claimed, requestId: `request ${turn}` };
    const provider = turn % 2 ? "fal" : "replicate";
    await recordSubmission(sql, claimed, {
      outcome: "accepted",
      request_id: submission.requestId,
      reports_start: true,
    });
    const state: ProviderState = turn % 3 === 0 ? succeeded : turn % 3 === 1 ? cancelled : failed;
    await Promise.all([
      receiveEvent(sql, submission, state, "an event", provider),
      recordCancel(sql, jobId, turn % 3 === 1 ? "cancelled" : "too_late"),
      recordPoll(sql, submission, state),
    ]);
  };
  await times(60, run);
  const { wrong, given } = await first(sql<{ wrong: number; given: number }[]>`
    select count(*) filter (where (s.counted_on is null) <> (s.request_id = any (${
    Array.from({ length: 60 }, (_, turn) => turn).filter((turn) => turn % 3 === 1).map((turn) =>
      `request ${turn}`
    )
  })))::int as wrong, count(*) filter (where s.counted_on is null)::int as given
    from videos.submissions as s`);
  assert.deepEqual([wrong, given > 0], [0, true]);
  const sums = await sql`
    select s.provider from videos.spending as s
    where s.cents <> (
      select sum(b.cost_cents) from videos.submissions as b where b.provider = s.provider and b.counted_on = s.day
    )`;
  assert.deepEqual([...sums], []);
});

/** What fal's cap is used to, in percent, as the alert has it. */
async function measured(sql: Sql): Promise<number | undefined> {
  const [row] = await sql<{ value: number }[]>`
    select m.value::float as value from ops.measure('spending_percent', '1 day') as m where m.subject = 'fal'`;
  return row?.value;
}

/** Only this model is offered. */
const offerOnly = (sql: Sql, model: string) => sql`update videos.models set is_available = name = ${model}`;

for (
  const [cap, before, left] of [[5000, 4935, 30], [100, 35, 30], [30, 0, 30], [35, 0, 0], [70, 0, 0]] as const
) {
  Deno.test(`of a cap of ${cap} cents it is told that all is spent from the moment on at which no video is to be had any more`, async () => {
    await using database = await stillDatabase();
    const { sql } = database;
    await offerOnly(sql, "Kling 2.5 Turbo Pro");
    await sql`update videos.providers set daily_cap_cents = ${cap} where name = 'fal'`;
    if (before > 0) {
      await sql`insert into videos.spending (provider, day, cents) values ('fal', (core.now() at time zone 'UTC')::date, ${before})`;
    }
    for (let spent: number = before; cap - spent >= cost; spent += cost) {
      assert.equal(await measured(sql), 100 * spent / cap);
      await submit(sql, await startVideo(sql));
    }
    const answer = await generateVideo(sql, await createPayer(sql, 10));
    assert.equal(answer.error, "ERR_6004");
    const [money] = await sql<{ cents: number }[]>`
      select m.cents::int as cents from videos.money_left as m where m.provider = 'fal'`;
    assert.equal(money?.cents, left);
    assert.equal(await measured(sql), 100);
  });
}

Deno.test("what a provider's cheapest video costs is the shortest that it takes, with what makes it cheaper, of models that are offered", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const least = async (provider = "fal") => {
    const { cents } = await first(sql<{ cents: number | null }[]>`
      select videos.least_cents(${provider})::float as cents`);
    return cents;
  };
  assert.equal(await least(), 30);
  assert.equal(await least("runway"), null);
  await offerOnly(sql, "Veo 3 Fast");
  assert.equal(await least(), 40, "four seconds, without sound");
  await sql`update videos.model_providers set takes = '{"duration_seconds": [6, 8]}' where provider_model = 'fal-ai/veo3/fast'`;
  assert.equal(await least(), 60);
  await sql`
    update videos.model_providers set inputs = jsonb_set(inputs, '{seed,cost_factor}', '0.5')
    where provider_model = 'fal-ai/veo3/fast'`;
  assert.equal(await least(), 30);
  await offerOnly(sql, "none");
  assert.equal(await least(), null);
});

Deno.test("of a cap that the operator set to nothing, or of a provider that is off, nothing is told", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await sql`update videos.providers set daily_cap_cents = 0 where name = 'fal'`;
  assert.equal(await measured(sql), undefined);
  await sql`update videos.providers set daily_cap_cents = 10, is_enabled = false where name = 'fal'`;
  assert.equal(await measured(sql), undefined);
});
