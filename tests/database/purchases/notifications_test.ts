import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { manyConnections, times } from "../support/connections.ts";
import { balancesOf, first, type Sql } from "../support/ledger.ts";
import {
  createBuyer,
  notificationOf,
  notify,
  outcomeOf,
  present,
  refunded,
  sellPack,
  transactionOf,
} from "../support/purchases.ts";
import { runTask } from "../support/scheduled-tasks.ts";

async function unhandled(sql: Sql): Promise<number> {
  const { count } = await first(sql<{ count: number }[]>`
    select count(*)::integer as count from purchases.notifications as n where n.handled_at is null`);
  return count;
}

Deno.test("a notification is stored and handled once, however often and from wherever it comes", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  await sellPack(sql);
  const { userId, token } = await createBuyer(database);
  const notification = notificationOf("ONE_TIME_CHARGE", transactionOf({ app_account_token: token }));
  const effects = await times(16, async (index) => {
    if (index % 4 > 0) return await notify(sql, notification);
    const page = sql.json([{ ...notification }]);
    await sql`select api.record_notification_history('production', ${page})`;
    return "read";
  });
  assert(effects.filter((effect) => effect === "handled").length <= 1);
  await runTask(sql, "handle_notifications");
  assert.equal(await unhandled(sql), 0);
  assert.equal((await balancesOf(sql, userId)).available, 100);
});

Deno.test("a notification of a type that nobody knows, or about nothing of ours, is stored and done with", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  for (const type of ["TEST", "NOT_YET_INVENTED", "EXTERNAL_PURCHASE_TOKEN", "PRICE_INCREASE"]) {
    assert.equal(await notify(sql, notificationOf(type, null)), "handled", type);
  }
  assert.equal(await notify(sql, notificationOf("CONSUMPTION_REQUEST", null)), "handled");
  assert.equal(await notify(sql, notificationOf("RESCIND_CONSENT", null)), "handled");
  assert.equal(await unhandled(sql), 0);
});

Deno.test("what cannot be handled is stored, recorded, and handled by the tick once it can be", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const { userId, token } = await createBuyer(database);
  await sql`alter table purchases.transactions add constraint broken check (false) not valid`;
  const notification = notificationOf("ONE_TIME_CHARGE", transactionOf({ app_account_token: token }));
  assert.equal(await notify(sql, notification), "stored");
  assert.equal(await notify(sql, notification), "replayed");
  const { errors } = await first(sql<{ errors: number }[]>`
    select count(*)::integer as errors from ops.error_log as e where e.endpoint = 'app-store-notifications'`);
  assert.equal(errors, 1);
  await runTask(sql, "handle_notifications");
  assert.equal(await unhandled(sql), 1);
  await sql`alter table purchases.transactions drop constraint broken`;
  await database.advance(3_600_000);
  await runTask(sql, "handle_notifications");
  assert.equal(await unhandled(sql), 0);
  assert.equal((await balancesOf(sql, userId)).available, 100);
});

Deno.test("every third lost, every third doubled, all late and shuffled: with Apple's history it ends as if all had come in order", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const ends: string[][] = [];
  for (const isClean of [true, false]) {
    const buyers = await times(4, () => createBuyer(database));
    const told = buyers.flatMap(({ token }, index) => {
      const bought = transactionOf({ app_account_token: token });
      const half = refunded(bought, 50, "2026-11-21T00:00:00.000Z");
      const undone = { ...bought, signed_at: "2026-11-22T00:00:00.000Z" };
      const all = refunded(bought, 100, "2026-11-23T00:00:00.000Z");
      const messages = [bought, half, undone, all].slice(0, index + 1);
      return messages.map((transaction) => notificationOf("ANY", transaction));
    });
    if (isClean) { for (const notification of told) await notify(sql, notification); }
    else {
      // Backwards: whoever is refunded is refunded before they bought.
      for (const [index, notification] of told.toReversed().entries()) {
        for (let sent = 0; sent < index % 3; sent++) await notify(sql, notification);
      }
      const page = sql.json(told.map((notification) => ({ ...notification })));
      const { missing } = await first(sql<{ missing: number }[]>`
        select (api.record_notification_history('production', ${page}, core.now()) #>> '{data,missing}')::integer as missing`);
      assert.equal(missing, Math.ceil(told.length / 3));
      await runTask(sql, "handle_notifications");
    }
    ends.push(
      await Promise.all(buyers.map(async ({ userId }) => {
        const { available, owed } = await balancesOf(sql, userId);
        return `${available} ${owed}`;
      })),
    );
  }
  assert.deepEqual(ends[0], ["100 0", "50 0", "100 0", "0 0"]);
  assert.deepEqual(ends[1], ends[0]);
});

Deno.test("the history is read from where it was known, an hour before, and forward only", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const load = async (environment: string) => {
    const { from, ago } = await first(sql<{ from: Date; ago: number }[]>`
      select (h.data ->> 'read_from')::timestamptz as from,
        extract(epoch from core.now() - (h.data ->> 'read_from')::timestamptz)::integer as ago
      from (select api.load_notification_history(${environment}) -> 'data' as data) as h`);
    return { from, ago };
  };
  assert.equal((await load("production")).ago, 29 * 86_400);
  const until = new Date("2026-11-25T12:00:00Z");
  await sql`select api.record_notification_history('production', '[]', ${until})`;
  await sql`select api.record_notification_history('production', '[]', ${new Date("2026-11-24T12:00:00Z")})`;
  assert.equal((await load("production")).from.toISOString(), "2026-11-25T11:00:00.000Z");
  assert.equal((await load("sandbox")).ago, 29 * 86_400, "each environment has its own");
  // Of a project that slept for long, what Apple still tells: 180 days, and 30 in the sandbox; a day earlier is refused for good.
  for (const [environment, days] of [["production", 180], ["sandbox", 30]] as const) {
    await sql`
      insert into purchases.history_reads as h (environment, read_until) values (${environment}, core.now() - interval '400 days')
      on conflict (environment) do update set read_until = excluded.read_until`;
    const { ago } = await load(environment);
    assert(ago < days * 86_400 - 3_600, environment);
    assert(ago > 28 * 86_400, environment);
  }
});

Deno.test("the history is asked for once an hour, by one task", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  for (let count = 0; count < 3; count++) await runTask(sql, "read_notification_history");
  const tasks = await sql`select from queue.tasks as t where t.kind = 'read_notification_history'`;
  assert.equal(tasks.length, 1);
});

Deno.test("consent that was rescinded suspends who bought or came with that Apple Account, once, and the operator sees it", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const child = await createBuyer(database);
  const other = await createBuyer(database);
  await present(sql, child.userId, transactionOf({ app_transaction_id: "704000000000000007" }));
  await present(sql, other.userId, transactionOf({ app_transaction_id: "704000000000000008" }));
  // Who never bought anything came with it to a device check.
  const sibling = await createBuyer(database);
  for (const [userId, app_transaction_id] of [[sibling.userId, "704000000000000007"], [other.userId, "9"]]) {
    const app = { environment: "production", app_transaction_id };
    await sql`select devices.note_app_transaction(${userId ?? ""}, ${sql.json(app)})`;
  }
  for (let count = 0; count < 2; count++) {
    const app_data = { app_transaction_id: "704000000000000007" };
    assert.equal(await notify(sql, notificationOf("RESCIND_CONSENT", null, { app_data })), "handled");
  }
  assert.equal(outcomeOf(await present(sql, child.userId, transactionOf())), "ERR_4017");
  assert.equal(outcomeOf(await present(sql, other.userId, transactionOf())), "credited");
  const actions = await sql<{ user_id: string; action: string }[]>`
    select a.user_id, a.action from ops.admin_actions as a order by a.user_id`;
  const suspended = [child.userId, sibling.userId].sort();
  assert.deepEqual([...actions], suspended.map((user_id) => ({ user_id, action: "ban" })));
  const alerts = await sql`select from ops.open_alerts as a where a.rule = 'consent_rescinded'`;
  assert.equal(alerts.length, 1);
});
