import type { Logger } from "../platform/logger.ts";

export interface BackgroundWork {
  /** Lets work go on after the answer. A failure of it is logged. */
  run(work: Promise<unknown>, log: Logger): void;
  /** Resolves when nothing is left to do, for tests and for a server that stops. */
  settled(): Promise<void>;
}

/**
 * Keeps what runs after the answer. The platform ends an isolate that has answered, unless it is told of the
 * work through EdgeRuntime.waitUntil; elsewhere the process lives on anyway.
 */
export function createBackgroundWork(): BackgroundWork {
  const running = new Set<Promise<unknown>>();
  return {
    run(work, log) {
      const watched: Promise<unknown> = work
        .catch((error: unknown) => log.error("background_work_failed", { error }))
        .finally(() => running.delete(watched));
      running.add(watched);
      tellPlatform(watched);
    },
    async settled() {
      // Work may start more work.
      while (running.size > 0) await Promise.all(running);
    },
  };
}

function tellPlatform(work: Promise<unknown>): void {
  const platform: unknown = Reflect.get(globalThis, "EdgeRuntime");
  if (typeof platform !== "object" || platform === null || !("waitUntil" in platform)) return;
  if (typeof platform.waitUntil === "function") platform.waitUntil(work);
}
