/**
 * `deno task chaos`: clients buy credits and generate videos while Apple, providers, and servers and devices that are told of it fail in all their
 * ways, and functions and database are killed and started again. At the end everything is drained, and a table tells what became of every job and purchase. The exit code is 0
 * where nothing was lost and nothing charged twice.
 */
import { setTimeout as pause } from "node:timers/promises";
import type postgres from "postgres";
import { type Client, closeAccount, generateVideos, newClient, type Tally } from "./client.ts";
import { isPossible, letTimePass, notTried, strikeWith } from "./disasters.ts";
import { type Disaster, disasters, drawDisaster, randomNumbers, seedOf } from "./faults.ts";
import { guestCredits, mergeGuests, prepareGuests } from "./merges.ts";
import { failToPush, judgePushes, registerPhones } from "./phones.ts";
import { buyCredits, endSubscriptions, judgeSales } from "./shop.ts";
import { startServers } from "./servers.ts";
import { judge, type Verdict } from "./verdict.ts";
import { readArguments, wholeNumber } from "../../local/arguments.ts";
import { withConnection } from "../../local/postgres/database.ts";
import { exitOnTermination } from "../../local/processes/process.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { makeClockSettable } from "../../local/testing/settable-clock.ts";

export interface ChaosOptions {
  readonly seconds: number;
  readonly clients: number;
  /** Draws every fault. */
  readonly seed: number;
  /** Where data and logs are; it must be there. */
  readonly dataDirectory: string;
  /** Jobs whose bound is long over at the beginning, as after an hour without a tick. */
  readonly backlog: number;
  /** Which of them happen; all, where it is not said. */
  readonly only?: readonly Disaster["what"][];
}

/** More than a client can spend. Half of them expire before the end. */
const credits = 100_000;
/** Minutes of the clock: in the middle of most runs, or while they are drained. */
const expireAfter = 20;

/** Runs until all jobs have ended. Rejects where they do not. */
export async function chaos(
  { seconds, clients, seed, dataDirectory, backlog, only = disasters }: ChaosOptions,
): Promise<Verdict> {
  await using stack = await startStack({
    dataDirectory,
    tickMilliseconds: 300,
    fal: { webhookRetryMilliseconds: 100 },
    replicate: { queueMilliseconds: 50, runMilliseconds: 200, webhookRetryMilliseconds: 100 },
  });
  const onDatabase = <T>(work: (sql: postgres.Sql) => Promise<T>) => withConnection(stack.databaseUrl, work);
  await onDatabase(openGates);
  await using servers = await onDatabase((sql) => startServers(sql, dataDirectory));
  const tally: Tally = {
    accepted: new Map(),
    refused: new Set(),
    shown: new Map(),
    watching: [],
    repeated: 0,
    surprises: [],
  };
  const guests: Client[] = [];
  const devices = new Map<Client, Client[]>();
  for (let number = 1; number <= clients; number++) {
    const guest = await newClient(stack, `client ${number}`, tally);
    guests.push(guest);
    await onDatabase(async (sql) => {
      await sql`select accounts.admit(${guest.userId})`;
      await sql`select credits.add_credits(${guest.userId}, ${credits / 2}, 'for a chaos run')`;
      await sql`
        select credits.add(
          ${guest.userId}, ${
        credits / 2
      }, 'grant', ${`chaos ${guest.userId}`}, core.now() + ${expireAfter} * interval '1 minute'
        )`;
      // Every other one is somebody, whom the guests of their other devices become.
      if (number % 2 === 0) devices.set(guest, await prepareGuests(guest, { stack, sql, tally }));
    });
  }

  await registerPhones(guests);
  for (const id of await onDatabase((sql) => leaveUndone(sql, backlog))) {
    tally.accepted.set(id, "left undone");
  }
  const end = Date.now() + seconds * 1000;
  const isOver = () => Date.now() > end;
  const counts = new Map<Disaster["what"], number>();
  await Promise.all([
    ...guests.map(async (guest, index) => {
      await Promise.all([
        generateVideos(guest, { stack, tally, random: randomNumbers(seedOf(seed, index + 1)), isOver }),
        mergeGuests(guest, devices.get(guest) ?? [], {
          tally,
          random: randomNumbers(seedOf(seed, 1_000 + index)),
        }),
        buyCredits(guest, { stack, tally, random: randomNumbers(seedOf(seed, -index - 1)), isOver }),
      ]);
      // Every fourth leaves, with whatever runs.
      if (index % 4 === 1) await closeAccount(guest, tally);
    }),
    strike(stack, randomNumbers(seedOf(seed, 0)), only, isOver, dataDirectory, async (disaster) => {
      counts.set(disaster.what, (counts.get(disaster.what) ?? 0) + 1);
      const line = `${new Date().toISOString()} ${disaster.what} ${disaster.milliseconds}\n`;
      await Deno.writeTextFile(`${dataDirectory}/chaos.log`, line, { append: true });
    }),
    (async () => {
      const random = randomNumbers(seedOf(seed, 2_000));
      for (; !isOver(); await pause(500)) {
        await Promise.all([servers.misbehave(random), failToPush(stack, random)]);
      }
    })(),
  ]);
  await servers.mend();
  // What Apple told in vain is asked for once more, when nothing is on its way any more.
  await stack.simulators.appStore.control.reset();
  await endSubscriptions(stack);
  // Once now, since what is found after its period is over is credited to nobody, and once at the end.
  await onDatabase((sql) => sql`select purchases.ask_for_history()`);
  let minutes = await drain(stack);
  await onDatabase((sql) => sql`select purchases.ask_for_history()`);
  minutes += await drain(stack);
  const sales = await onDatabase((sql) => judgeSales(sql, stack));
  const told = await onDatabase((sql) => servers.judge(sql));
  const pushed = await onDatabase((sql) => judgePushes(sql, stack));
  const merging = [...devices.values()].flat().map(({ userId }) => userId);
  const merges = await onDatabase((sql) =>
    sql`select from accounts.merges as m where m.guest_id = any(${merging}::uuid[])`
  );
  if (merges.length !== merging.length) {
    tally.surprises.push(`of ${merging.length} guests ${merges.length} were merged`);
  }
  // Everything has ended, and whoever watches is told, or asks: at once, and without news in half a minute.
  const seen = new AbortController();
  await Promise.race([
    Promise.all(tally.watching).then(() => seen.abort()),
    pause(watchLimit, undefined, { signal: seen.signal }).catch(() => {}),
  ]);
  await onDatabase((sql) => judgeShown(sql, tally));
  const given = clients * credits + backlog * price + merging.length * guestCredits + sales.credits;
  const verdict = await onDatabase((sql) => judge(sql, stack, tally, given));
  return {
    ...verdict,
    problems: [...sales.problems, ...told.problems, ...pushed.problems, ...verdict.problems],
    rows: [
      ...[...counts].sort().map(([what, times]): [string, string] => [`disaster: ${what}`, `${times}`]),
      ["guests merged", `${merges.length}`],
      ["jobs watched to their end", `${tally.shown.size}`],
      ["minutes until nothing was left to do", minutes.toFixed(1)],
      ...sales.rows,
      ...told.rows,
      ...pushed.rows,
      ...verdict.rows,
    ],
  };
}

const price = 4;

/** Milliseconds: a watcher asks in half a minute, or, where no answer came, in as long after a minute's pause. */
const watchLimit = 120_000;

/** Whoever has watched a job to its end has seen what became of it. */
async function judgeShown(sql: postgres.Sql, tally: Tally): Promise<void> {
  const jobs = await sql<{ id: string; status: string }[]>`
    select j.id, j.status from videos.jobs as j where j.id = any (${[...tally.shown.keys()]}::uuid[])`;
  for (const { id, status } of jobs) {
    const shown = tally.shown.get(id);
    if (shown !== status) tally.surprises.push(`job ${id} is ${status}, and was shown as ${shown}`);
  }
}

/** Jobs that ran an hour ago and that nobody has ended; each of a user of its own, who had what it costs. Gives their ids. */
async function leaveUndone(sql: postgres.Sql, jobs: number): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    insert into videos.jobs (
      user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, due_at
    )
    select gen_random_uuid(), m.id, m.name, 'processing', 'left undone', '{}', ${price}, 'chaos', core.now(),
      core.now() - interval '50 minutes'
    from videos.models as m, generate_series(1, ${jobs}::integer) where m.id = '0190a000-0000-7000-8000-000000000001'
    returning id`;
  const left = sql`videos.jobs as j where j.request_id = 'chaos'`;
  await sql`select accounts.admit(j.user_id) from ${left}`;
  await sql`select credits.add(j.user_id, ${price}, 'grant', 'chaos ' || j.id) from ${left}`;
  await sql`select credits.hold(credits.lock_account(j.user_id), ${price}, j.id) from ${left}`;
  return rows.map(({ id }) => id);
}

/**
 * Limits that a person does not reach, and a day's cap, would end a client's run, and retention would delete what is judged
 * at its end; a second provider lets jobs change between them.
 */
async function openGates(sql: postgres.Sql): Promise<void> {
  await makeClockSettable(sql);
  await sql`update guard.policies set max_hits = 300, window_seconds = 1`;
  await sql`update videos.providers set daily_cap_cents = null`;
  // The clock jumps to when the last credits expire, half a year or more: what Apple told, and we, would be gone by then.
  await sql`update ops.retention_rules set keep = '100 years' where name in ('store_notifications', 'events')`;
  await sql`
    insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents)
    select p.model_id, 2, 'replicate', 'kwaivgi/kling-v2.5-turbo-pro', 35
    from videos.model_providers as p
    where p.provider_model = 'fal-ai/kling-video/v2.5-turbo/pro/text-to-video'
    on conflict do nothing`;
}

/** One disaster after the other; everything runs again when it resolves. */
async function strike(
  stack: Stack,
  random: () => number,
  only: readonly Disaster["what"][],
  isOver: () => boolean,
  dataDirectory: string,
  tell: (disaster: Disaster) => Promise<void>,
): Promise<void> {
  while (!isOver()) {
    const { after, disaster } = drawDisaster(random);
    if (!only.includes(disaster.what)) continue;
    await pause(after);
    if (!isPossible(disaster)) continue;
    await tell(disaster);
    await strikeWith(disaster, stack, dataDirectory);
  }
}

/** Real milliseconds after which a run that does not come to its end is stuck. */
const drainLimit = 600_000;
/** The tick's own: what recovers slowly takes many of them. */
const drainStep = 5_000;
/** Real milliseconds that the workers have for what is due after it. */
const drainPause = 100;

/**
 * Moves the clock and ticks until every job has ended, no task is left and every webhook was delivered. While nothing is
 * due, the clock jumps to what is next. Gives the minutes in which there was something to do.
 */
async function drain(stack: Stack): Promise<number> {
  const limit = Date.now() + drainLimit;
  const { fal, replicate, appStore } = stack.simulators;
  let steps = 0;
  for (;;) {
    const reports = await Promise.all([fal.control.report(), replicate.control.report()]);
    const undelivered = reports.some(({ deliveries }) => deliveries.some(({ state }) => state === "due"));
    const { deliveries } = await appStore.control.report();
    const left = [
      ...await withConnection(stack.databaseUrl, leftToDo),
      ...deliveries.filter(({ state }) => state === "due").map(({ requestId, dueAt }) => (
        { what: `Apple's notification ${requestId} is to come`, milliseconds: dueAt - Date.now() }
      )),
    ];
    if (left.length === 0 && !undelivered) return steps * drainStep / 60_000;
    if (Date.now() > limit) {
      const first = left.slice(0, 5).map(({ what }) => what);
      throw new Error(`Stuck${undelivered ? ", with webhooks due" : ""}: ${first.join("; ")}`);
    }
    if (!undelivered) {
      const next = Math.min(...left.map(({ milliseconds }) => milliseconds));
      if (next <= drainStep) steps += 1;
      await letTimePass(stack, Math.ceil(Math.max(next, drainStep)));
      await stack.tick();
    }
    await pause(drainPause);
  }
}

interface Left {
  what: string;
  /** Until it is due, by the clock. */
  milliseconds: number;
}

async function leftToDo(sql: postgres.Sql): Promise<Left[]> {
  return await sql<Left[]>`
    select format('job %s is %s', j.id, j.status) as what,
      coalesce(extract(epoch from j.due_at - core.now()) * 1000, 0)::float8 as milliseconds
    from videos.jobs as j
    where j.completed_at is null
    union all
    select format('task %s of %s, tried %s times: %s', t.kind, t.subject, t.attempts, t.last_error),
      (extract(epoch from greatest(t.run_at, t.leased_until) - core.now()) * 1000)::float8
    from queue.tasks as t
    where t.failed_at is null
    union all
    select format('notification %s is not acted upon', n.notification_id), 0
    from purchases.notifications as n where n.handled_at is null
    union all
    select format('purchase %s waits: %s', t.transaction_id, t.reason), 0
    from purchases.transactions as t where t.reason in ('unknown_product', 'switched_off')
    union all
    select format('credits of account %s expire', a.id), greatest(0, extract(epoch from a.next_expiry_at - core.now()) * 1000)::float8
    from credits.accounts as a where a.next_expiry_at is not null`;
}

/** One that no run has had yet. */
export function newSeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}

/** The table, then what is wrong. */
export function describe({ rows, problems }: Verdict): string {
  const width = Math.max(...rows.map(([what]) => what.length));
  return [
    ...rows.map(([what, value]) => `${what.padEnd(width)}  ${value.padStart(8)}`),
    problems.length === 0 ? "nothing lost, nothing charged twice" : `${problems.length} problems`,
    ...problems.slice(0, 20),
  ].join("\n");
}

/** Where a run keeps its data and logs: a new folder that Postgres, under an account of its own, can enter. */
export async function makeChaosDirectory(): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "kinora-chaos-" });
  await Deno.chmod(directory, 0o711);
  return directory;
}

async function main(): Promise<number> {
  const { values } = readArguments(
    `deno task chaos [--seconds=<number>] [--clients=<number>] [--backlog=<number>] [--seed=<number>] [--only=<disaster>]…

Lets clients buy credits and generate videos while Apple, providers, functions and database fail, and tells what became of every job
and purchase.
  --seconds=<number>   how long they generate (60)
  --clients=<number>   how many of them (8)
  --backlog=<number>   jobs that nobody has ended for an hour when it begins (5000)
  --seed=<number>      repeats the faults of a run that printed it
  --only=<disaster>    no others; may be given several times: ${disasters.join(", ")}`,
    {
      options: {
        seconds: { type: "string", default: "60" },
        clients: { type: "string", default: "8" },
        backlog: { type: "string", default: "5000" },
        seed: { type: "string", default: `${newSeed()}` },
        only: { type: "string", multiple: true },
      },
    },
  );
  const seconds = wholeNumber("seconds", values.seconds);
  const clients = wholeNumber("clients", values.clients);
  const backlog = wholeNumber("backlog", values.backlog);
  const seed = wholeNumber("seed", values.seed);
  const only = disasters.filter((what) => values.only === undefined || values.only.includes(what));
  const unknown = values.only?.filter((what) => !only.some((disaster) => disaster === what)) ?? [];
  if (unknown.length > 0) {
    console.error(`There is no disaster ${unknown.join(", ")}: there are ${disasters.join(", ")}`);
    return 1;
  }
  const dataDirectory = await makeChaosDirectory();
  console.log(
    `seed ${seed}: ${clients} clients for ${seconds} s, in ${dataDirectory}\nnot tried: ${notTried}`,
  );
  try {
    const verdict = await chaos({ seconds, clients, seed, dataDirectory, backlog, only });
    console.log(describe(verdict));
    if (verdict.problems.length === 0) {
      await Deno.remove(dataDirectory, { recursive: true });
      return 0;
    }
  } catch (error) {
    console.error(error);
  }
  console.log(`Data and logs stay in ${dataDirectory}; --seed ${seed} repeats the faults.`);
  return 1;
}

if (import.meta.main) {
  using _termination = exitOnTermination(() => Promise.resolve());
  Deno.exit(await main());
}
