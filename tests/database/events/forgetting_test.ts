/** What was told of a video goes when its user deletes it, and events with all that belongs to them when their time is over. */
import assert from "node:assert/strict";
import {
  claimErasure,
  closeAccount,
  createGuest,
  eraseAccount,
  tablesWith,
  untilErasable,
} from "../support/accounts.ts";
import { manyConnections, untilBlocked } from "../support/connections.ts";
import { deliverAll, deliveriesOf, deliverInbox, eventsOf, inboxOf, publish } from "../support/events.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  claimTasks,
  failed,
  receiveEvent,
  recordStored,
  retryTask,
  submit,
  succeeded,
} from "../support/generation.ts";
import { cheapModel } from "../support/jobs.ts";
import { add, first } from "../support/ledger.ts";
import { sweepRule } from "../support/retention.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { setKind } from "../support/tasks.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance } = database;
const day = 86_400_000;

/** A job that has ended, with this reference. */
async function ended(
  userId: string,
  reference: string,
  end: "completed" | "failed" | "cancelled",
): Promise<string> {
  await add(sql, userId, 4);
  const { job_id } = await first(sql<{ job_id: string }[]>`
    select api.generate_video(
      ${userId}, '192.0.2.1', ${crypto.randomUUID()}, ${"f".repeat(64)}, 'request', ${cheapModel},
      'a prompt', '{}', null, p_client_reference => ${reference}
    ) #>> '{data,job_id}' as job_id`);
  if (end === "cancelled") await sql`select api.cancel_video(${userId}, ${job_id})`;
  else {
    await receiveEvent(sql, await submit(sql, job_id), end === "failed" ? failed : succeeded);
    if (end === "completed") await recordStored(sql, job_id);
  }
  return job_id;
}

/** As the API deletes it. */
async function deleteJob(userId: string, jobId: string): Promise<void> {
  const { error } = await first(sql<{ error: string | null }[]>`
    select api.delete_video_job(${userId}, ${jobId}) ->> 'error' as error`);
  assert.equal(error, null);
}

/** Where Realtime told it, the platform deletes it after three days. */
async function toldIn(text: string): Promise<string[]> {
  return (await tablesWith(database, text)).filter((table) => /^(events|notify|queue)\./.test(table));
}

Deno.test("what a user wrote is in no event and no inbox from when they delete the job, however it ended and whoever was told", async () => {
  for (const end of ["completed", "failed", "cancelled"] as const) {
    for (const delivered of [true, false]) {
      const userId = await createGuest(database);
      const kept = await ended(userId, `kept ${crypto.randomUUID()}`, end);
      const reference = `canary ${crypto.randomUUID()}`;
      const jobId = await ended(userId, reference, end);
      if (delivered) await deliverAll(sql, userId);
      assert(await toldIn(reference).then((tables) => tables.includes("events.log")), "it was told");
      await deleteJob(userId, jobId);
      assert.deepEqual(
        await toldIn(reference),
        [],
        `${end}, ${delivered ? "delivered" : "not yet delivered"}`,
      );
      // Nor afterwards.
      await deliverAll(sql, userId);
      const left = end === "cancelled" ? [] : [kept];
      const { notifications } = await inboxOf(sql, userId);
      assert.deepEqual(notifications.map(({ data }) => data.job_id), left, end);
      const deliveries = await deliveriesOf(sql, userId);
      assert.equal(deliveries.length, left.length);
      // The fact stays for those who count it, in the form that its type has.
      const events = (await eventsOf(sql, userId)).filter(({ data }) => data.job_id === jobId);
      assert.equal(events.some(({ type }) => type === `video.${end}`), true);
      const requests = await sql`
        select from events.log as l
        where l.data ->> 'job_id' = ${jobId} and l.type like 'video.%' and l.metadata ? 'request_id'`;
      assert.equal(requests.length, 0);
    }
  }
});

Deno.test("other receivers hear of a deleted job, without what its user wrote", async () => {
  await sql`
    insert into events.channels (channel, kind) values ('server', 'deliver_inbox')`;
  const target = crypto.randomUUID();
  await sql`
    insert into events.subscriptions (pattern, channel, target, priority) values ('video.completed', 'server', ${target}, 5)`;
  const userId = await createGuest(database);
  const jobId = await ended(userId, "canary of the server", "completed");
  await deleteJob(userId, jobId);
  const deliveries = await deliveriesOf(sql, userId);
  assert.deepEqual(deliveries.map((delivery) => delivery.target), [target]);
  const { data } = await first(sql<{ data: Record<string, unknown> }[]>`
    select (events.of_delivery(${deliveries[0]?.id ?? ""})).data`);
  assert.deepEqual([data.job_id, data.client_reference], [jobId, null]);
  await sql`delete from events.subscriptions where channel = 'server'`;
});

Deno.test("a notification that is being written when its job is deleted goes, too; one that comes late is not written", async () => {
  for (const order of ["the worker first", "the user first"]) {
    await using others = manyConnections(database);
    const userId = await createGuest(database);
    const jobId = await ended(userId, "a reference", "completed");
    const [delivery] = await deliveriesOf(sql, userId);
    const [task] = await claimTasks(sql, 1, delivery?.id ?? null);
    assert(task !== undefined);
    const deliver = (sql: Parameters<typeof deliverInbox>[0]) => deliverInbox(sql, task);
    const forget = async (sql: Parameters<typeof deliverInbox>[0]) => {
      await sql`select api.delete_video_job(${userId}, ${jobId})`;
    };
    const [one, other] = order === "the worker first" ? [deliver, forget] : [forget, deliver];
    let second: Promise<unknown> | undefined;
    await others.begin(async (holder) => {
      await one(holder);
      second = other(others);
      await untilBlocked(sql);
    });
    await second;
    assert.deepEqual((await inboxOf(sql, userId)).notifications, [], order);
    assert.equal((await deliveriesOf(sql, userId)).length, 0, order);
  }
});

Deno.test("of a deleted job nothing is left in events when what it said is swept, however short that rule is", async () => {
  const userId = await createGuest(database);
  const jobId = await ended(userId, "swept", "completed");
  const other = await ended(userId, "stays", "completed");
  await deleteJob(userId, jobId);
  await sql`update videos.assets set deleted_at = core.now() where job_id = ${jobId}`;
  await sql`update ops.retention_rules set keep = '1 day' where name = 'deleted_jobs'`;
  await advance(day + 1000);
  assert(await sweepRule(sql, "deleted_jobs") >= 1);
  const about = new Set((await eventsOf(sql, userId)).map(({ data }) => data.job_id));
  assert.deepEqual([about.has(jobId), about.has(other)], [false, true]);
});

Deno.test("a deleted job of which an event is somebody's at that moment is swept the next time, with the event", async () => {
  const userId = await createGuest(database);
  const jobId = await ended(userId, "met by a worker", "completed");
  await deleteJob(userId, jobId);
  await sql`update videos.assets set deleted_at = core.now() where job_id = ${jobId}`;
  await sql`update ops.retention_rules set keep = '1 day' where name = 'deleted_jobs'`;
  await advance(day + 1000);
  const left = async () => (await eventsOf(sql, userId)).filter(({ data }) => data.job_id === jobId).length;
  await using others = manyConnections(database);
  await others.begin(async (worker) => {
    await worker`select from events.log as l where l.data ->> 'job_id' = ${jobId} for update`;
    await sweepRule(sql, "deleted_jobs");
    assert(await left() > 0);
  });
  await sweepRule(sql, "deleted_jobs");
  assert.equal(await left(), 0);
  const { prompt } = await first(sql`select j.prompt from videos.jobs as j where j.id = ${jobId}`);
  assert.equal(prompt, "");
});

Deno.test("an event takes its deliveries with it, and their tasks, dead letters too", async () => {
  await setKind(sql, "deliver_inbox", { tries: 1, base: 10 });
  const userId = await createGuest(database);
  await sql`delete from events.log`;
  await sql`delete from queue.tasks`;
  // One dies, one waits, one was delivered; and one of another type stays longer.
  const ids = [];
  for (let event = 0; event < 3; event++) ids.push(await publish(sql, "video.failed", userId));
  const [dead, waiting, delivered] = await Promise.all(ids.map((id) => deliveriesOf(sql, id)));
  const [lost] = await claimTasks(sql, 1, dead?.[0]?.id ?? null);
  assert(lost !== undefined);
  assert.equal(await retryTask(sql, lost), "dead");
  const [done] = await claimTasks(sql, 1, delivered?.[0]?.id ?? null);
  assert(done !== undefined);
  assert.equal(await deliverInbox(sql, done), "delivered");
  const longer = await publish(sql, "purchase.credited", userId);
  await advance(30 * day + 1000);
  assert.equal(await sweepRule(sql, "events"), 2, "what is not told yet stays");
  const [late] = await claimTasks(sql, 1, waiting?.[0]?.id ?? null);
  assert(late !== undefined);
  assert.equal(await deliverInbox(sql, late), "delivered");
  assert.equal(await sweepRule(sql, "events"), 1);
  const left = await sql<
    { subject: string }[]
  >`select t.subject from queue.tasks as t where t.kind like 'deliver%'`;
  assert.deepEqual(left.map(({ subject }) => subject), (await deliveriesOf(sql, longer)).map(({ id }) => id));
  const orphans = await sql`
    select from queue.tasks as t where t.kind = 'deliver_inbox'
      and not exists (select from events.deliveries as d where d.id = t.subject)`;
  assert.equal(orphans.length, 0);
});

Deno.test("what is sent again while the sweep of events is at it is told: the sweep asks anew once it has the deliveries", async () => {
  const userId = await createGuest(database);
  const [again, over] = [
    await publish(sql, "video.failed", userId),
    await publish(sql, "video.failed", userId),
  ];
  await deliverAll(sql, userId);
  await sql`update events.log set expires_at = core.now() where id in (${again}, ${over})`;
  const [delivery] = await deliveriesOf(sql, again);
  assert(delivery !== undefined);
  await using others = manyConnections(database);
  let swept: Promise<number> | undefined;
  await others.begin(async (operator) => {
    // The sweep has begun, and reads what was so then, when it waits to look at its first delivery.
    await operator`lock table events.deliveries in access exclusive mode`;
    swept = sweepRule(others, "events");
    await untilBlocked(sql);
    const [{ found } = assert.fail("no answer")] = await operator<{ found: boolean }[]>`
      select events.deliver_again(${delivery.id}) as found`;
    assert.equal(found, true);
  });
  assert.equal(await swept, 1);
  const left = async (eventId: string) =>
    (await sql`select from events.log as l where l.id = ${eventId}`).length;
  assert.deepEqual([await left(again), await left(over)], [1, 0]);
  const [task] = await claimTasks(sql, 1, delivery.id);
  assert(task !== undefined, "it is to be told");
  assert.equal(await deliverInbox(sql, task), "delivered");
  assert.equal(await sweepRule(sql, "events"), 1);
});

Deno.test("the sweep of events and an erasure that meet at the same rows both end: the sweep waits for nobody", async () => {
  const userId = await createGuest(database);
  const eventId = await publish(sql, "video.failed", userId);
  await sql`update events.log set expires_at = core.now() where id = ${eventId}`;
  await using others = manyConnections(database);
  await others.begin(async (erasure) => {
    // In the order of an erasure: by the tables' names.
    await erasure`delete from events.deliveries where event_id = ${eventId}`;
    const swept = sweepRule(others, "events");
    assert.equal(await Promise.race([swept, untilBlocked(sql).then(() => "it waits")]), 0);
    await erasure`delete from events.log where id = ${eventId}`;
  });
  assert.equal(await sweepRule(sql, "events"), 0);
});

Deno.test("the sweep of deleted jobs and an erasure that meet at the same job both end: each takes the job first", async () => {
  const userId = await createGuest(database);
  const jobId = await ended(userId, "met", "completed");
  await deleteJob(userId, jobId);
  await sql`update videos.assets set deleted_at = core.now() where job_id = ${jobId}`;
  await closeAccount(sql, userId);
  await advance(untilErasable);
  const task = await claimErasure(sql, userId);
  assert(task);
  await using others = manyConnections(database);
  let erasure: Promise<string> | undefined;
  await others.begin(async (sweep) => {
    await sweep`select from videos.jobs as j where j.id = ${jobId} for update`;
    erasure = eraseAccount(others, task);
    await untilBlocked(sql);
    // What the sweep goes on with must be free.
    await sweep`set local lock_timeout = '1s'`;
    await sweep`select videos.blank_jobs(array[${jobId}::uuid])`;
  });
  assert.equal(await erasure, "erased");
});
