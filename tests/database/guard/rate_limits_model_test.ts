import assert from "node:assert/strict";
import fc from "fast-check";
import { testDatabase } from "../harness.ts";
import { freezeClock } from "../support/frozen-clock.ts";
import { propertyOptions } from "../support/properties.ts";
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
function mostInAnyWindow(hits: readonly number[], length: number): number {
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
        assert.ok(mostInAnyWindow(admitted, windowTenths) <= maxHits);
      },
    ),
    propertyOptions(10),
  );
});

Deno.test("a token bucket admits its burst at once, then its rate, and no window more than both", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const clock = await freezeClock(database);
  // Rates at which a token takes whole tenths of a second.
  const rate = fc.constantFrom(10, 20, 60, 200);
  await fc.assert(
    fc.asyncProperty(rate, fc.integer({ min: 1, max: 10 }), pauses, async (maxHits, burst, pauses) => {
      await setPolicy(sql, "test", { maxHits, burst, windowSeconds });
      const caller = { userId: crypto.randomUUID() };
      const tokenTenths = windowTenths / maxHits;
      const admitted: number[] = [];
      // In tenths of a second that the bucket has filled for.
      let level = burst * tokenTenths;
      let now = 0;
      for (const pause of pauses) {
        now += pause;
        await clock.advance(pause * 100);
        level = Math.min(burst * tokenTenths, level + pause);
        const allowed = level >= tokenTenths;
        if (allowed) {
          level -= tokenTenths;
          admitted.push(now);
        }
        assert.deepEqual(await takeOne(sql, "test", caller), {
          policy: "test",
          allowed,
          current: burst - Math.floor(level / tokenTenths),
          limit: maxHits,
          window: windowSeconds,
          remaining: Math.floor(level / tokenTenths),
          reset: Math.max(1, Math.ceil((tokenTenths - level) / 10)),
        });
      }
      assert.ok(mostInAnyWindow(admitted, windowTenths) <= maxHits + burst);
    }),
    propertyOptions(10),
  );
});

Deno.test("a policy of more than 300 hits is a token bucket of all of them", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const clock = await freezeClock(database);
  await setPolicy(sql, "test", { maxHits: 600, windowSeconds });
  const caller = { userId: crypto.randomUUID() };
  const take = () => takeOne(sql, "test", caller);
  for (let hit = 1; hit <= 600; hit++) assert.equal((await take()).remaining, 600 - hit);
  assert.deepEqual(await take(), {
    policy: "test",
    allowed: false,
    current: 600,
    limit: 600,
    window: windowSeconds,
    remaining: 0,
    reset: 1,
  });
  // A tenth of a second is a token; six seconds are sixty, with 540 still missing.
  await clock.advance(6_000);
  assert.equal((await take()).remaining, 59);
  // The row does not grow with the hits.
  const [row] =
    await sql`select pg_column_size(h.*) < 200 as small from guard.hits as h where h.policy = 'test'`;
  assert.equal(row?.["small"], true);
});
