/** Every column that can hold a person's data says what becomes of it, and what it says is what the erasure does. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { testDatabase } from "../harness.ts";
import {
  claimErasure,
  closeAccount,
  createGuest,
  eraseAccount,
  tablesWith,
  untilErasable,
} from "../support/accounts.ts";
import {
  claimTasks,
  receiveEvent,
  recordStored,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import { claimAndGrant } from "../support/devices.ts";
import type { Sql } from "../support/ledger.ts";
import { ourSchemas } from "../support/our-schemas.ts";
import { notificationOf, notify, present, sellPack, transactionOf } from "../support/purchases.ts";

/** Columns of our tables whose type can hold what somebody wrote, or who they are; as `videos.jobs.prompt`. */
async function columns(sql: Sql): Promise<{ relation: string; name: string; type: string }[]> {
  return await sql<{ relation: string; name: string; type: string }[]>`
    select format('%s.%s', n.nspname, c.relname) as relation, a.attname as name, format_type(t.oid, null) as type
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_type as t on t.oid = a.atttypid
    where n.nspname in ${sql(ourSchemas)} and c.relkind in ('r', 'p') and not c.relispartition
      and a.attnum > 0 and not a.attisdropped
      -- Numbers, times, switches and our own closed lists tell nothing about whom the row does not name.
      and t.typcategory not in ('N', 'D', 'T', 'B', 'E') and t.typtype = 'b'
      and (t.typcategory <> 'A' or t.typelem = 'text'::regtype)`;
}

async function withoutClass(sql: Sql): Promise<string[]> {
  const classes = await sql<{ relation: string; column_name: string }[]>`
    select c.relation, c.column_name from accounts.privacy_classes as c`;
  const known = new Set(classes.map(({ relation, column_name }) => `${relation}.${column_name}`));
  return (await columns(sql))
    .map(({ relation, name }) => [`${relation}.*`, `${relation}.${name}`] as const)
    .filter((names) => !names.some((name) => known.has(name)))
    .map(([, name]) => name);
}

Deno.test("every column that can hold a person's data has a privacy class", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  assert.deepEqual(
    await withoutClass(sql),
    [],
    "give it a row in accounts.privacy_classes: whether it is kept, blanked or erased, and why",
  );
  await sql`alter table videos.jobs add column mood text, add column mood_at timestamptz`;
  await sql`create table accounts.friends (user_id uuid, friend jsonb)`;
  assert.deepEqual((await withoutClass(sql)).sort(), [
    "accounts.friends.friend",
    "accounts.friends.user_id",
    "videos.jobs.mood",
  ]);
});

Deno.test("a class is of a column that is there, and a table's rows are erased or blanked, not both", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const there = await columns(sql);
  const classes = await sql<{ relation: string; column_name: string; class: string }[]>`
    select c.relation, c.column_name, c.class from accounts.privacy_classes as c`;
  const isThere = ({ relation, column_name }: { relation: string; column_name: string }) =>
    there.some((column) =>
      column.relation === relation && (column_name === "*" || column.name === column_name)
    );
  assert.deepEqual(classes.filter((row) => !isThere(row)), []);

  const personal = await sql<{ relation: string }[]>`select t.relation from accounts.personal_tables as t`;
  const classified = Map.groupBy(classes, ({ relation }) => relation);
  for (const [relation, rows] of classified) {
    const ofColumns = new Set(rows.map((row) => row.class));
    assert(
      ofColumns.size === 1 || !ofColumns.has("erased"),
      `${relation}: a row that goes cannot be blanked or kept`,
    );
    const isPersonal = personal.some((table) => table.relation === relation);
    const isWhole = rows.some(({ column_name }) => column_name === "*");
    assert.notEqual(
      isPersonal,
      isWhole,
      `${relation}: has persons' rows, or a class for the table as a whole`,
    );
  }
  assert.deepEqual(personal.filter(({ relation }) => !classified.has(relation)), []);
});

/** Of another type or form, or another row's key: what cannot be marked cannot hold what somebody wrote. */
const cannotHold = ["22P02", "23503", "23505", "23514", "42804"];

Deno.test("whatever is to be blanked or erased is gone after the erasure, whichever column it stood in", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  const canary = "canary 7f3a";
  const userId = await createGuest(database, 100);
  const jobId = await startVideo(sql, userId);
  const submission = await submit(sql, jobId);
  await receiveEvent(sql, submission, succeeded);
  const [task] = await claimTasks(sql, 1, jobId);
  await recordStored(sql, jobId, task);
  assert(await claimAndGrant(sql, "192.0.2.1", userId));
  await sql`select api.post_projects(${userId}, 'Winter')`;
  await sellPack(sql);
  const bought = transactionOf({ app_transaction_id: "704000000000000001" });
  await present(sql, userId, bought);
  await notify(sql, notificationOf("ONE_TIME_CHARGE", bought));

  // Into every column at once, in the form that its type wants.
  const marked: string[] = [];
  const types = await columns(sql);
  const classes = await sql<{ relation: string; column_name: string; rows_of: string }[]>`
    select c.relation, c.column_name, t.rows_of
    from accounts.privacy_classes as c join accounts.personal_tables as t on t.relation = c.relation
    where c.class <> 'kept' and c.relation <> 'queue.tasks'`;
  for (const { relation, column_name, rows_of } of classes) {
    // What names the user is no place for what they wrote.
    if (rows_of.includes(`t.${column_name}`)) continue;
    const type = types.find((column) => column.relation === relation && column.name === column_name)?.type;
    const value = type === "jsonb" ? JSON.stringify({ canary }) : canary;
    const ofUser = rows_of.replaceAll("$1", `'{${userId}}'::uuid[]`);
    const cast = type === "jsonb" ? "::text::jsonb" : "";
    try {
      const { count } = await sql.unsafe(
        `update ${relation} as t set ${column_name} = $1${cast} where ${ofUser}`,
        [value],
      );
      if (count > 0) marked.push(`${relation}.${column_name}`);
    } catch (error) {
      const known = error instanceof postgres.PostgresError && cannotHold.includes(error.code);
      assert(known, `${relation}.${column_name}: ${error}`);
    }
  }
  for (
    const column of [
      "accounts.users.display_name",
      "purchases.notifications.answer",
      "purchases.notifications.content",
      "purchases.transactions.app_transaction_id",
      "videos.assets.path",
      "videos.projects.name",
      "videos.jobs.prompt",
      "videos.jobs.settings",
      "videos.jobs.image_url",
      "videos.jobs.flag",
      "videos.provider_events.state",
      "videos.submissions.cause",
    ]
  ) assert(marked.includes(column), `${column} was not marked`);
  assert.notDeepEqual(await tablesWith(database, canary), []);

  await closeAccount(sql, userId);
  await advance(untilErasable);
  const erasure = await claimErasure(sql, userId);
  assert(erasure);
  assert.equal(await eraseAccount(sql, erasure), "erased");
  assert.deepEqual(await tablesWith(database, canary), []);
});
