import assert from "node:assert/strict";
import { virtualTime } from "../testing/virtual-time.ts";
import { FailureOf, noAnswer } from "./errors.ts";
import { persist } from "./retry.ts";

const busy = (retry_after: number) =>
  new FailureOf({
    code: "ERR_4004",
    status: 429,
    details: { policy: "reads", retry_after },
    message: "Later",
  });

/** Seconds between the tries of what fails so, until the time is over. */
async function pausesAfter(failure: () => Error, timeout: number): Promise<number[]> {
  using time = virtualTime();
  const at: number[] = [];
  await assert.rejects(persist(() => {
    at.push(time.now());
    return Promise.reject(failure());
  }, { timeout }));
  assert.equal(time.waiting, 0, "no timer is left");
  return at.slice(1).map((now, index) => (now - (at[index] ?? 0)) / 1000);
}

Deno.test("what has no answer is tried again after a random time of up to 1, 2, 4, … 60 seconds", async () => {
  const { random } = Math;
  try {
    for (const share of [0, 0.5, 0.999]) {
      Math.random = () => share;
      // A share of 0 comes back at once: then the test's own failure ends it.
      let left = 9;
      const pauses = await pausesAfter(
        () => --left > 0 ? noAnswer("No network") : new Error("enough"),
        3_600_000,
      );
      assert.deepEqual(
        pauses.map((seconds) => Math.round(seconds * 1000)),
        [1, 2, 4, 8, 16, 32, 60, 60]
          .map((longest) => Math.round(longest * share * 1000)),
      );
    }
  } finally {
    Math.random = random;
  }
});

Deno.test("a wait that the backend tells is exactly that long", async () => {
  for (const seconds of [1, 2, 300]) {
    let left = 4;
    const pauses = await pausesAfter(() => --left > 0 ? busy(seconds) : new Error("enough"), 3_600_000);
    assert.deepEqual(pauses, [seconds, seconds, seconds]);
  }
});

Deno.test("nobody waits for what would come too late: the failure is thrown at once", async () => {
  for (const [told, timeout] of [[60, 60_000], [1_820, 60_000], [2, 1_500]] as const) {
    using time = virtualTime();
    const failure = busy(told);
    await assert.rejects(persist(() => Promise.reject(failure), { timeout }), failure);
    assert.equal(time.now(), 0, `${told} s were told, of ${timeout} ms`);
  }
});

Deno.test("a call ends in its time, whatever it waits for", async () => {
  for (const [timeout, ends] of [[500, 500], [45_000, 45_000], [undefined, 60_000]] as const) {
    using time = virtualTime();
    const call = persist(() => new Promise<never>(() => {}), { timeout });
    await assert.rejects(call, { name: "KinoraError", code: null, status: null });
    assert(time.now() <= ends, `${time.now()} of ${ends} ms`);
    assert.equal(time.waiting, 0);
  }
});

Deno.test("no single answer is waited for longer than 30 seconds, and its request is ended", async () => {
  using time = virtualTime();
  const ended: number[] = [];
  const result = await persist((signal) => {
    if (ended.length === 2) return Promise.resolve("the third");
    return new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => {
        ended.push(time.now());
        reject(signal.reason);
      })
    );
  }, { timeout: 300_000 });
  assert.equal(result, "the third");
  assert.deepEqual(ended.map((at, index) => Math.floor((at - (ended[index - 1] ?? 0)) / 30_000)), [1, 1]);
});

Deno.test("a signal ends a call with its reason, before it, in a try and in a pause, and leaves nothing", async () => {
  const left = new Error("The app is in the background");
  const attempts: ((signal: AbortSignal) => Promise<never>)[] = [
    () => new Promise(() => {}),
    (signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new TypeError("aborted")))),
    () => Promise.reject(busy(1_000)),
  ];
  for (const attempt of attempts) {
    const controller = new AbortController();
    const { signal } = controller;
    const listeners = new Set<unknown>();
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...given: Parameters<typeof addEventListener>) => {
      listeners.add(given[1]);
      addEventListener.apply(signal, given);
    };
    signal.removeEventListener = (...given: Parameters<typeof removeEventListener>) => {
      listeners.delete(given[1]);
      removeEventListener.apply(signal, given);
    };
    const call = assert.rejects(persist(attempt, { signal, timeout: 3_600_000 }), left);
    await new Promise((resolve) => setTimeout(resolve));
    assert(listeners.size > 0);
    controller.abort(left);
    await call;
    assert.equal(listeners.size, 0);
    let tries = 0;
    await assert.rejects(persist(() => Promise.resolve(tries++), { signal }), left);
    assert.equal(tries, 0);
  }
});

Deno.test("what fails for good, and what is no failure of Kinora, is thrown as it is, once", async () => {
  const failures = [
    new FailureOf({ code: "ERR_4001", status: 402, details: { required: 4, available: 1 }, message: "Buy" }),
    new FailureOf({
      code: "ERR_6004",
      status: 503,
      details: { feature: "x", retry_after: 300 },
      message: "Off",
    }),
    new RangeError("a mistake of the app"),
  ];
  for (const failure of failures) {
    let tries = 0;
    await assert.rejects(
      persist(() => {
        tries++;
        return Promise.reject(failure);
      }, {}),
      failure,
    );
    assert.equal(tries, 1);
  }
});

Deno.test("a call ends in its time, and tries again, also where signals carry no reason, as in React Native", async () => {
  const { AbortController } = globalThis;
  globalThis.AbortController = class extends AbortController {
    override abort() {
      super.abort();
    }
    override get signal() {
      return Object.defineProperty(super.signal, "reason", { value: undefined });
    }
  };
  try {
    using time = virtualTime();
    const hangs = () => new Promise<never>(() => {});
    await assert.rejects(persist(hangs, { timeout: 500 }), { name: "KinoraError", code: null });
    let tries = 0;
    assert.equal(
      await persist(() => ++tries < 3 ? hangs() : Promise.resolve(tries), { timeout: 120_000 }),
      3,
    );
    assert(time.now() >= 60_000);
  } finally {
    globalThis.AbortController = AbortController;
  }
});
