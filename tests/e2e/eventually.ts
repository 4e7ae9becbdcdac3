import { setTimeout } from "node:timers/promises";

/** The first value that is not undefined; tried again until then, for 10 seconds at most. */
export async function eventually<T>(
  what: string,
  attempt: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const value = await attempt();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`Not within 10 seconds: ${what}`);
    await setTimeout(10);
  }
}
