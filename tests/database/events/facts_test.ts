/** That each fact is told in the transaction in which it becomes true, once, and that nothing else is. */
import assert from "node:assert/strict";
import {
  channelsOf,
  eventType,
  eventTypeNames,
  isEventType,
} from "../../../supabase/functions/_shared/events/catalogue.ts";
import { closeAccount, tablesWith } from "../support/accounts.ts";
import { manyConnections, times, untilBlocked } from "../support/connections.ts";
import { running, storing } from "../support/endings.ts";
import { deliverAll, eventsOf, type Told, typesOf } from "../support/events.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  cancelled,
  failed,
  receiveEvent,
  recordPoll,
  recordStored,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import { cheapModel } from "../support/jobs.ts";
import { add, deduct, first, rolledBack, type Sql } from "../support/ledger.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";
import { createBuyer, pack, present, refunded, sellPack, transactionOf } from "../support/purchases.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { createPayer } from "../support/videos.ts";

const database = sharedDatabase(async () => {
  const database = await stillDatabase();
  await database.sql`update videos.providers set failures_to_open = 1000`;
  await sellPack(database.sql);
  return database;
});
const { sql } = database;

/** What the user hears of after they had their first credits. */
async function afterCredits(userId: string): Promise<Told[]> {
  const [granted, ...others] = await eventsOf(sql, userId);
  assert.equal(granted?.type, "credits.changed");
  return others;
}

async function everything(sql: Sql): Promise<number> {
  const { rows } = await first(sql<{ rows: number }[]>`
    select (select count(*) from events.log)::int + (select count(*) from events.deliveries)::int
      + (select count(*) from queue.tasks as t where t.kind like 'deliver%')::int as rows`);
  return rows;
}

Deno.test("the types of SQL are those of the catalogue", async () => {
  const types = await sql<{ type: string; days: number; channels: string[] }[]>`
    select t.type, extract(day from t.keep)::int as days, t.channels from unnest(events.types()) as t`;
  assert.deepEqual(
    types.map((type) => ({ ...type })),
    eventTypeNames.map((type) => ({ type, days: eventType(type).keepDays, channels: [...channelsOf(type)] })),
  );
  for (
    const type of ["video.invented", "video", "", "Video.completed", "video.completed ", "#", "video.*", null]
  ) {
    await assert.rejects(
      Promise.resolve(sql`select events.publish(${type}, null, '{}')`),
      { code: "22023" },
      String(type),
    );
  }
});

Deno.test("accepting a video tells nothing; its life is told step by step", async () => {
  const userId = await createPayer(sql, 10);
  const before = await everything(sql);
  const jobId = await startVideo(sql, userId);
  assert.equal(await everything(sql), before);

  const submission = await submit(sql, jobId);
  for (const percent of [3, 9, 10, 9, 10, 19, 47, 39, 40, 46, 47, 100]) {
    await recordPoll(sql, submission, { state: "running", percent });
  }
  await receiveEvent(sql, submission, succeeded);
  await receiveEvent(sql, submission, succeeded);
  await recordStored(sql, jobId);
  await recordStored(sql, jobId);
  const told = await afterCredits(userId);
  const progress = (stage: string, percent: number | null) => ({ job_id: jobId, stage, percent });
  assert.deepEqual(told.slice(0, -1).map(({ type, data }) => [type, data]), [
    ["video.submitted", progress("submitted", null)],
    ["video.started", progress("generating", 3)],
    ["video.progressed", progress("generating", 10)],
    ["video.progressed", progress("generating", 47)],
    ["video.progressed", progress("generating", 100)],
  ]);
  const end = told.at(-1);
  assert.equal(end?.type, "video.completed");
  assert.deepEqual([end.data.status, end.data.credits_used], ["completed", 4]);
});

Deno.test("a provider that does not tell when it begins is taken to have begun", async () => {
  const userId = await createPayer(sql, 10);
  await submit(sql, await startVideo(sql, userId), { reportsStart: false });
  assert.deepEqual((await afterCredits(userId)).map(({ type }) => type), [
    "video.submitted",
    "video.started",
  ]);
});

Deno.test("every ending is told once, whichever it is; one that is rolled back tells nobody", async () => {
  for (const [endings, isStoring] of [[running, false], [storing, true]] as const) {
    for (const [name, ending] of Object.entries(endings)) {
      const userId = await createPayer(sql, 10);
      const jobId = await startVideo(sql, userId);
      const submission = await submit(sql, jobId);
      if (isStoring) await receiveEvent(sql, submission, succeeded);
      // Those that run procedures with transactions of their own cannot be rolled back from outside.
      if (name !== "its deadline passes and nobody cancels") {
        const before = await everything(sql);
        await rolledBack(sql, (sql) => ending.end(sql, jobId, submission));
        assert.equal(await everything(sql), before, name);
      }
      await ending.end(sql, jobId, submission);
      await ending.end(sql, jobId, submission);
      const ends = (await typesOf(sql, userId)).filter((type) => /completed|failed|cancelled/.test(type));
      assert.deepEqual(ends, [`video.${ending.status}`], name);
    }
  }
});

Deno.test("what the user wrote into a model's own inputs is told nobody, by no channel", async () => {
  const written = "nobody who is named";
  const userId = await createPayer(sql, 10);
  const { job_id } = await first(sql<{ job_id: string }[]>`
    select api.generate_video(
      ${userId}, '192.0.2.1', ${crypto.randomUUID()}, ${"f".repeat(64)}, 'request', ${cheapModel}, 'a prompt',
      ${sql.json({ negative_prompt: written })}, null
    ) #>> '{data,job_id}' as job_id`);
  await receiveEvent(sql, await submit(sql, job_id), succeeded);
  await recordStored(sql, job_id);
  assert.deepEqual(await deliverAll(sql, userId), ["delivered"]);
  const tables = await tablesWith(database, written);
  assert.deepEqual(tables.filter((table) => /^(events|notify|realtime)\./.test(table)), []);
  assert(tables.includes("videos.jobs"));
});

Deno.test("whoever has Realtime's table holds up no end: the message is lost, and the event is not", async () => {
  const userId = await createPayer(sql, 10);
  const submission = await submit(sql, await startVideo(sql, userId));
  await using others = manyConnections(database);
  await using settler = manyConnections(database);
  await others.begin(async (other) => {
    await other`lock table realtime.messages in access exclusive mode`;
    await settler.begin(async (sql) => {
      await sql`set local statement_timeout = '5s'`;
      await receiveEvent(sql, submission, failed);
    });
  });
  assert.deepEqual((await typesOf(sql, userId)).slice(-2).sort(), ["credits.changed", "video.failed"]);
  const sent = await sql`
    select from realtime.messages as m
    where m.topic = ${`user:${userId}`} and m.payload ->> 'action' in ('failed', 'changed')
      and m.payload #>> '{data,kind}' is distinct from 'grant'`;
  assert.equal(sent.length, 0);
});

Deno.test("of all endings at once, the one that ended the job is told", async () => {
  await using crowd = manyConnections(database);
  for (let round = 0; round < 3; round++) {
    const userId = await createPayer(sql, 10);
    const jobId = await startVideo(sql, userId);
    const submission = await submit(sql, jobId);
    await receiveEvent(sql, submission, succeeded);
    await Promise.all(
      [...Object.values(storing), ...Object.values(storing)].map(({ end }) => end(crowd, jobId, submission)),
    );
    const { status } = await first(sql<{ status: string }[]>`
      select j.status from videos.jobs as j where j.id = ${jobId}`);
    const ends = (await typesOf(sql, userId)).filter((type) => /completed|failed|cancelled/.test(type));
    assert.deepEqual(ends, [`video.${status}`]);
  }
});

Deno.test("what moves the balance is told with what is left, but for holds and captures", async () => {
  const userId = await createPayer(sql, 10);
  const lost = await submit(sql, await startVideo(sql, userId));
  await receiveEvent(sql, lost, failed);
  const done = await startVideo(sql, userId);
  await receiveEvent(sql, await submit(sql, done), succeeded);
  await recordStored(sql, done);
  await deduct(sql, userId, 2, crypto.randomUUID());
  await add(sql, userId, 5);
  const told = (await eventsOf(sql, userId)).filter(({ type }) => type === "credits.changed");
  assert.deepEqual(told.map(({ data }) => [data.kind, data.amount, data.credits_remaining]), [
    ["grant", 10, 10],
    ["release", 4, 10],
    ["adjustment", -2, 4],
    ["grant", 5, 9],
  ]);
  assert.equal(told[1]?.data.job_id === null, false);
});

Deno.test("a purchase is told when it is credited, and each time that Apple takes more of it back", async () => {
  const buyer = await createBuyer(database);
  const bought = transactionOf();
  await present(sql, buyer.userId, bought);
  await present(sql, buyer.userId, bought);
  await present(sql, buyer.userId, refunded(bought, 30, "2026-11-21T12:00:00.000Z"));
  await present(sql, buyer.userId, refunded(bought, 30, "2026-11-21T13:00:00.000Z"));
  await present(sql, buyer.userId, refunded(bought, 100, "2026-11-22T12:00:00.000Z"));
  const told = (await eventsOf(sql, buyer.userId)).filter(({ type }) => type.startsWith("purchase."));
  const purchase = { transaction_id: bought.transaction_id, product_id: pack };
  assert.deepEqual(told.map(({ type, data }) => [type, data]), [
    ["purchase.credited", { ...purchase, credits: 100 }],
    ["purchase.refunded", { ...purchase, credits: 30 }],
    ["purchase.refunded", { ...purchase, credits: 100 }],
  ]);
});

Deno.test("a merge is told to the heir, with what the guest heard before", async () => {
  const guest = await signedInGuest(database, 10);
  const heir = await createHeir(sql, 1);
  await mergeGuest(sql, heir, guest);
  await mergeGuest(sql, heir, guest);
  assert.deepEqual(await typesOf(sql, guest.id), []);
  const told = await eventsOf(sql, heir);
  const merged = told.filter(({ type }) => type === "account.merged");
  assert.deepEqual(merged.map(({ data }) => data), [{
    user_id: heir,
    merged_user_id: guest.id,
    credits_moved: 10,
    jobs_moved: 0,
    credits_remaining: 11,
    is_recovery: false,
  }]);
  assert.deepEqual(
    told.filter(({ data }) => data.kind === "merge").map(({ data }) => [data.amount, data.credits_remaining]),
    [[10, 11]],
  );
});

Deno.test("a closed account is told once, as nobody's; its running videos end, and its credits are not told of", async () => {
  const userId = await createPayer(sql, 10);
  const jobId = await startVideo(sql, userId);
  await times(4, () => closeAccount(sql, userId));
  const closed = await sql<Told[]>`
    select l.user_id, l.data from events.log as l
    where l.type = 'account.closed' and l.data ->> 'user_id' = ${userId}`;
  assert.equal(closed.length, 1);
  assert.equal(closed[0]?.user_id, null);
  const told = await afterCredits(userId);
  assert.deepEqual(told.map(({ type, data }) => [type, data.job_id]), [["video.cancelled", jobId]]);
});

Deno.test("an alert is told when it is raised, and not each time that it is met; when somebody knows of it, and when it is taken back", async () => {
  const subject = crypto.randomUUID();
  for (let time = 0; time < 3; time++) {
    await sql`select ops.raise_alert('provider_refuses', ${subject}, '{}')`;
  }
  for (let time = 0; time < 2; time++) {
    await sql`select ops.acknowledge_alert(a.id, true) from ops.alerts as a where a.subject = ${subject}`;
  }
  for (let time = 0; time < 2; time++) await sql`select ops.withdraw_alert('provider_refuses', ${subject})`;
  const told = await sql<{ type: string }[]>`
    select l.type from events.log as l where l.data ->> 'subject' = ${subject} order by l.type`;
  assert.deepEqual(told.map(({ type }) => type), ["alert.acknowledged", "alert.raised", "alert.resolved"]);
});

Deno.test("an alert that two meet at the same time is one, and is told once", async () => {
  await using crowd = manyConnections(database);
  const subject = crypto.randomUUID();
  const raise = async (sql: Sql) => await sql`select ops.raise_alert('provider_refuses', ${subject}, '{}')`;
  let second: Promise<unknown> | undefined;
  await crowd.begin(async (first) => {
    await raise(first);
    second = raise(crowd);
    await Promise.race([second, untilBlocked(sql)]);
  });
  await second;
  const told = await sql`select from events.log as l where l.data ->> 'subject' = ${subject}`;
  const counts = await sql<
    { count: number }[]
  >`select a.count from ops.alerts as a where a.subject = ${subject}`;
  assert.deepEqual([told.length, counts.map(({ count }) => count)], [1, [2]]);
});

Deno.test("a report is told when it is made, once", async () => {
  for (let time = 0; time < 2; time++) await sql`select ops.make_report('weekly 2026-11-16')`;
  const told = await sql<Told[]>`
    select l.user_id, l.data from events.log as l where l.type = 'report.made'`;
  assert.deepEqual(told.map(({ user_id, data }) => [user_id, data.kind, data.begins_on]), [
    [null, "weekly", "2026-11-16"],
  ]);
});

Deno.test("a webhook is told of a test, and nobody else is", async () => {
  const ids = [crypto.randomUUID(), crypto.randomUUID()];
  for (const id of ids) await sql`select webhooks.add(${id}, 'https://hooks.example.com/', '{#}', 'v1.eA==')`;
  const [webhookId = ""] = ids;
  await sql`select events.tell('webhook.test', ${
    sql.json({ webhook_id: webhookId })
  }, 'webhook', ${webhookId})`;
  const told = await sql<{ target: string }[]>`
    select d.target from events.deliveries as d join events.log as l on l.id = d.event_id
    where l.type = 'webhook.test'`;
  assert.deepEqual(told.map(({ target }) => target), [webhookId]);
  await sql`delete from webhooks.webhooks`;
});

Deno.test("every type of the catalogue was told here, in the form that it declares, and none with a prompt or an open URL", async () => {
  const cancelling = await submit(sql, await startVideo(sql));
  await sql`update videos.jobs set cancel_requested_at = core.now() where id = (
    select s.job_id from videos.submissions as s where s.id = ${cancelling.submissionId})`;
  await receiveEvent(sql, cancelling, cancelled);
  const told = await sql<Told[]>`select l.type, l.data from events.log as l`;
  assert.deepEqual(
    [...new Set(told.map(({ type }) => type))].sort(),
    eventTypeNames.toSorted(),
    "a type that nothing here tells needs a test of its own",
  );
  for (const { type, data } of told) {
    assert(isEventType(type), type);
    const { error } = eventType(type).data.safeParse(data);
    assert.equal(error, undefined, `${type}: ${JSON.stringify(data)}: ${error?.message}`);
    assert.doesNotMatch(JSON.stringify(data), /a prompt|https:/, type);
  }
});
