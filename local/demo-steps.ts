/** What the demo's steps have in common: how they are told, and how an app waits for what comes. */
import { strict as assert } from "node:assert";
import type { Kinora, WatchedJob } from "../client/src/kinora.ts";

const bold = (text: string) => `\x1b[1m${text}\x1b[0m`;

/** Runs one step and prints what came of it and how long it took. */
export async function step<T>(
  name: string,
  sent: string,
  work: () => Promise<T>,
  tell: (result: T) => string,
): Promise<T> {
  const startedAt = performance.now();
  const result = await work();
  const time = `${Math.round(performance.now() - startedAt)} ms`.padStart(8);
  console.log(`${time}  ${bold(name.padEnd(16))} ${sent}${sent && " → "}${tell(result)}`);
  return result;
}

/** Watches a job to its end. */
export async function watch(kinora: Kinora, jobId: string): Promise<{ stages: string[]; last: WatchedJob }> {
  const stages: string[] = [];
  let last: WatchedJob | undefined;
  for await (last of kinora.watch(jobId, { timeout: 60_000 })) {
    if (stages.at(-1) !== last.progress.stage) stages.push(last.progress.stage);
  }
  assert(last);
  return { stages, last };
}

type Credits = Awaited<ReturnType<Kinora["credits"]>>;

/** Waits for what Apple's notification brings about. */
export async function creditsWhen(kinora: Kinora, isSo: (credits: Credits) => boolean): Promise<Credits> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    const now = await kinora.credits();
    if (isSo(now)) return now;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Apple's notification brought nothing about within half a minute");
}
