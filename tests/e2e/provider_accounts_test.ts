/** What providers say of our account: a low balance, a locked account and a bill that differs are alerts. */
import assert from "node:assert/strict";
import { alertsOf, evaluate } from "../database/support/alerts.ts";
import { runTask } from "../database/support/scheduled-tasks.ts";
import { type Backend, startBackend } from "./support/backend.ts";
import { eventuallyDone } from "./support/videos.ts";

/** Has the providers asked, and waits until what they said is noted. */
async function ask(backend: Backend): Promise<void> {
  const { database: { sql }, stack } = backend;
  await runTask(sql, "read_provider_accounts");
  await stack.tick();
  await eventuallyDone(backend, "the providers were asked", async () => {
    const open = await sql`select from queue.tasks as t where t.kind = 'read_provider_accounts'`;
    return open.length === 0 || undefined;
  }, 200);
}

const rules = ["provider_balance", "provider_locked", "provider_bill"];

/** The rules that are raised, each with its subject. */
async function raised({ database }: Backend): Promise<string[]> {
  // A bill is looked at each hour.
  await database.sql`update ops.alert_rules set evaluated_at = '-infinity'`;
  await evaluate(database);
  const alerts = await Promise.all(rules.map((rule) => alertsOf(database.sql, rule)));
  return alerts.flat().filter(({ is_open }) => is_open).map(({ rule, subject, level }) =>
    `${rule} ${subject} ${level}`
  );
}

Deno.test("a low balance, a locked account and a bill that differs are told, by each provider that tells them, and are over when they are", async () => {
  await using backend = await startBackend();
  const { database, stack: { simulators: { fal, runway } } } = backend;
  const { sql } = database;
  await ask(backend);
  assert.deepEqual(await raised(backend), []);
  const known =
    await sql`select a.provider, a.balance_cents::int as cents, a.is_locked from videos.provider_accounts as a order by 1`;
  assert.deepEqual(known.map((row) => ({ ...row })), [
    { provider: "fal", cents: 10_000, is_locked: false },
    { provider: "runway", cents: 10_000, is_locked: false },
  ]);

  const [{ day } = { day: "" }] = await sql<
    { day: string }[]
  >`select max(b.day)::text as day from videos.provider_bills as b`;
  await sql`insert into videos.spending (provider, day, cents) values ('fal', ${day}, 1000), ('runway', ${day}, 1000)`;
  await fal.control.rules({ account: { balance: 1_500, billed: 1_300 } });
  await runway.control.rules({ account: { balance: 100, billed: 1_010 } });
  await ask(backend);
  assert.deepEqual(await raised(backend), [
    "provider_balance fal warning",
    "provider_balance runway critical",
    "provider_bill fal critical",
  ]);

  await fal.control.reset();
  await fal.control.rules({ account: { locked: true } });
  await ask(backend);
  assert.deepEqual((await raised(backend)).filter((said) => said.includes("locked")), [
    "provider_locked fal critical",
  ]);

  await fal.control.reset();
  await runway.control.reset();
  for (const simulator of [fal, runway]) await simulator.control.rules({ account: { billed: 1_000 } });
  await ask(backend);
  await evaluate(database, 130, 10);
  assert.deepEqual(await raised(backend), []);
});

Deno.test("a provider that cannot be asked keeps what it said last, and no other waits for it", async () => {
  await using backend = await startBackend({ environment: { FAL_API_URL: "http://127.0.0.1:9/v1" } });
  const { sql } = backend.database;
  await sql`insert into videos.provider_accounts (provider, balance_cents, is_locked, asked_at) values ('fal', 123, false, core.now())`;
  await ask(backend);
  const known =
    await sql`select a.provider, a.balance_cents::int as cents from videos.provider_accounts as a order by 1`;
  assert.deepEqual(known.map((row) => ({ ...row })), [{ provider: "fal", cents: 123 }, {
    provider: "runway",
    cents: 10_000,
  }]);
});
