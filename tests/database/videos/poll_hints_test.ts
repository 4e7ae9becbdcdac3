/** Whoever watches as they are told to is never refused for it. */
import assert from "node:assert/strict";
import { acceptJob } from "../support/jobs.ts";
import { first, type Sql } from "../support/ledger.ts";
import { setPolicy } from "../support/rate-limits.ts";
import { createPayer } from "../support/videos.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();

interface Answer {
  error?: string;
  data?: { next_poll_seconds: number | null };
}

async function ask(sql: Sql, userId: string, jobId: string): Promise<Answer> {
  return (await first(sql<{ answer: Answer }[]>`select api.video_status(${userId}, ${jobId}) as answer`))
    .answer;
}

/** Accepts so many jobs, so many seconds apart, and watches each as it is told; gives the most requests of a minute. */
async function watch(jobs: number, { apart, minutes }: { apart: number; minutes: number }): Promise<number> {
  const { sql, advance } = database;
  const userId = await createPayer(sql, 4 * jobs);
  const asked: number[] = [];
  const due = new Map<string | number, number>(
    Array.from({ length: jobs }, (_, index) => [index, index * apart]),
  );
  let now = 0;
  while (true) {
    const [[next, at] = ["", Infinity]] = [...due].toSorted(([, a], [, b]) => a - b);
    if (at > minutes * 60) break;
    await advance((at - now) * 1000);
    now = at;
    due.delete(next);
    const jobId = typeof next === "number" ? await acceptJob(sql, userId) : next;
    const { error, data } = await ask(sql, userId, jobId);
    assert.equal(error, undefined, `${jobs} jobs, ${apart} s apart: refused after ${now} s`);
    asked.push(now);
    due.set(jobId, now + (data?.next_poll_seconds ?? Infinity));
  }
  return Math.max(...asked.map((from) => asked.filter((at) => at >= from && at < from + 60).length));
}

Deno.test("obeying the hints of 20 running jobs stays within half of `reads`, but for their first minute", async () => {
  for (const [jobs, apart] of [[1, 0], [2, 0], [10, 0], [20, 0], [20, 1], [20, 7], [35, 0]] as const) {
    const most = await watch(jobs, { apart, minutes: 4 });
    assert(most <= 100, `${jobs} jobs, ${apart} s apart: ${most} requests in a minute`);
  }
});

Deno.test("the hints follow what the operator makes of `reads`, and stay between 2 and 60 seconds", async () => {
  const { sql } = database;
  const userId = await createPayer(sql, 100);
  const jobIds = await Array.fromAsync({ length: 10 }, () => acceptJob(sql, userId));
  const hint = async () => (await ask(sql, userId, jobIds[0] ?? "")).data?.next_poll_seconds;
  assert.equal(await hint(), 10);
  await setPolicy(sql, "reads", { maxHits: 60, windowSeconds: 60 });
  assert.equal(await hint(), 20);
  await setPolicy(sql, "reads", { maxHits: 300, windowSeconds: 1 });
  assert.equal(await hint(), 2);
  await setPolicy(sql, "reads", { maxHits: 5, windowSeconds: 60 });
  assert.equal(await hint(), 60);
  await sql`drop table guard.hits_unlogged`;
  assert.equal(await hint(), 10, "where the limiter is broken, as the API has it");
});
