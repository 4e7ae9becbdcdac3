/** For what only this process knows, and must not be lost because the database restarts. */
import { codes } from "../errors/error-codes.ts";
import { AppError } from "../errors/app-error.ts";
import { sleep } from "../platform/sleep.ts";

/** Milliseconds; together half a minute, in which a database that was restarted is back. */
const pauses = [500, 1_000, 2_000, 4_000, 8_000, 16_000];

/**
 * Calls a procedure that may be called twice, and again while the database is away, for half a minute. Throws what it
 * throws. `pause` waits so many milliseconds.
 */
export async function whileDatabaseIsAway<Result>(
  call: () => Promise<Result>,
  pause: (milliseconds: number) => Promise<unknown> = sleep,
): Promise<Result> {
  for (const milliseconds of pauses) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof AppError && error.code === codes["database/unavailable"])) throw error;
    }
    await pause(milliseconds);
  }
  return await call();
}
