import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { whileDatabaseIsAway } from "./while-away.ts";

/** A call that fails so often before it answers. */
function setting({ times, error }: { times: number; error: unknown }) {
  let calls = 0;
  const pauses: number[] = [];
  const call = () => {
    calls += 1;
    return calls <= times ? Promise.reject(error) : Promise.resolve("an answer");
  };
  const pause = (milliseconds: number) => Promise.resolve(void pauses.push(milliseconds));
  return { pauses, calls: () => calls, run: () => whileDatabaseIsAway(call, pause) };
}

const away = new AppError("ERR_6001");

Deno.test("a call that the database answers is made once", async () => {
  const { run, calls, pauses } = setting({ times: 0, error: away });
  assert.equal(await run(), "an answer");
  assert.deepEqual([calls(), pauses], [1, []]);
});

Deno.test("a call that the database was away for is answered when it is back, within half a minute", async () => {
  const { run, calls, pauses } = setting({ times: 6, error: away });
  assert.equal(await run(), "an answer");
  assert.equal(calls(), 7);
  assert.deepEqual(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000]);
});

Deno.test("a database that stays away is given up after half a minute, with its error", async () => {
  const { run, calls, pauses } = setting({ times: 7, error: away });
  await assert.rejects(run(), away);
  assert.deepEqual([calls(), pauses.length], [7, 6]);
});

Deno.test("whatever else fails is thrown as it is, and not repeated", async () => {
  for (
    const error of [
      new AppError("ERR_6003"),
      new AppError("ERR_4007"),
      new Error("a bug", { cause: away }),
      undefined,
    ]
  ) {
    const { run, calls, pauses } = setting({ times: 1, error });
    await run().then(
      () => assert.fail("it answered"),
      (thrown: unknown) => assert.equal(thrown, error),
    );
    assert.deepEqual([calls(), pauses], [1, []]);
  }
});
