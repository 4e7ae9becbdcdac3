/**
 * The procedures under load: `deno task bench:sql`. What they promise is a ratio: to the seeds' own way of doing the same,
 * and to a plain ledger, which run in turns with them.
 */
import { fileURLToPath } from "node:url";
import { charge } from "./baseline/charge.ts";
import { readArguments, wholeNumber } from "../local/arguments.ts";
import { fill } from "../tests/database/support/volume.ts";
import { addUsers, benchDatabase, connections, modelId, userId, widenPolicies } from "./database.ts";
import { type Load, machine, measure, type Measurement, medianOf, printTable } from "./measure.ts";

const { values: options } = readArguments(
  `deno task bench:sql [--seconds=<number>] [--repetitions=<number>] [--only=<text>] [--jobs=<number>]

Measures the procedures under load, beside what they are compared to.
  --seconds=<number>   of each row (5)
  --repetitions=<number>   of all rows, in turns (3)
  --only=<text>        the rows whose name contains it, and what they are compared to
  --jobs=<number>      of the history that there is before (0); 1250000 jobs have five million entries`,
  {
    options: {
      seconds: { type: "string", default: "5" },
      repetitions: { type: "string", default: "3" },
      only: { type: "string", default: "" },
      jobs: { type: "string", default: "0" },
    },
  },
);
const timing = { warmUpMilliseconds: 1_000, milliseconds: wholeNumber("seconds", options.seconds) * 1_000 };
const repetitions = wholeNumber("repetitions", options.repetitions);
const jobs = wholeNumber("jobs", options.jobs);
const users = 10_000;
const fingerprint = "0".repeat(64);

await using database = await benchDatabase();
const { sql } = database;
if (jobs > 0) await fill(sql, { users, jobsPerUser: Math.ceil(jobs / users) });
else await addUsers(sql, users, 1_000_000_000);
await sql.file(fileURLToPath(new URL("baseline/schema.sql", import.meta.url)));
await sql.file(fileURLToPath(new URL("baseline/plain-ledger.sql", import.meta.url)));
await sql`insert into plain.accounts select u.id, 1000000000, 0, now() from accounts.users as u`;
await sql`insert into baseline.users select u.id, 1000000000 from accounts.users as u`;
await sql`insert into baseline.models values (${modelId}, 4)`;

const anyOf = (count: number) => userId(Math.floor(Math.random() * count));

/** Each user has a network of their own, as most have. */
async function generate(user: string, network = `10.0.${user.slice(-4)}`): Promise<void> {
  const [row] = await sql`
    select api.generate_video(${user}, ${network}, ${crypto.randomUUID()}, ${fingerprint},
      'bench-request', ${modelId}, 'A cat walks through the city at night', '{}', null) as answer`;
  if (row?.answer.error !== undefined) throw new Error(row.answer.error);
}

async function hold(user: string): Promise<string> {
  const job = crypto.randomUUID();
  await sql`select credits.hold(credits.lock_account(${user}), 4, ${job})`;
  return job;
}

/** Holds that are there to be ended, one after the other. */
async function heldJobs(count: number): Promise<string[]> {
  const rows = await sql`
    select j.id, credits.hold(
      credits.lock_account(('0190b000-0000-7000-8000-' || lpad(to_hex(j.n % ${users}), 12, '0'))::uuid), 4, j.id
    )
    from (select core.new_id() as id, n from generate_series(1, ${count}::int) as n) as j`;
  return rows.map(({ id }) => id);
}

async function end(jobs: string[], how: "capture" | "release"): Promise<void> {
  const job = jobs.pop();
  if (job === undefined) throw new Error("No hold is left");
  await (how === "capture" ? sql`select credits.capture(${job})` : sql`select credits.release(${job})`);
}

const take = (policy: string, user: string) => sql`select guard.take(${[policy]}, ${user}, null, 'bench')`;

const wide = () => widenPolicies(sql);
let held: string[] = [];
const manyHolds = async () => {
  await wide();
  held = await heldJobs(Math.ceil(8_000 * (timing.warmUpMilliseconds + timing.milliseconds) / 1_000));
};

/** What the promises are held against: they run beside the others, on the same machine, in the same minutes. */
const seeds = "the seeds' way, 10,000 users";
const plain = "a plain ledger, 10,000 accounts";
const plainHot = "a plain ledger, all to one account";
const generateMany = "generate_video, 10,000 users";

interface Row {
  readonly name: string;
  readonly call: Load["call"];
  readonly prepare?: () => Promise<unknown>;
  /** Beside another row: how many times its calls a second, at least, and its CPU time a call, at most. */
  readonly promises?: readonly Promised[];
}

interface Promised {
  readonly beside: string;
  readonly calls: number;
  readonly cpu?: number;
}

const rows: readonly Row[] = [
  { name: "select 1, for the load generator itself", call: () => sql`select 1` },
  { name: seeds, call: () => charge(sql, anyOf(users), modelId, crypto.randomUUID()) },
  {
    name: plain,
    call: () => {
      const to = userId(users / 2 + Math.floor(Math.random() * users / 2));
      return sql`select plain.transfer(${anyOf(users / 2)}, ${to}, 4)`;
    },
  },
  { name: plainHot, call: () => sql`select plain.transfer(${anyOf(users / 2)}, ${userId(users - 1)}, 4)` },
  {
    name: generateMany,
    call: () => generate(anyOf(users)),
    promises: [{ beside: plain, calls: 0.5, cpu: 3.5 }, { beside: seeds, calls: 1.5 }],
  },
  {
    name: "generate_video, 50 users",
    call: () => generate(anyOf(50)),
    promises: [{ beside: generateMany, calls: 0.9 }],
  },
  {
    // All pay into one escrow account, whoever they are; one user is the other extreme.
    name: "generate_video, one hot user",
    call: () => generate(userId(0), `10.1.${Math.floor(Math.random() * 100)}`),
    prepare: () => widenPolicies(sql, { hot: true }),
    promises: [{ beside: plainHot, calls: 0.45 }],
  },
  { name: "credits.hold", call: () => hold(anyOf(users)) },
  { name: "credits.capture", call: () => end(held, "capture"), prepare: manyHolds },
  { name: "credits.release", call: () => end(held, "release"), prepare: manyHolds },
  {
    name: "rate-limit check, unlogged",
    call: () => take("reads", anyOf(users)),
    promises: [{ beside: plain, calls: 2.5 }],
  },
  {
    name: "rate-limit check, logged",
    call: () => take("video_generation", anyOf(users)),
    promises: [{ beside: plain, calls: 1.2 }],
  },
];

const asked = rows.filter(({ name }) => name.includes(options.only));
const compared = new Set(asked.flatMap(({ promises = [] }) => promises.map(({ beside }) => beside)));
const chosen = rows.filter((row) => asked.includes(row) || compared.has(row.name));

console.log(machine(database.version, `${connections} connections of postgres.js in one process`));
const taken = new Map<string, Measurement[]>();
// In turns, so that what disturbs the machine for a minute disturbs all of them.
for (let repetition = 0; repetition < repetitions; repetition++) {
  for (const { name, call, prepare = wide } of chosen) {
    await prepare();
    const measurement = await measure({ name, clients: connections, call, cpuTime }, timing);
    taken.set(name, [...taken.get(name) ?? [], measurement]);
  }
}

/** CPU time of the backends, in milliseconds; null where the system does not tell. */
async function cpuTime(): Promise<number | null> {
  if (Deno.build.os !== "linux") return null;
  const backends = await sql`select a.pid from pg_stat_activity as a where a.datname = current_database()`;
  let nanoseconds = 0;
  for (const { pid } of backends) {
    const text = await Deno.readTextFile(`/proc/${pid}/schedstat`).catch(() => "0");
    nanoseconds += Number(text.split(" ")[0]);
  }
  return nanoseconds / 1e6;
}

const medians = new Map([...taken].map(([name, measurements]) => [name, medianOf(measurements)]));
const ratio = (figure?: number | null, beside?: number | null) =>
  typeof figure === "number" && typeof beside === "number" ? figure / beside : NaN;
printTable(
  `Stored procedures, ${options.seconds} s each, the median of ${repetitions}, after ${
    jobs.toLocaleString("en")
  } jobs`,
  [
    ...medians.values(),
  ],
);
console.log("\nWhat is promised, calls and CPU time beside those of another row");
for (const { name, promises = [] } of chosen) {
  for (const { beside, calls, cpu } of promises) {
    const [mine, other] = [medians.get(name), medians.get(beside)];
    const [isCalls, isCpu] = [
      ratio(mine?.rate, other?.rate),
      ratio(mine?.cpuMicroseconds, other?.cpuMicroseconds),
    ];
    const kept = isCalls >= calls && (cpu === undefined || !(isCpu > cpu));
    console.log(
      `${kept ? "kept  " : "missed"}  ${name} / ${beside}: ${isCalls.toFixed(2)} × the calls (≥ ${calls}), ` +
        `${isCpu.toFixed(2)} × the CPU${cpu === undefined ? "" : ` (≤ ${cpu})`}`,
    );
  }
}

const [lost] = await sql`
  select count(*)::int as accounts
  from credits.accounts as a
  where a.owner_id is not null and a.balance <> (select sum(e.amount) from credits.entries as e where e.account_id = a.id)`;
console.log(`\nAccounts whose balance is not the sum of their entries: ${lost?.accounts}`);
