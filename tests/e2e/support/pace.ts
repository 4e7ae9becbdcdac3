/** What an answer may take on a machine that has other things to do. */
import { setTimeout } from "node:timers/promises";

export interface Pace extends AsyncDisposable {
  /** So many milliseconds of a quiet machine, and room for what this one took beside it. */
  limit(milliseconds: number): number;
}

/** An answer that is late takes about as many turns as these that are none, and not ten times as many. */
const turns = 10;

/** Asks again and again for what takes next to no time, and so learns how busy the machine is. */
export function startPace(ask: () => Promise<unknown>): Pace {
  let slowest = 0;
  let isOver = false;
  async function askAgainAndAgain(): Promise<void> {
    while (!isOver) {
      const startedAt = performance.now();
      await ask();
      slowest = Math.max(slowest, performance.now() - startedAt);
      await setTimeout(5);
    }
  }
  const asking = askAgainAndAgain();
  return {
    limit: (milliseconds) => milliseconds + turns * slowest,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await asking;
    },
  };
}
