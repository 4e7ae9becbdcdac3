/**
 * What a completed video costs over the whole stack: CPU time of the functions, of Postgres and of the local gateway, at so
 * many generations a second; and the bytes that it leaves. And what an accepted one leaves, by its procedure alone.
 */
import { createClient } from "@supabase/supabase-js";
import type postgres from "postgres";
import { withConnection } from "../local/postgres/database.ts";
import { cpuSeconds } from "../local/processes/process-usage.ts";
import { systemIsLinux } from "../local/processes/system.ts";
import { startStack } from "../local/stack.ts";
import {
  addUsers,
  benchFolder,
  benchServer,
  migratedDatabase,
  modelId,
  serverCpu,
  userId,
  widenPolicies,
} from "./database.ts";
import { generate } from "./procedures.ts";
import { showProgress } from "./progress.ts";
import { bound, type Findings, median } from "./report.ts";
import { bytesOf, difference, type Snapshot, snapshot, tableOfStored } from "./storage.ts";

export interface CompletedVideoOptions {
  /** Of each repetition. */
  readonly seconds: number;
  readonly repetitions: number;
  /** Before anything is counted. */
  readonly warmUp: number;
  /** Accepted videos whose bytes are counted: a table grows by pages of 8 kB. */
  readonly accepted: number;
}

/** As the goal has it. */
const perSecond = 5;
/** Of a completed video, before issue 14: heap and index together, and WAL. */
const bytesBefore = 6_621 + 18_500;

interface Usage {
  readonly functions: number;
  readonly postgres: number;
  readonly gateway: number;
  readonly own: number;
}

/** The figures, and what an accepted and a completed video leave in each table. */
export async function measureCompletedVideo(options: CompletedVideoOptions): Promise<Findings> {
  const accepted = await measureAccepted(options);
  await using cleanup = new AsyncDisposableStack();
  showProgress("the whole stack");
  const stack = cleanup.use(await startStack({ dataDirectory: `${await benchFolder(cleanup)}/data` }));
  const client = createClient(stack.url, stack.publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { data } = await client.auth.signInAnonymously();
  const user = data.user?.id ?? "";

  async function request(): Promise<void> {
    const { error } = await client.functions.invoke("generate-video", {
      body: { model_id: modelId, prompt: "A cat walks through the city at night" },
      headers: { "Idempotency-Key": crypto.randomUUID() },
    });
    if (error !== null) throw error;
  }

  return await withConnection(stack.databaseUrl, async (sql) => {
    await widenPolicies(sql, "network");
    await sql`select accounts.admit(${user})`;
    await sql`select credits.add_credits(${user}, 1000000, 'for a bench')`;

    const usage = async (): Promise<Usage> => ({
      functions: milliseconds(stack.functions.pid),
      gateway: milliseconds(stack.gateway.pid),
      own: milliseconds(Deno.pid),
      postgres: await serverCpu(sql),
    });

    await atRate(options.warmUp, request);
    await untilEnded(sql);
    let videos = 0;
    const before = await snapshot(sql);
    const taken: Usage[] = [];
    for (let repetition = 0; repetition < options.repetitions; repetition += 1) {
      const from = await usage();
      const count = Math.max(1, options.seconds * perSecond);
      await atRate(count, request);
      await untilEnded(sql);
      videos += count;
      const to = await usage();
      const each = (part: keyof Usage) => (to[part] - from[part]) / count;
      taken.push({
        functions: each("functions"),
        postgres: each("postgres"),
        gateway: each("gateway"),
        own: each("own"),
      });
    }
    return findings(taken, accepted, difference(before, await snapshot(sql), videos));
  });
}

function findings(taken: readonly Usage[], accepted: Snapshot, completed: Snapshot): Findings {
  const cpu = (part: keyof Usage) => median(taken.map((usage) => usage[part]));
  const share = (bytesOf(completed) + completed.walBytes) / bytesBefore;
  const what = (part: string) => `CPU of a completed video at ${perSecond} a second, ${part}`;
  return {
    goals: [
      bound(what("functions"), cpu("functions"), { atMost: 8, unit: " ms" }),
      bound(what("Postgres"), cpu("postgres"), { atMost: 4, unit: " ms" }),
      bound("heap, index and WAL of a completed video, beside before", 100 * share, {
        atMost: 60,
        unit: " %",
      }),
    ],
    tables: [
      {
        title: `CPU of a completed video at ${perSecond} a second, ms`,
        header: ["", "median", "each repetition"],
        rows: ([
          ["functions", "functions"],
          ["Postgres, all its processes", "postgres"],
          ["local gateway, which no project has", "gateway"],
          ["load generator, with the simulators", "own"],
        ] as const).map(([name, part]) => [
          name,
          cpu(part).toFixed(1),
          taken.map((usage) => usage[part].toFixed(1)).join(", "),
        ]),
      },
      tableOfStored("Bytes of a completed video", completed),
      tableOfStored("Bytes of an accepted video", accepted),
    ],
  };
}

/** So many calls, at the goal's rate, whether those before have been answered or not. */
async function atRate(count: number, call: () => Promise<void>): Promise<void> {
  const calls: Promise<void>[] = [];
  const startedAt = performance.now();
  while (calls.length < count) {
    const wait = startedAt + calls.length * 1_000 / perSecond - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    calls.push(call());
    showProgress("completed videos");
  }
  await Promise.all(calls);
}

/** The simulated providers take some seconds; whoever takes longer is stuck. */
const endedWithin = 60_000;

async function untilEnded(sql: postgres.Sql): Promise<void> {
  const end = performance.now() + endedWithin;
  while (true) {
    const [jobs] = await sql<{ open: number; failed: number }[]>`
      select count(*) filter (where completed_at is null)::int as open,
        count(*) filter (where completed_at is not null and status <> 'completed')::int as failed
      from videos.jobs`;
    if (jobs === undefined || jobs.failed > 0) throw new Error(`${jobs?.failed} videos have failed`);
    if (jobs.open === 0) return;
    if (performance.now() > end) throw new Error(`${jobs.open} videos do not end`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** CPU time of a process so far. */
function milliseconds(pid: number | undefined): number {
  return pid === undefined || !systemIsLinux ? NaN : 1_000 * (cpuSeconds(pid) ?? NaN);
}

/** One after the other, each by another user. */
async function measureAccepted({ warmUp, accepted }: CompletedVideoOptions): Promise<Snapshot> {
  await using cleanup = new AsyncDisposableStack();
  showProgress("bytes of accepted videos");
  const sql = await migratedDatabase(await benchServer(cleanup), cleanup);
  await addUsers(sql, warmUp + accepted, 1_000);
  await widenPolicies(sql);
  const accept = async (from: number, count: number) => {
    for (let number = from; number < from + count; number += 1) await generate(sql, userId(number));
  };
  await accept(0, warmUp);
  const before = await snapshot(sql);
  await accept(warmUp, accepted);
  return difference(before, await snapshot(sql), accepted);
}
