/** A job until it has ended: asked for when something has happened, or from time to time where that cannot be heard. */
import { noAnswer } from "./errors.ts";
import type { Listener } from "./listening.ts";
import type { components } from "./openapi.ts";
import { pause } from "./retry.ts";

type WatchedJob = components["schemas"]["VideoStatusResponse"];

/** Seconds without news after which a job is asked for all the same: Realtime may lose a message. */
const longestSilence = 30;

/** The job whenever it changes, and last when it has ended. `ask` is told how many milliseconds it may take. */
export async function* watchJob(
  jobId: string,
  { timeout = Infinity, signal, listener, ask }: {
    readonly timeout: number | undefined;
    readonly signal: AbortSignal | undefined;
    readonly listener: Listener;
    readonly ask: (timeout: number) => Promise<WatchedJob>;
  },
): AsyncGenerator<WatchedJob, void, undefined> {
  const end = performance.now() + timeout;
  const isOver = () => noAnswer(`The job goes on after ${timeout} ms`);
  let wake = () => {};
  const stop = listener.add((news) => {
    if (news === null || news.data.job_id === jobId) wake();
  });
  let shown = "";
  try {
    for (;;) {
      // What happens while the job is asked for is a reason to ask again.
      const news = new Promise<void>((resolve) => wake = resolve);
      listener.open();
      const job = await ask(end - performance.now());
      const { next_poll_seconds, ...state } = job;
      const text = JSON.stringify(state);
      if (text !== shown) yield job;
      shown = text;
      if (next_poll_seconds === null) return;
      const left = (end - performance.now()) / 1000;
      if (!listener.isTold && next_poll_seconds >= left) throw isOver();
      // At the end of its time it polls: what was lost would not be asked for any more.
      const isPatient = listener.isTold && left > longestSilence;
      const seconds = isPatient ? Math.max(next_poll_seconds, longestSilence) : next_poll_seconds;
      await pause(Math.min(seconds, left), signal, news);
      if (performance.now() >= end) throw isOver();
    }
  } finally {
    stop();
  }
}
