/** The error log: what is recorded, by whom, and how little of a flood. */
import assert from "node:assert/strict";
import { errorCodes } from "../../../supabase/functions/_shared/errors/error-codes.ts";
import { type TestDatabase, testDatabase } from "../harness.ts";
import { manyConnections, times } from "../support/connections.ts";
import { claimTasks, startVideo } from "../support/generation.ts";
import { first, type Sql } from "../support/ledger.ts";
import { tick } from "../support/scheduled-tasks.ts";

interface Entry {
  code: string;
  severity: string;
  endpoint: string;
  user_id: string | null;
  request_id: string | null;
  context: Record<string, unknown>;
  count: number;
}

async function entries(sql: Sql): Promise<Entry[]> {
  const rows = await sql<Entry[]>`
    select e.code, e.severity, e.endpoint, e.user_id, e.request_id, e.context, e.count
    from ops.error_log as e order by e.occurred_at, e.place`;
  return rows.map((row) => ({ ...row }));
}

async function record(sql: Sql, given: Partial<Entry> = {}): Promise<string> {
  const {
    code = "ERR_6003",
    endpoint = "models",
    user_id = null,
    request_id = null,
    context = {},
    count = 1,
  } = given;
  const { recorded } = await first(sql<{ recorded: string }[]>`
    select api.record_error(
      ${code}, ${endpoint}, ${user_id}, ${request_id}, ${
    sql.json(JSON.parse(JSON.stringify(context)))
  }, ${count}
    ) #>> '{data,recorded}' as recorded`);
  return recorded;
}

/** To the beginning of a minute, so that what follows is within it. */
async function toNextMinute({ now, advance }: TestDatabase): Promise<void> {
  await advance(60_000 - (await now()).getTime() % 60_000);
}

Deno.test("an error is recorded with its time, severity and whose it was", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const before = await database.now();
  const error = {
    code: "ERR_6001",
    endpoint: "generate-video",
    user_id: crypto.randomUUID(),
    request_id: "a-request",
    context: { status: 503 },
  };
  assert.equal(await record(sql, error), "whole");
  assert.deepEqual(await entries(sql), [{ ...error, severity: "error", count: 1 }]);
  const { occurred_at } = await first(sql<{ occurred_at: Date }[]>`select occurred_at from ops.error_log`);
  assert(occurred_at >= before && occurred_at <= await database.now());
});

Deno.test("the severity of each code is the registry's", async () => {
  await using database = await testDatabase();
  for (const [code, { severity }] of Object.entries(errorCodes)) {
    if (/^ERR_[56]/.test(code)) await record(database.sql, { code });
    const row = await first(
      database.sql<{ severity: string }[]>`select core.error_severity(${code}) as severity`,
    );
    if (/^ERR_[56]/.test(code)) assert.equal(row.severity, severity, code);
    else await assert.rejects(record(database.sql, { code }), { code: "23514" });
  }
});

Deno.test("of a flood, 5 a minute of each code and endpoint have a row, and all are counted", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  await toNextMinute(database);
  const recorded = await times(200, (index) => record(sql, { request_id: `request-${index}`, count: 2 }));
  assert.equal(recorded.filter((how) => how === "whole").length, 5);
  await record(sql, { endpoint: "credits" });
  await record(sql, { code: "ERR_6001" });
  const counts = async () => {
    const rows = await sql<{ endpoint: string; code: string; rows: number; errors: number }[]>`
      select e.endpoint, e.code, count(*)::int as rows, sum(e.count)::int as errors
      from ops.error_log as e group by 1, 2 order by 1, 2`;
    return rows.map(({ endpoint, code, rows, errors }) => [endpoint, code, rows, errors]);
  };
  const others = [["credits", "ERR_6003", 1, 1], ["models", "ERR_6001", 1, 1]];
  assert.deepEqual(await counts(), [...others, ["models", "ERR_6003", 5, 400]]);
  const { largest } = await first(
    sql<{ largest: number }[]>`select max(count) as largest from ops.error_log`,
  );
  assert(largest < 300, "they do not all wait for one row");

  await toNextMinute(database);
  assert.equal(await record(sql), "whole");
  assert.deepEqual(await counts(), [...others, ["models", "ERR_6003", 6, 401]]);
});

Deno.test("a context that is too long is cut, and is still recorded", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await record(sql, { context: { error: "long ".repeat(10_000) } });
  const [entry] = await entries(sql);
  assert.equal(String(entry?.context.cut).length, 4_000);
});

Deno.test("an attempt of a task that failed by our own error is recorded with its job's request", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  const jobId = await startVideo(sql);
  const { user_id, request_id } = await first(sql<{ user_id: string; request_id: string }[]>`
    select user_id, request_id from videos.jobs where id = ${jobId}`);
  await advance(3_000);
  const task = await first(claimTasks(sql));
  const retry = (code: string | null) =>
    sql`select api.retry_task(${task.task_id}, ${task.attempt}, 'why', null, ${code})`;
  await retry("ERR_6002");
  const entry = {
    code: "ERR_6002",
    severity: "error",
    endpoint: "process-jobs",
    user_id,
    request_id,
    context: { task: "submit", subject: jobId, attempt: 1, error: "why" },
    count: 1,
  };
  assert.deepEqual(await entries(sql), [entry]);
  // Nothing of ours failed.
  await retry(null);
  assert.equal((await entries(sql)).length, 1);
  // Whoever lost the lease has nothing to tell.
  await sql`update queue.tasks set attempts = 7`;
  await retry("ERR_6002");
  assert.equal((await entries(sql)).length, 1);
});

Deno.test("a scheduled task that fails is in the error log", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`
    create function testing.fails() returns void language plpgsql as $$ begin raise exception 'on purpose'; end $$;
    insert into core.scheduled_tasks (name, procedure, every) values ('fails', 'testing.fails', '1 minute');
  `.simple();
  await tick(sql);
  assert.deepEqual(await entries(sql), [{
    code: "ERR_6003",
    severity: "critical",
    endpoint: "tick",
    user_id: null,
    request_id: null,
    context: { task: "fails", error: "P0001: on purpose" },
    count: 1,
  }]);
});
