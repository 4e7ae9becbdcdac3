export interface SettableClock {
  /** Milliseconds since 1970. */
  now(): number;
  advance(milliseconds: number): void;
}

/** A clock that stands still until it is advanced. */
export function settableClock(start = Date.parse("2026-11-20T12:00:00.000Z")): SettableClock {
  let time = start;
  return {
    now: () => time,
    advance: (milliseconds) => {
      time += milliseconds;
    },
  };
}
