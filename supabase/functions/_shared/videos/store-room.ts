/**
 * How much one isolate stores. The platform adds up an isolate's CPU time over its life and ends it at 2 s, with all that it
 * is at; past some 1 s it gives it no new request. So what an isolate may begin after its last request has to fit into
 * the other second: see docs/decisions/0028-a-stored-file-is-not-hashed.md for the figures.
 */
import type { Room } from "../queue/task.ts";

/** A worker begins tasks for so long after its request. */
const windowMilliseconds = 25_000;

/** Beyond it no other store is begun within the window: with the largest video it costs less than 1 s of CPU. */
const bytesInWindow = 50 * 1024 * 1024;

export interface StoreRoom extends Room {
  /** Begins a store. `count` is told each piece's bytes, and `leave` that it has ended, however it did; `now` as in `isFree`. */
  enter(): { count(bytes: number): void; leave(now: number): void };
}

/** Room for one store at a time, and for so many bytes in a while. An isolate has one. */
export function storeRoom(): StoreRoom {
  let storing = 0;
  let stored: { readonly bytes: number; readonly endedAt: number }[] = [];
  return {
    isFree(now) {
      stored = stored.filter(({ endedAt }) => endedAt > now - windowMilliseconds);
      return storing === 0 && stored.reduce((sum, { bytes }) => sum + bytes, 0) < bytesInWindow;
    },
    enter() {
      let own = 0;
      storing += 1;
      return {
        count(bytes) {
          own += bytes;
        },
        leave(now) {
          storing -= 1;
          stored.push({ bytes: own, endedAt: now });
        },
      };
    },
  };
}
