/**
 * The procedures under load. What they promise is a ratio: to the seeds' own way of doing the same, to a plain ledger, to a
 * fresh database, and to another checkout's procedures, all of which run in turns with them.
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import type postgres from "postgres";
import { charge } from "./baseline/charge.ts";
import { outcomeOf, present, sellPack, transactionOf } from "../tests/database/support/purchases.ts";
import { fill } from "../tests/database/support/volume.ts";
import {
  addUsers,
  backendCpu,
  benchServer,
  connections,
  emptyDatabase,
  migratedDatabase,
  modelId,
  userId,
  widenPolicies,
} from "./database.ts";
import { failedOf, measureInTurns, type Measurement, type Row, tableOf, type Timing } from "./measure.ts";
import { pgledgerTransfers } from "./pgledger.ts";
import { showProgress } from "./progress.ts";
import { bound, type Findings, type Goal } from "./report.ts";

export interface ProceduresOptions {
  readonly timing: Timing;
  readonly repetitions: number;
  readonly users: number;
  /** Of the history that the row with one has. */
  readonly jobs: number;
  /** A checkout whose ledger runs beside ours; empty for none. */
  readonly before: string;
  /** A checkout of pgledger; empty for none. */
  readonly pgledger: string;
}

const fingerprint = "0".repeat(64);

/** What the promises are held against: they run beside the others, on the same machine, in the same minutes. */
const names = {
  seeds: "the seeds' way",
  plain: "a plain ledger",
  plainHot: "a plain ledger, all to one account",
  generate: "generate_video",
  fifty: "generate_video, 50 users",
  hot: "generate_video, one hot user",
  unlogged: "limit check, unlogged",
  logged: "limit check, logged",
  purchases: "purchases, one transaction credited",
};

const holdSteps = ["hold", "capture", "release"] as const;
const holdName = (step: string, which: "now" | "before") =>
  `credits.${step}${which === "now" ? "" : ", before"}`;

/** Calls a second and CPU time of the procedures; that no credit was lost is proved at the end. */
export async function measureProcedures(
  options: ProceduresOptions,
): Promise<Findings> {
  await using cleanup = new AsyncDisposableStack();
  const { timing, users, jobs } = options;
  showProgress("the databases");
  const server = await benchServer(cleanup);
  const sql = await migratedDatabase(server, cleanup);
  await addUsers(sql, users, 1_000_000_000);
  await sellPack(sql);
  const aged = await migratedDatabase(server, cleanup);
  showProgress(`${jobs} jobs of history`);
  await fill(aged, { users, jobsPerUser: Math.ceil(jobs / users) });
  const baseline = await emptyDatabase(server, cleanup);
  await prepareBaseline(baseline, users);
  const foreign = options.pgledger === "" ? null : await emptyDatabase(server, cleanup);
  const old = options.before === ""
    ? null
    : await migratedDatabase(server, cleanup, pathToFileURL(`${options.before}/supabase/`));
  if (old !== null) await addUsers(old, users, 1_000_000_000);

  const anyOf = (count: number) => userId(Math.floor(Math.random() * count));
  const wide = () => widenPolicies(sql);
  const hold = holds(users, timing);
  const rowOf = (name: string, on: postgres.Sql, call: Row["call"], prepare: Row["prepare"]): Row => ({
    name,
    call,
    cpuTime: () => backendCpu(on),
    ...(prepare === undefined ? {} : { prepare }),
  });
  const aside = (name: string, call: Row["call"]) => rowOf(name, baseline, call, undefined);
  const ours = (name: string, call: Row["call"], prepare: Row["prepare"] = wide) =>
    rowOf(name, sql, call, prepare);
  const agedName = `generate_video, after ${jobs.toLocaleString("en")} jobs`;

  const rows: Row[] = [
    aside("select 1, for the load generator itself", () => baseline`select 1`),
    aside(names.seeds, () => charge(baseline, anyOf(users), modelId, crypto.randomUUID())),
    aside(names.plain, () => {
      const to = userId(users / 2 + Math.floor(Math.random() * users / 2));
      return baseline`select plain.transfer(${anyOf(users / 2)}, ${to}, 4)`;
    }),
    aside(
      names.plainHot,
      () => baseline`select plain.transfer(${anyOf(users / 2)}, ${userId(users - 1)}, 4)`,
    ),
    ...(foreign === null ? [] : [
      rowOf(
        "pgledger's own transfer",
        foreign,
        await pgledgerTransfers(foreign, options.pgledger, users),
        undefined,
      ),
    ]),
    ours(names.generate, () => generate(sql, anyOf(users))),
    rowOf(agedName, aged, () => generate(aged, anyOf(users)), () => widenPolicies(aged)),
    ours(names.fifty, () => generate(sql, anyOf(Math.min(users, 50)))),
    // All pay into one escrow account, whoever they are; one user is the other extreme.
    ours(
      names.hot,
      () => generate(sql, userId(0), `10.1.${Math.floor(Math.random() * 100)}`),
      () => widenPolicies(sql, "network"),
    ),
    ...[{ on: sql, which: "now" as const }, ...(old === null ? [] : [{ on: old, which: "before" as const }])]
      .flatMap(({ on, which }) =>
        holdSteps.map((step) =>
          rowOf(holdName(step, which), on, () => hold.call(on, step), () => hold.prepare(on, step))
        )
      ),
    ours(names.unlogged, () => take(sql, "reads", anyOf(users))),
    ours(names.logged, () => take(sql, "video_generation", anyOf(users))),
    ours(names.purchases, () => purchase(sql, anyOf(users))),
  ];
  const found = await measureInTurns(rows, connections, options);
  const [setting] = await sql<{ version: string }[]>`select current_setting('server_version') as version`;
  return {
    postgres: setting?.version ?? "",
    goals: [...goalsOf(found, agedName), await proof(sql)],
    failed: failedOf(found.values()),
    tables: [
      tableOf(
        `Procedures: ${connections} connections, ${users.toLocaleString("en")} users`,
        found.values(),
      ),
    ],
  };
}

async function prepareBaseline(sql: postgres.Sql, users: number): Promise<void> {
  await sql.file(fileURLToPath(new URL("baseline/schema.sql", import.meta.url)));
  await sql.file(fileURLToPath(new URL("baseline/plain-ledger.sql", import.meta.url)));
  const all = sql`
    select ('0190b000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as id from generate_series(0, ${
    users - 1
  }::int) as n`;
  await sql`insert into plain.accounts select u.id, 1000000000, 0, now() from (${all}) as u`;
  await sql`insert into baseline.users select u.id, 1000000000 from (${all}) as u`;
  await sql`insert into baseline.models values (${modelId}, 4)`;
}

/** Each user has a network of their own, as most have. */
const networkOf = (user: string) => `10.0.${user.slice(-4)}`;

export async function generate(
  sql: postgres.Sql,
  user: string,
  network = networkOf(user),
): Promise<void> {
  const [row] = await sql`
    select api.generate_video(${user}, ${network}, ${crypto.randomUUID()}, ${fingerprint},
      'bench-request', ${modelId}, 'A cat walks through the city at night', '{}', null) as answer`;
  if (row?.answer.error !== undefined) throw new Error(row.answer.error);
}

/** A pack that was bought just now. */
async function purchase(sql: postgres.Sql, user: string): Promise<void> {
  const outcome = outcomeOf(await present(sql, user, transactionOf()));
  if (outcome !== "credited") throw new Error(outcome);
}

const take = (sql: postgres.Sql, policy: string, user: string) =>
  sql`select guard.take(${[policy]}, ${user}, ${networkOf(user)}, 'bench')`;

/** So many ends of holds a second need holds that are there before; nobody has shown more. */
const endsPerSecond = 8_000;

function holds(users: number, { warmUpMilliseconds, milliseconds }: Timing) {
  let held: string[] = [];
  const count = Math.ceil(endsPerSecond * (warmUpMilliseconds + milliseconds) / 1_000);
  return {
    async prepare(sql: postgres.Sql, step: (typeof holdSteps)[number]) {
      if (step === "hold") return;
      const rows = await sql`
        select j.id, credits.hold(
          credits.lock_account(('0190b000-0000-7000-8000-' || lpad(to_hex(j.n % ${users}), 12, '0'))::uuid), 4, j.id
        )
        from (select core.new_id() as id, n from generate_series(1, ${count}::int) as n) as j`;
      held = rows.map(({ id }) => id);
    },
    async call(sql: postgres.Sql, step: (typeof holdSteps)[number]) {
      if (step === "hold") {
        const user = userId(Math.floor(Math.random() * users));
        await sql`select credits.hold(credits.lock_account(${user}), 4, ${crypto.randomUUID()})`;
        return;
      }
      const job = held.pop();
      if (job === undefined) throw new Error("No hold is left");
      await (step === "capture" ? sql`select credits.capture(${job})` : sql`select credits.release(${job})`);
    },
  };
}

function goalsOf(found: ReadonlyMap<string, Measurement>, agedName: string): Goal[] {
  const calls = (name: string, beside: string) =>
    (found.get(name)?.rate ?? NaN) / (found.get(beside)?.rate ?? NaN);
  const cpu = (name: string, beside: string) =>
    (found.get(name)?.cpuMicroseconds ?? NaN) / (found.get(beside)?.cpuMicroseconds ?? NaN);
  const atLeast = (name: string, beside: string, times: number) =>
    bound(`${name}: calls, beside ${beside}`, calls(name, beside), { atLeast: times, unit: " ×" });
  return [
    atLeast(names.generate, names.plain, 0.5),
    bound(`${names.generate}: CPU, beside ${names.plain}`, cpu(names.generate, names.plain), {
      atMost: 3.5,
      unit: " ×",
    }),
    atLeast(names.generate, names.seeds, 1.5),
    atLeast(names.fifty, names.generate, 0.9),
    atLeast(agedName, names.generate, 0.9),
    atLeast(names.hot, names.plainHot, 0.45),
    ...holdSteps.map((step) => atLeast(holdName(step, "now"), holdName(step, "before"), 1.4)),
    atLeast(names.unlogged, names.plain, 2.5),
    atLeast(names.logged, names.plain, 1.2),
  ];
}

/** Whether a call was lost under all this. */
async function proof(sql: postgres.Sql): Promise<Goal> {
  const [lost] = await sql<{ accounts: number }[]>`
    select count(*)::int as accounts
    from credits.accounts as a
    left join (
      select e.account_id, sum(e.amount) as amount from credits.entries as e group by e.account_id
    ) as s on s.account_id = a.id
    where a.owner_id is not null and a.balance <> coalesce(s.amount, 0)`;
  return {
    what: "accounts whose balance is not the sum of their entries",
    goal: "0",
    figure: `${lost?.accounts}`,
    isKept: lost?.accounts === 0,
  };
}
