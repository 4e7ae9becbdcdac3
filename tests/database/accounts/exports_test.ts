/** What an export tells: of the tables and columns of accounts.privacy_classes, the user's own, all of it, and nothing of others. */
import assert from "node:assert/strict";
import { type TestDatabase, testDatabase } from "../harness.ts";
import { createGuest } from "../support/accounts.ts";
import { claimAndGrant } from "../support/devices.ts";
import {
  claimTasks,
  receiveEvent,
  recordStored,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import type { Sql } from "../support/ledger.ts";
import { first } from "../support/ledger.ts";
import { notificationOf, notify, present, sellPack, transactionOf } from "../support/purchases.ts";

interface Page {
  text: string;
  next: string[] | null;
}

/** A user with rows in most tables, all of which name their canary where they can. */
async function createUser(
  database: TestDatabase,
  canary: string,
  network: string,
): Promise<{ id: string; jobId: string }> {
  const { sql } = database;
  const id = await createGuest(database, 100);
  await sql`update accounts.users set display_name = ${canary} where id = ${id}`;
  const jobId = await startVideo(sql, id);
  await sql`update videos.jobs set prompt = ${canary}, video_url = 'https://key-to-the-file' where id = ${jobId}`;
  const submission = await submit(sql, jobId);
  await receiveEvent(sql, submission, succeeded);
  const [task] = await claimTasks(sql, 1, jobId);
  await recordStored(sql, jobId, task);
  assert(await claimAndGrant(sql, network, id));
  const bought = transactionOf({ app_transaction_id: `70400000000000${network.replaceAll(".", "")}` });
  await present(sql, id, bought);
  await notify(sql, notificationOf("ONE_TIME_CHARGE", bought));
  return { id, jobId };
}

async function tables(sql: Sql): Promise<string[]> {
  return (await sql`select t.relation from accounts.exported_tables() as t (relation)`).map(({ relation }) =>
    relation
  );
}

/** All rows that an export tells of a table, in pages of so many. */
async function rowsOf(
  sql: Sql,
  userId: string,
  table: string,
  limit = 500,
): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  let after: string[] | null = null;
  do {
    const { page }: { page: Page } = await first(sql<{ page: Page }[]>`
      select accounts.export_page(${userId}, ${table}, ${
      after === null ? null : sql.json(after)
    }, ${limit}) as page`);
    const more = JSON.parse(`[${page.text}]`);
    assert(more.length <= limit);
    rows.push(...more);
    after = page.next;
  } while (after !== null);
  return rows;
}

Deno.test("an export tells every row that is the user's, with every column but those that have a reason not to be told", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const user = await createUser(database, "canary of the user", "192.0.2.1");
  const personal = await sql<{ relation: string; rows_of: string }[]>`
    select t.relation, t.rows_of from accounts.personal_tables as t order by t.relation`;
  // That somebody is under a legal hold is the operator's affair.
  const all = personal.map(({ relation }) => relation).filter((relation) => relation !== "safety.holds");
  assert.deepEqual(await tables(sql), all);
  const withheld = await sql<{ relation: string; column_name: string; withheld: string }[]>`
    select c.relation, c.column_name, c.withheld from accounts.privacy_classes as c where c.withheld is not null`;
  const told: string[] = [];
  for (const { relation, rows_of } of personal) {
    const there = await sql.unsafe(
      `select to_jsonb(t) as row from ${relation} as t where ${
        rows_of.replaceAll("$1", `'{${user.id}}'::uuid[]`)
      }`,
    );
    const own = withheld.filter((each) => each.relation === relation).map(({ column_name }) => column_name);
    const expected = there.map(({ row }) =>
      JSON.stringify(
        Object.fromEntries(Object.entries(row).filter(([name]) => !own.includes(name)).sort()),
      )
    );
    const rows = (await rowsOf(sql, user.id, relation)).map((row) =>
      JSON.stringify(Object.fromEntries(Object.entries(row).sort()))
    );
    assert.deepEqual(rows.sort(), expected.sort(), relation);
    if (rows.length > 0) told.push(relation);
  }
  for (
    const relation of [
      ...["accounts.users", "credits.accounts", "credits.lots", "credits.transfers", "devices.grants"],
      ...["purchases.notifications", "purchases.transactions", "videos.assets", "videos.jobs"],
      ...["videos.provider_events", "videos.submissions"],
    ]
  ) assert(told.includes(relation), `nothing is told of ${relation}`);
  const text = JSON.stringify(
    await Promise.all((await tables(sql)).map((table) => rowsOf(sql, user.id, table))),
  );
  assert(text.includes("canary of the user"));
  assert(!text.includes("key-to-the-file"));
});

Deno.test("a column that is new, and has a class, is told without another word", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const userId = await createGuest(database);
  await startVideo(sql, userId);
  await sql`alter table videos.jobs add column mood text default 'canary mood'`;
  await sql`
    insert into accounts.privacy_classes (relation, column_name, class, on_merge, reason)
    values ('videos.jobs', 'mood', 'blanked', 'moves', 'how the user felt')`;
  await sql`create table accounts.friends (user_id uuid, friend text, primary key (user_id, friend))`;
  await sql`insert into accounts.friends values (${userId}, 'canary friend'), (${crypto.randomUUID()}, 'another')`;
  await sql`insert into accounts.personal_tables values ('accounts.friends', 't.user_id = any ($1)')`;
  await sql`
    insert into accounts.privacy_classes (relation, column_name, class, on_merge, reason)
    values ('accounts.friends', 'friend', 'erased', 'stays', 'whom the user knows')`;
  assert((await rowsOf(sql, userId, "videos.jobs")).every(({ mood }) => mood === "canary mood"));
  assert((await tables(sql)).includes("accounts.friends"));
  assert.deepEqual(await rowsOf(sql, userId, "accounts.friends"), [{
    user_id: userId,
    friend: "canary friend",
  }]);
});

Deno.test("an export tells nothing of others, though they bought, made and did the same", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const user = await createUser(database, "canary of the user", "192.0.2.1");
  const other = await createUser(database, "canary of another", "192.0.2.2");
  const admin = await createGuest(database, 0);
  await sql`
    insert into ops.admin_actions (action, admin_id, user_id, reason, created_at)
    values ('ban', ${admin}, ${user.id}, 'about them', core.now())`;
  const texts = new Map<string, string>();
  for (const table of [...await tables(sql), "videos"]) {
    const rows = table === "videos"
      ? await first(sql<{ text: string }[]>`
        select videos.export_page(accounts.with_guests(${user.id}), null, 500) ->> 'text' as text`).then((
        { text },
      ) => text)
      : JSON.stringify(await rowsOf(sql, user.id, table));
    texts.set(table, rows);
  }
  const { ids } = await first(sql<{ ids: string[] }[]>`
    select array_agg(i.id) as ids from (
      select u.id::text from accounts.users as u where u.id in (${other.id}, ${admin})
      union all select u.reference::text from accounts.users as u where u.id in (${other.id}, ${admin})
      union all select u.app_account_token::text from accounts.users as u where u.id in (${other.id}, ${admin})
      union all select j.id::text from videos.jobs as j where j.user_id = ${other.id}
      union all select t.transaction_id from purchases.transactions as t where t.owner_id = ${other.id}
      union all select t.id::text from credits.transfers as t where t.owner_id = ${other.id}
      union all values ('canary of another')
    ) as i (id)
    -- Counted ids are too short to be told from other numbers.
    where char_length(i.id) > 9`);
  assert(ids.length >= 7);
  for (const [table, text] of texts) {
    assert.deepEqual(ids.filter((id) => text.includes(id)), [], table);
  }
  assert(texts.get("videos")?.includes(user.jobId));
});

Deno.test("pages of any length tell each row once, in every table", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const { id } = await createUser(database, "canary", "192.0.2.1");
  for (let job = 0; job < 7; job++) await startVideo(sql, id);
  for (const table of await tables(sql)) {
    const whole = (await rowsOf(sql, id, table)).map((row) => JSON.stringify(row));
    for (const limit of [1, 2, 3]) {
      assert.deepEqual(
        (await rowsOf(sql, id, table, limit)).map((row) => JSON.stringify(row)),
        whole,
        `${table}, ${limit}`,
      );
    }
  }
});

Deno.test("what a guest was is told to whom they became, and to nobody once the account is closed", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const [guest, heir] = [await createGuest(database, 0), await createGuest(database, 0)];
  await sql`update accounts.users set display_name = 'canary of the guest' where id = ${guest}`;
  const ask = async (userId: string) => {
    const { id } = await first(sql<{ id: string }[]>`
      insert into accounts.exports (user_id, requested_at) values (${userId}, core.now()) returning id`);
    return id;
  };
  const tablesOf = async (exportId: string) => {
    const { loaded } = await first(sql<{ loaded: { tables: string[] | null } }[]>`
      select api.load_export(${exportId}) -> 'data' as loaded`);
    return loaded.tables;
  };
  const ofGuest = await ask(guest);
  assert.deepEqual(await tablesOf(ofGuest), await tables(sql));
  await sql`select credits.lock_account(${guest}), credits.lock_account(${heir})`;
  await sql`select accounts.merge(${guest}, ${heir})`;
  assert.equal(await tablesOf(ofGuest), null);
  const ofHeir = await ask(heir);
  assert.deepEqual(await tablesOf(ofHeir), await tables(sql));
  const names = (await rowsOf(sql, heir, "accounts.users")).map(({ display_name }) => display_name);
  assert(names.includes("canary of the guest"));
  await sql`select accounts.close(${heir})`;
  assert.equal(await tablesOf(ofHeir), null);
});
