/**
 * The memory and the CPU time that the functions need while they store large videos, beside the
 * 256 MB and the 2 s that the platform gives, and the time from a webhook to the end of its job.
 */
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type postgres from "postgres";
import { withConnection } from "../local/postgres/database.ts";
import { maxVideoBytes } from "../supabase/functions/_shared/videos/store.ts";
import { cpuSeconds, peakMemory } from "../local/processes/process-usage.ts";
import type { FalRule } from "../local/simulators/fal/fal.ts";
import { type Stack, startStack } from "../local/stack.ts";
import { modelId, widenPolicies } from "./database.ts";
import { showProgress } from "./progress.ts";
import type { Findings } from "./report.ts";

const megabyte = 1024 * 1024;
const largeVideo: FalRule = { media: "padded", mediaBytes: maxVideoBytes };
/** One after the other, since an isolate stores one at a time; together less than what it stores before it pauses. */
const usualVideos = 4;
const usualVideo: FalRule = { media: "padded", mediaBytes: 12 * megabyte };
/** Enough for a 95th percentile, in a few seconds. */
const smallVideos = 60;

interface Stored {
  /** Milliseconds from the webhook to the job's end. */
  milliseconds: number;
}

/** Generates so many videos at once, and waits until all are stored. */
async function store(stack: Stack, client: SupabaseClient, rule: FalRule, count: number): Promise<Stored[]> {
  await stack.simulators.fal.control.rules({ ...rule, times: count });
  const jobs = await Promise.all(Array.from({ length: count }, async () => {
    const { data, error } = await client.functions.invoke("generate-video", {
      body: { model_id: modelId, prompt: "A long river" },
      headers: { "Idempotency-Key": crypto.randomUUID() },
    });
    if (error !== null) throw error;
    return String(data.job_id);
  }));
  return await withConnection(stack.databaseUrl, (sql) => ended(sql, jobs));
}

/** A large video takes seconds; whoever takes longer is stuck. */
const limit = 120_000;

async function ended(sql: postgres.Sql, jobs: string[]): Promise<Stored[]> {
  for (const end = Date.now() + limit; Date.now() < end;) {
    const rows = await sql<(Stored & { status: string })[]>`
      select j.status, extract(epoch from j.completed_at - min(e.received_at))::float * 1000 as milliseconds
      from videos.jobs as j
      join videos.submissions as s on s.job_id = j.id
      join videos.provider_events as e on e.submission_id = s.id
      where j.id = any (${jobs}) and j.completed_at is not null
      group by j.id`;
    const other = rows.find(({ status }) => status !== "completed");
    if (other !== undefined) throw new Error(`A job is ${other.status}`);
    if (rows.length === jobs.length) return [...rows];
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("The jobs do not end");
}

/** Beside the 256 MB and the 2 s of CPU that the platform gives an isolate. */
export async function measureMemory(): Promise<Findings> {
  await using stack = await startStack({ fal: { queueMilliseconds: 100, runMilliseconds: 100 } });
  const client = createClient(stack.url, stack.publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { data } = await client.auth.signInAnonymously();
  if (data.user === null) throw new Error("No guest");
  const userId = data.user.id;
  await withConnection(stack.databaseUrl, async (sql) => {
    await widenPolicies(sql);
    await sql`select accounts.admit(${userId})`;
    await sql`select credits.add_credits(${userId}, 1000, 'for a bench')`;
  });

  const header = [
    "",
    "CPU s a video",
    "functions MB",
    "gateway MB",
    "webhook to completed ms",
    "95th",
  ];
  const rows: string[][] = [];
  let used = 0;
  const note = (name: string, stored: Stored[]) => {
    const times = stored.map(({ milliseconds }) => milliseconds).sort((one, other) => one - other);
    const { pid = 0 } = stack.functions;
    const before = used;
    used = cpuSeconds(pid) ?? NaN;
    rows.push([
      name,
      ((used - before) / Math.max(1, times.length)).toFixed(2),
      ...[pid, stack.gateway.pid].map((pid) => `${Math.round((peakMemory(pid) ?? NaN) / megabyte)}`),
      ...[0.5, 0.95].map((share) =>
        times.length === 0 ? "" : `${Math.round(times[Math.floor(times.length * share)] ?? NaN)}`
      ),
    ]);
  };
  note("started", []);
  const small: Stored[] = [];
  for (let turn = 0; turn < smallVideos; turn++) {
    small.push(...await store(stack, client, {}, 1));
    showProgress("small videos");
  }
  note(`${smallVideos} of 40 kB, one after the other`, small);
  showProgress("videos of 12 MB");
  note(`${usualVideos} of 12 MB that end at once`, await store(stack, client, usualVideo, usualVideos));
  showProgress("a video of 150 MB");
  note("one of 150 MB, the largest", await store(stack, client, largeVideo, 1));
  const title =
    "Storing videos: the functions' CPU time, the most memory so far, and the time until a job has ended";
  return { goals: [], tables: [{ title, header, rows }] };
}
