/**
 * Whose rows each kind of user sees and changes, acting as them: what row level security leaves of the grants, held to the
 * first table of docs/security.md.
 */
import assert from "node:assert/strict";
import { type Actor, readRights } from "../security-document.ts";
import { cheapModel } from "./support/jobs.ts";
import { rolledBack, type Sql } from "./support/ledger.ts";
import { sharedDatabase } from "./support/shared-database.ts";

const database = sharedDatabase();
const rights = await readRights();

/** Users as they come, each with a row of their own, a job, and a job that they deleted. */
const users = {
  owner: {},
  stranger: {},
  suspended: { is_banned: true },
  closed: { closed_at: new Date() },
  admin: { is_admin: true },
};
type User = keyof typeof users;

interface World {
  ids: Record<User, string>;
  /** By the id of a row: whose it is. A deleted job is not here. */
  owners: Map<string, User>;
}

/** The columns that name a row, for those tables of which somebody sees rows. */
const idOf: Record<string, string> = { "accounts.users": "id", "videos.jobs": "id" };

const entries = Object.entries(users) as [User, (typeof users)[User]][];

async function makeWorld(sql: Sql): Promise<World> {
  const owners = new Map<string, User>();
  const ids: World["ids"] = { owner: "", stranger: "", suspended: "", closed: "", admin: "" };
  for (const [user, columns] of entries) {
    const [id, job, deleted] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
    await sql`insert into accounts.users ${sql({ id, ...columns })}`;
    for (const [jobId, deletedAt] of [[job, null], [deleted, new Date()]] as const) {
      await sql`
        insert into videos.jobs (
          id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at,
          deleted_at
        )
        values (
          ${jobId}, ${id}, ${cheapModel}, 'A model', 'cancelled', 'a prompt', '{}', 0, 'test', now(), now(), ${deletedAt}
        )`;
    }
    ids[user] = id;
    owners.set(id, user).set(job, user);
  }
  return { ids, owners };
}

/** Runs `work` as PostgREST runs a request with this user's token, or with none. */
async function actingAs<Result>(
  sql: Sql,
  userId: string | null,
  work: () => Promise<Result>,
): Promise<Result> {
  const role = userId === null ? "anon" : "authenticated";
  await sql`select set_config('request.jwt.claims', ${JSON.stringify({ sub: userId, role })}, true)`;
  await sql`select set_config('role', ${role}, true)`;
  try {
    return await work();
  } finally {
    await sql`reset role`;
  }
}

/** The column of the document that tells whether a user sees a row. */
function actorOf(user: User | null, owner: User): Actor {
  if (user === null) return "anon";
  if (user === "suspended" || user === "closed") return "suspended or closed";
  if (user === owner) return "the row's user";
  return user === "admin" ? "admin" : "another user";
}

/** The SQLSTATE of what the statement meets, inside a savepoint; null where nothing refuses it. */
async function refusalOf(sql: Sql, statement: string): Promise<string | null> {
  await sql`savepoint attempt`;
  try {
    await sql.unsafe(statement);
    return null;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  } finally {
    await sql`rollback to savepoint attempt`;
  }
}

const insufficientPrivilege = "42501";

for (const user of [null, ...entries.map(([user]) => user)]) {
  const name = user ?? "nobody";

  Deno.test(`${name} sees exactly the rows that docs/security.md gives them`, () =>
    rolledBack(database.sql, async (sql) => {
      const { ids, owners } = await makeWorld(sql);
      for (const { objects: [table = ""], columns, actors } of rights) {
        if (columns === null) continue;
        const id = idOf[table];
        assert(id !== undefined && columns.includes(id), `${table} needs a column here that names its rows`);
        const select = `select ${id}::text as id from ${table}`;
        const seen = await actingAs(
          sql,
          user && ids[user],
          async () =>
            await refusalOf(sql, select) === null
              ? (await sql.unsafe(select)).map((row) => String(row.id))
              : [],
        );
        const all = (await sql.unsafe(select)).map((row) => String(row.id));
        const due = all.filter((id) => {
          const owner = owners.get(id);
          return owner !== undefined && actors.has(actorOf(user, owner));
        });
        assert.deepEqual(seen.sort(), due.sort(), table);
      }
    }));

  Deno.test(`${name} reads and changes nothing else, in any table`, () =>
    rolledBack(database.sql, async (sql) => {
      const { ids } = await makeWorld(sql);
      const columns = await sql<{ table: string; column: string }[]>`
        select c.oid::regclass::text as table, a.attname as column
        from pg_class as c join pg_attribute as a on a.attrelid = c.oid
        where c.relnamespace in (select n.oid from pg_namespace as n where n.nspname in ('public', 'credits', 'generation', 'guard', 'ops'))
          and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped`;
      assert(columns.length > 100);
      const tables = new Set(columns.map(({ table }) => table));
      await actingAs(sql, user && ids[user], async () => {
        for (const { table, column } of columns) {
          const readable = rights.some(({ objects, columns, actors }) =>
            actors.has(user === null ? "anon" : "authenticated") && columns?.includes(column) &&
            [table, `public.${table}`].includes(objects[0] ?? "")
          );
          const read = await refusalOf(sql, `select "${column}" from ${table}`);
          assert.equal(read, readable ? null : insufficientPrivilege, `${table}.${column}`);
          const update = await refusalOf(sql, `update ${table} set "${column}" = default`);
          assert.equal(update, insufficientPrivilege, `update of ${table}.${column}`);
        }
        for (const table of tables) {
          for (
            const statement of [
              `insert into ${table} default values`,
              `delete from ${table}`,
              `truncate ${table}`,
            ]
          ) {
            assert.equal(await refusalOf(sql, statement), insufficientPrivilege, statement);
          }
        }
      });
    }));
}
