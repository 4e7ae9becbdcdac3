/** What a user, the scheduler and the provider do while the functions are killed, and when nothing more is to come. */
import { AcceptedVideo } from "../../../supabase/functions/_shared/videos/contract.ts";
import { GenerateVideosResponse } from "../../../supabase/functions/generate-videos/schema.ts";
import { shared } from "../../shared.ts";
import { eventually } from "../eventually.ts";
import { type Answer, bodyOf } from "./answer.ts";
import { type Guest, startBackend } from "./backend.ts";
import { PortCalls } from "./port-calls.ts";
import { kling } from "./videos.ts";

/** Milliseconds; nobody waits for them. */
export const untilMade = 60 * 60_000;

export let calls: PortCalls;
Deno.test.beforeAll(() => {
  calls = new PortCalls();
});
Deno.test.afterAll(() => calls[Symbol.asyncDispose]());

export const backend = shared(() =>
  startBackend({
    environment: calls.environment,
    fal: { queueMilliseconds: 0, runMilliseconds: untilMade, webhookRetryMilliseconds: 50 },
    appStore: { retryMilliseconds: 50 },
  })
);

export interface Run {
  readonly guest: Guest;
  /** Nobody else's. */
  readonly prompt: string;
  jobId: string;
}

export async function restart(): Promise<void> {
  const { functions } = backend.stack;
  calls.bury(functions.pid);
  await functions.kill();
  await functions.start();
}

/** As an app does it: with the same key, until there is an answer. */
export async function generate(run: Run): Promise<void> {
  const body = { model_id: kling, prompt: run.prompt };
  const answer = await call(run, "generate-video", { body, key: run.guest.id });
  run.jobId = bodyOf(answer, 202, AcceptedVideo).job_id;
}

/** The same of two, of which the second cannot be paid; the job is the first. */
export async function generateSeveral(run: Run): Promise<void> {
  const item = { model_id: kling, prompt: run.prompt };
  const body = { mode: "any", items: [item, item] };
  const answer = await call(run, "generate-videos", { body, key: run.guest.id });
  const { results: [first] } = bodyOf(answer, 202, GenerateVideosResponse);
  if (first === undefined || "error" in first) throw new Error(JSON.stringify(answer.body));
  run.jobId = first.job_id;
}

/** Whoever gets no answer, or hears that there is none, asks again. */
export async function call(
  { guest }: Run,
  path: string,
  options: Parameters<Guest["call"]>[1],
): Promise<Answer> {
  return await eventually(`${path} is answered`, async () => {
    try {
      const answer = await guest.call(path, options);
      return answer.status === 503 ? undefined : answer;
    } catch (error) {
      if (!calls.hasCrashed) throw error;
      return undefined;
    }
  });
}

/** Moves the clock to when the job's submission is tried again: that depends on who was asked to wait for how long. */
export async function nextTry({ jobId }: Run): Promise<void> {
  // Until then the task is in hand, and its next time is not written.
  await untilQuiet();
  const [next] = await backend.database.sql<{ milliseconds: number }[]>`
    select greatest(0, ceil(extract(epoch from max(t.run_at) - core.now()) * 1000))::int as milliseconds
    from queue.tasks as t
    where t.subject = ${jobId} and t.kind = 'submit'`;
  await backend.database.advance(next?.milliseconds ?? 0);
  await tick();
}

export async function tick(): Promise<void> {
  try {
    await backend.stack.tick();
  } catch (error) {
    if (!calls.hasCrashed) throw error;
  }
}

/** Waits; where the functions have nothing in hand, it is the provider and, after a crash, the clock that bring it about. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  await eventually(what, async () => {
    if (await condition()) return true;
    if (calls.isIdleFor(quiet)) await goOn();
    return undefined;
  });
}

/** Milliseconds with nothing in hand, after which no webhook is on its way. */
const quiet = 50;

export async function untilQuiet(): Promise<void> {
  await eventually("nothing is under way", () => calls.isIdleFor(quiet) || undefined);
}

/** Lets the provider send the webhooks that it has to send, or else, after a crash, moves the clock to the next thing that is due. */
async function goOn(): Promise<void> {
  const { sql } = backend.database;
  const { control } = backend.stack.simulators.fal;
  const { deliveries } = await control.report();
  if (deliveries.some(({ state }) => state === "due")) return await control.elapse(untilMade);
  if (!calls.hasCrashed) return;
  const [next] = await sql<{ milliseconds: number }[]>`
    select greatest(0, ceil(extract(epoch from min(at) - core.now()) * 1000))::int as milliseconds
    from (
      select greatest(t.run_at, t.leased_until) as at from queue.tasks as t where t.failed_at is null
      union all
      select j.due_at from videos.jobs as j where j.completed_at is null
    ) as times`;
  await backend.database.advance(next?.milliseconds ?? 0);
  await tick();
}

export async function hasEnded({ jobId }: Run): Promise<boolean> {
  return calls.isIdle &&
    await isTrue(
      backend.database.sql`select from videos.jobs where id = ${jobId} and completed_at is not null`,
    );
}

export async function isDone(): Promise<boolean> {
  return calls.isIdle && await isTrue(backend.database.sql`
    select where not exists (select from queue.tasks)
      and not exists (select from videos.jobs where completed_at is null)`);
}

export async function isTrue(query: PromiseLike<readonly unknown[]>): Promise<boolean> {
  return (await query).length > 0;
}
