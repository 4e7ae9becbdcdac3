/**
 * Asks until `attempt` gives something, and gives that. Fails after `seconds`, naming what did not happen; the default
 * is far beyond what anything here takes on a busy machine.
 */
export async function eventually<T>(
  what: string,
  attempt: () => Promise<T | undefined>,
  seconds = 15,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    const result = await attempt();
    if (result !== undefined) return result;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`Not within ${seconds} seconds: ${what}`);
}
