import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { acceptJob, cheapModel } from "../support/jobs.ts";
import { add, openAccount, rolledBack, type Sql } from "../support/ledger.ts";

const ended = ["completed", "failed", "cancelled"];

/** Each job that the columns allow, as literals in SQL. */
const states = ["pending", "processing", ...ended].flatMap((status) =>
  ["null", "'ERR_5002'"].flatMap((code) =>
    ["null", "now()"].flatMap((due) =>
      ["null", "now()"].flatMap((storing) =>
        ["null", "now()"].map((completed) => ({ status, code, due, storing, completed }))
      )
    )
  )
);

Deno.test("no job contradicts itself: of all that the columns allow, those alone are written that can be", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const user = await openAccount(sql);
  await add(sql, user, 4);
  const job = await acceptJob(sql, user);
  const isWritten = async (sql: Sql, statement: string) => {
    try {
      await sql.unsafe(`savepoint here; ${statement}; release savepoint here`);
      return true;
    } catch (error) {
      assert.equal((error as { code?: string }).code, "23514");
      await sql`rollback to savepoint here`;
      return false;
    }
  };
  const columns = "status, error_code, due_at, storing_at, completed_at";
  await rolledBack(sql, async (sql) => {
    // Whatever the status was before: what may follow what is another promise.
    await sql`alter table videos.jobs disable trigger check_job_transition`;
    for (const { status, code, due, storing, completed } of states) {
      const isOver = completed !== "null";
      const expected = ended.includes(status) === isOver && (status === "failed") === (code !== "null") &&
        (due === "null") === (isOver || storing !== "null");
      const values = `'${status}', ${code}, ${due}, ${storing}, ${completed}`;
      const insert =
        `insert into videos.jobs (user_id, model_id, model_name, prompt, settings, credits_used, request_id, created_at, ${columns})
        values ('${user}', '${cheapModel}', 'A model', 'a prompt', '{}', 4, 'test', now(), ${values})`;
      const update = `update videos.jobs set (${columns}) = row(${values}) where id = '${job}'`;
      for (const statement of [insert, update]) {
        assert.equal(await isWritten(sql, statement), expected, statement);
      }
    }
    assert.equal(await isWritten(sql, `update videos.jobs set credits_used = -1 where id = '${job}'`), false);
  });
});
