/** The view that docs/decisions/0021-clients-read-no-table.md tells an operator to expose shows what it says, and no more. */
import assert from "node:assert/strict";
import { fences, readDocument } from "../contract/documents.ts";
import { cheapModel } from "./support/jobs.ts";
import { rolledBack, type Sql } from "./support/ledger.ts";
import { sharedDatabase } from "./support/shared-database.ts";

const database = sharedDatabase();
const record = await readDocument("docs/decisions/0021-clients-read-no-table.md");

/** Users as they come, each with a job and one that they deleted. */
const users = {
  owner: {},
  stranger: {},
  admin: { is_admin: true },
  suspended: { is_banned: true },
  closed: { closed_at: new Date() },
};
type User = keyof typeof users;

/** Runs `work` where the operator has done what the record says; `jobs` has the job of each user that is not deleted. */
async function withView(
  work: (sql: Sql, jobs: Record<User, string>, ids: Record<User, string>) => Promise<void>,
) {
  await rolledBack(database.sql, async (sql) => {
    for (const statements of fences(record, "sql")) await sql.unsafe(statements).simple();
    const ids = { owner: "", stranger: "", admin: "", suspended: "", closed: "" };
    const jobs = { ...ids };
    for (const [user, columns] of Object.entries(users) as [User, (typeof users)[User]][]) {
      const [id, job, deleted] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
      await sql`insert into accounts.users ${sql({ id, ...columns })}`;
      for (const [jobId, deletedAt] of [[job, null], [deleted, new Date()]] as const) {
        await sql`
          insert into videos.jobs (
            id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at,
            completed_at, deleted_at
          )
          values (
            ${jobId}, ${id}, ${cheapModel}, 'A model', 'cancelled', 'a prompt', '{}', 0, 'test', now(), now(), ${deletedAt}
          )`;
      }
      ids[user] = id;
      jobs[user] = job;
    }
    await work(sql, jobs, ids);
  });
}

/** From here on the statements are those of a request with this user's token, or with none. */
async function become(sql: Sql, userId: string | null): Promise<void> {
  const role = userId === null ? "anon" : "authenticated";
  await sql`select set_config('request.jwt.claims', ${JSON.stringify({ sub: userId, role })}, true)`;
  await sql`select set_config('role', ${role}, true)`;
}

/** The SQLSTATE of what the statement meets; null where nothing refuses it. */
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

Deno.test("a user sees their own videos until they delete them, and a suspended or closed one none", () =>
  withView(async (sql, jobs, ids) => {
    for (const user of Object.keys(users) as User[]) {
      await become(sql, ids[user]);
      const rows = await sql<{ id: string }[]>`select v.id from shown.videos as v`;
      const due = ["suspended", "closed"].includes(user) ? [] : [jobs[user]];
      assert.deepEqual(rows.map(({ id }) => id), due, user);
      await sql`reset role`;
    }
  }));

Deno.test("nobody reads it without a session, writes through it, or reaches what is behind it", () =>
  withView(async (sql, _jobs, ids) => {
    await become(sql, null);
    assert.equal(await refusalOf(sql, "select id from shown.videos"), insufficientPrivilege);
    await sql`reset role`;
    await become(sql, ids.owner);
    for (
      const statement of [
        "update shown.videos set status = 'failed'",
        "delete from shown.videos",
        "insert into shown.videos (id) values (gen_random_uuid())",
        "select id from videos.jobs",
        "select id from accounts.users",
      ]
    ) {
      assert.equal(await refusalOf(sql, statement), insufficientPrivilege, statement);
    }
  }));

Deno.test("what asks for longer than the record allows is ended", () =>
  withView(async (sql, _jobs, ids) => {
    const [row] = await sql<{ timeout: string | undefined }[]>`
      select (select split_part(c, '=', 2) from unnest(s.setconfig) as c where c like 'statement_timeout=%') as timeout
      from pg_db_role_setting as s where s.setrole = 'authenticated'::regrole and s.setdatabase = 0`;
    assert.equal(row?.timeout, "500ms");
    // As the Data API does with the settings of the role that a request becomes.
    await sql`select set_config('statement_timeout', ${row.timeout}, true)`;
    await become(sql, ids.owner);
    assert.equal(await refusalOf(sql, "select pg_sleep(5) from shown.videos"), "57014");
  }));
