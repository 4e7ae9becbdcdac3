/**
 * Runs with timers that are over at once, for what waits by the real `sleep`, and returns for how many milliseconds each
 * would have waited.
 */
export async function withoutPauses(run: () => Promise<unknown>): Promise<number[]> {
  const pauses: number[] = [];
  const original = globalThis.setTimeout;
  const immediate = (callback: () => void, milliseconds: number) => {
    pauses.push(milliseconds);
    queueMicrotask(callback);
    return 0;
  };
  Reflect.set(globalThis, "setTimeout", immediate);
  try {
    await run();
  } finally {
    Reflect.set(globalThis, "setTimeout", original);
  }
  return pauses;
}
