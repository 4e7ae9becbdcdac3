import { setTimeout } from "node:timers/promises";
import { patience } from "../../local/testing/patience.ts";

/** The first value that is not undefined; tried again until then, as long as a test has patience. */
export async function eventually<T>(
  what: string,
  attempt: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + patience;
  for (;;) {
    const value = await attempt();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`Not within ${patience} ms: ${what}`);
    await setTimeout(10);
  }
}
