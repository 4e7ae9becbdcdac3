/** Time that passes at once: whenever nothing else is to be done, the next timer is due. */
export function virtualTime(): { now(): number; readonly waiting: number } & Disposable {
  const real = { setTimeout, clearTimeout, dateNow: Date.now, now: performance.now };
  const begin = Date.now();
  let passed = 0;
  let ids = 0;
  const timers = new Map<number, { due: number; fire: () => void }>();
  let turning = false;
  const turn = () => {
    if (turning) return;
    turning = true;
    // A turn of the real loop, in which whatever is ready runs first.
    real.setTimeout(() => {
      turning = false;
      const [next] = [...timers].sort(([, one], [, other]) => one.due - other.due);
      if (next === undefined) return;
      const [id, { due, fire }] = next;
      timers.delete(id);
      passed = Math.max(passed, due);
      fire();
      if (timers.size > 0) turn();
    }, 0);
  };
  const schedule = (work: (...given: unknown[]) => void, milliseconds = 0, ...given: unknown[]) => {
    timers.set(++ids, { due: passed + milliseconds, fire: () => work(...given) });
    turn();
    return ids;
  };
  // Locks are the process's: one that another file's test has takes real time, in which every timer would fire.
  const locks = Object.getOwnPropertyDescriptor(navigator, "locks");
  Object.defineProperty(navigator, "locks", { value: undefined, configurable: true });
  globalThis.setTimeout = Object.assign(schedule, real.setTimeout);
  globalThis.clearTimeout = (id) => void timers.delete(Number(id));
  Date.now = () => begin + passed;
  performance.now = () => passed;
  return {
    now: () => passed,
    get waiting() {
      return timers.size;
    },
    [Symbol.dispose]() {
      if (locks) Object.defineProperty(navigator, "locks", locks);
      else Reflect.deleteProperty(navigator, "locks");
      globalThis.setTimeout = real.setTimeout;
      globalThis.clearTimeout = real.clearTimeout;
      Date.now = real.dateNow;
      performance.now = real.now;
    },
  };
}
