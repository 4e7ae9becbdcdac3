/**
 * The procedures under load: `deno task bench:sql`. Figures stand beside their budgets and beside the seeds' own way of
 * doing the same, taken in one run.
 */
import { fileURLToPath } from "node:url";
import { charge } from "./baseline/charge.ts";
import { readArguments, wholeNumber } from "../local/arguments.ts";
import { fill } from "../tests/database/support/volume.ts";
import { addUsers, benchDatabase, connections, modelId, userId, widenPolicies } from "./database.ts";
import { type Load, machine, measure, type Measurement, printTable } from "./measure.ts";

const { values: options } = readArguments(
  `deno task bench:sql [--seconds=<number>] [--only=<text>] [--jobs=<number>]

Measures the procedures under load, beside their budgets and the seeds' own way.
  --seconds=<number>   of each row (5)
  --only=<text>        the rows whose name contains it
  --jobs=<number>      of the history that there is before (0); 1250000 jobs have five million entries`,
  {
    options: {
      seconds: { type: "string", default: "5" },
      only: { type: "string", default: "" },
      jobs: { type: "string", default: "0" },
    },
  },
);
const timing = { warmUpMilliseconds: 1_000, milliseconds: wholeNumber("seconds", options.seconds) * 1_000 };
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

const loads: { title: string; prepare?: () => Promise<unknown>; load: Load }[] = [];
const add = (name: string, budget: string, call: Load["call"], prepare?: () => Promise<unknown>) =>
  loads.push({
    title: name,
    load: { name, clients: connections, budget, call },
    ...(prepare === undefined ? {} : { prepare }),
  });

let held: string[] = [];
const manyHolds = async () => {
  held = await heldJobs(20_000 * Math.ceil(timing.milliseconds / 1_000 + 1) / 3 | 0);
};
const wide = () => widenPolicies(sql);

add("generate_video, 10,000 users", "≥ 3,700/s", () => generate(anyOf(users)), wide);
add("generate_video, 50 users", "no slower", () => generate(anyOf(50)));
// All pay into one escrow account, whoever they are; one user is the other extreme.
add(
  "generate_video, one hot user",
  "≥ 1,000/s",
  () => generate(userId(0), `10.1.${Math.floor(Math.random() * 100)}`),
  () => widenPolicies(sql, { hot: true }),
);
add("generate_video, seeded policies (refusals count)", "", async () => {
  await generate(anyOf(users)).catch((error) => {
    if (error.message !== "ERR_4004") throw error;
  });
}, () =>
  sql`
  update guard.policies as p set max_hits = s.hits, window_seconds = s.seconds, scope = s.scope::guard.scope
  from (values ('video_generation', 10, 3600, 'user'), ('generation_attempts', 60, 60, 'user'),
    ('generation_attempts_network', 300, 3600, 'network')) as s (name, hits, seconds, scope)
  where p.name = s.name`);
add("credits.hold", "", () => hold(anyOf(users)));
add("credits.capture", "", () => end(held, "capture"), manyHolds);
add("credits.release", "", () => end(held, "release"), manyHolds);
add("rate-limit check, unlogged", "≥ 10,000/s", () => take("reads", anyOf(users)), wide);
add("rate-limit check, logged", "≥ 8,000/s", () => take("video_generation", anyOf(users)));
add("rate-limit check, one hot key (refusals count)", "", () => take("reads", userId(0)));
add(
  "baseline: the seeds' way, 10,000 users",
  "",
  () => charge(sql, anyOf(users), modelId, crypto.randomUUID()),
);
add("baseline: the seeds' way, one hot user", "", () => charge(sql, userId(0), modelId, crypto.randomUUID()));
// Five rows a transfer; generate_video writes twelve.
add(
  "baseline: a plain ledger, 10,000 accounts",
  "",
  () =>
    sql`select plain.transfer(${anyOf(users / 2)}, ${
      userId(users / 2 + Math.floor(Math.random() * users / 2))
    }, 4)`,
);
add(
  "baseline: a plain ledger, all to one account",
  "",
  () => sql`select plain.transfer(${anyOf(users / 2)}, ${userId(users - 1)}, 4)`,
);
add("select 1, for the load generator itself", "", () => sql`select 1`);

console.log(machine(database.version, `${connections} connections of postgres.js in one process`));
const measurements: Measurement[] = [];
for (const { title, prepare, load } of loads) {
  await prepare?.();
  if (title.includes(options.only)) measurements.push(await measure(load, timing));
}
printTable(
  `Stored procedures, ${options.seconds} s each, after ${jobs.toLocaleString("en")} jobs`,
  measurements,
);

const [lost] = await sql`
  select count(*)::int as accounts
  from credits.accounts as a
  where a.owner_id is not null and a.balance <> (select sum(e.amount) from credits.entries as e where e.account_id = a.id)`;
console.log(`\nAccounts whose balance is not the sum of their entries: ${lost?.accounts}`);
