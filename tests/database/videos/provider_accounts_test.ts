/** What providers say of our account, and what it means when they say it no more. */
import assert from "node:assert/strict";
import { stillDatabase } from "../support/frozen-clock.ts";
import { runTask } from "../support/scheduled-tasks.ts";
import type { Sql } from "../support/ledger.ts";

async function openAlerts(sql: Sql): Promise<string[]> {
  const rows = await sql<{ told: string }[]>`
    select a.rule || ' ' || a.subject as told from ops.alerts as a
    where a.resolved_at is null and a.rule like 'provider%' order by 1`;
  return rows.map(({ told }) => told);
}

Deno.test("an account of which nothing was said for a day is told to the operator, and stays neither locked nor well", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await sql`select videos.note_provider_account('fal', null, true, null, null)`;
  await sql`select videos.note_provider_account('runway', 100000, false, null, null)`;
  const evaluate = async () => {
    await runTask(sql, "read_provider_accounts");
    await runTask(sql, "evaluate_alert_rules");
  };
  await evaluate();
  assert.deepEqual(await openAlerts(sql), ["provider_locked fal"]);
  // One goes on, the other has a key by now that may not ask.
  await advance(23 * 3_600_000);
  await sql`select videos.note_provider_account('runway', 100000, false, null, null)`;
  await evaluate();
  assert.deepEqual(await openAlerts(sql), ["provider_locked fal"], "what was said last stands for a day");
  await advance(2 * 3_600_000);
  await evaluate();
  await advance(6 * 60_000);
  await evaluate();
  assert.deepEqual(await openAlerts(sql), ["provider_account_unknown fal"]);
  await advance(2 * 3_600_000);
  await runTask(sql, "read_provider_accounts");
  await runTask(sql, "watch_alerts");
  assert.deepEqual(await openAlerts(sql), [], "once");
});

Deno.test("a day on which a provider gave money back is noted, and takes nothing else along", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await sql`select videos.note_provider_account('fal', 5000, false, '2026-11-01', -250)`;
  const [noted] = await sql`
    select a.balance_cents::int as balance, b.billed_cents::int as billed
    from videos.provider_accounts as a join videos.provider_bills as b on b.provider = a.provider`;
  assert.deepEqual({ ...noted }, { balance: 5000, billed: 0 });
});
