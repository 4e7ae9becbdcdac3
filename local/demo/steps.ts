/** What the demo's steps have in common: how they are told, and how an app waits for what comes. */
import { strict as assert } from "node:assert";
import * as z from "zod";
import type { Kinora, WatchedJob } from "../../client/src/kinora.ts";
import { refuse } from "../arguments.ts";
import { DirectoryInUseError, openDirectory } from "../directory.ts";
import { demoDirectory, removeStatus } from "../served.ts";
import type { ApnsSimulator } from "../simulators/apns/apns.ts";

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

const Shown = z.object({
  aps: z.object({ alert: z.object({ title: z.string(), body: z.string() }) }),
  data: z.record(z.string(), z.string()),
});

/** What the first push to a device shows, and what a tap opens. */
export async function pushOn(
  token: string,
  { control }: ApnsSimulator,
): Promise<{ alert: { title: string; body: string }; data: Record<string, string> }> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    const { requests } = await control.report();
    const sent = requests.find((request) => request.token === token && request.isSent);
    if (sent !== undefined) {
      const { aps: { alert }, data } = Shown.parse(sent.payload);
      return { alert, data };
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Nothing was pushed within half a minute");
}

/** One demo of a clone is served at a time, so that `deno task status` can say where. */
export async function holdDemoDirectory(cleanup: AsyncDisposableStack): Promise<void> {
  try {
    cleanup.use(await openDirectory(demoDirectory));
  } catch (error) {
    if (!(error instanceof DirectoryInUseError)) throw error;
    refuse("A demo of this clone is being served already. `deno task status` says where.");
  }
  await removeStatus(demoDirectory);
  cleanup.defer(() => removeStatus(demoDirectory));
}
