/**
 * Ports of 127.0.0.1 that stay the same between two starts.
 */

/** A stack that was just killed takes a moment to let go of its ports. */
const releaseTime = 2_000;
const pollInterval = 50;

/** Resolves when nobody listens on `port`; rejects, naming `owner`, when somebody still does after two seconds. */
export async function untilFree(port: number, owner: string): Promise<void> {
  const deadline = Date.now() + releaseTime;
  while (!isFree(port)) {
    if (Date.now() > deadline) {
      throw new Error(`Port ${port} of 127.0.0.1, for ${owner}, is taken by another program`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollInterval));
  }
}

/** Whether one could listen on `port` now. */
export function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
