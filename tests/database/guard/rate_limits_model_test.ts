import assert from "node:assert/strict";
import fc from "fast-check";
import { testDatabase } from "../harness.ts";
import { freezeClock } from "../support/frozen-clock.ts";
import { propertyOptions } from "../../runs.ts";
import { setPolicy, takeOne } from "../support/rate-limits.ts";

/** Pauses before each attempt, in tenths of a second: mostly bursts, at times as long as the window and longer. */
const pauses = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 20 }) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 300 }) },
    { weight: 1, arbitrary: fc.constantFrom(599, 600, 601) },
  ),
  { minLength: 20, maxLength: 60, size: "max" },
);
const windowSeconds = 60;
const windowTenths = windowSeconds * 10;

/** The most hits in any window of the length, wherever it begins. */
function maxInAnyWindow(hits: readonly number[], length: number): number {
  return Math.max(0, ...hits.map((from) => hits.filter((hit) => hit >= from && hit < from + length).length));
}

Deno.test("no window whatsoever admits 11 of 10", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const clock = await freezeClock(database);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 10 }),
      fc.boolean(),
      pauses,
      async (maxHits, isLogged, pauses) => {
        await setPolicy(sql, "test", { maxHits, windowSeconds, isLogged });
        const caller = { userId: crypto.randomUUID() };
        const admitted: number[] = [];
        let now = 0;
        for (const pause of pauses) {
          now += pause;
          await clock.advance(pause * 100);
          const limit = await takeOne(sql, "test", caller);

          const inWindow = admitted.filter((hit) => hit > now - windowTenths);
          const allowed = inWindow.length < maxHits;
          if (allowed) {
            admitted.push(now);
            inWindow.push(now);
          }
          const oldest = inWindow[0] ?? now;
          assert.deepEqual(limit, {
            policy: "test",
            allowed,
            current: inWindow.length,
            limit: maxHits,
            window: windowSeconds,
            remaining: maxHits - inWindow.length,
            reset: Math.max(1, Math.ceil((oldest + windowTenths - now) / 10)),
          });
        }
        assert.ok(maxInAnyWindow(admitted, windowTenths) <= maxHits);
      },
    ),
    propertyOptions(4, 300),
  );
});
