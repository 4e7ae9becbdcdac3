/** How figures, times and states look everywhere. */
import type { ComponentChildren } from "preact";

const whole = new Intl.NumberFormat("en");
const dollars = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });
const moment = new Intl.DateTimeFormat("en", {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

export const numberOf = (value: number): string => whole.format(value);
/** `1 rule`, `2 rules`. */
export const countOf = (value: number, one: string): string =>
  `${whole.format(value)} ${value === 1 ? one : `${one}s`}`;
export const creditsOf = (value: number): string => countOf(value, "credit");
/** Of US cents. */
export const moneyOf = (cents: number): string => dollars.format(cents / 100);
/** `90 s`, `15 min`, `24 h`: the greatest unit that is whole. */
export function durationOf(seconds: number): string {
  if (seconds > 0 && seconds % 86_400 === 0) return `${seconds / 86_400} d`;
  if (seconds > 0 && seconds % 3_600 === 0) return `${seconds / 3_600} h`;
  if (seconds > 0 && seconds % 60 === 0) return `${seconds / 60} min`;
  return `${whole.format(seconds)} s`;
}

/** A moment in the viewer's time zone; nothing where there is none. */
export function Time({ at }: { at: string | null }) {
  return at === null ? <>–</> : <time dateTime={at} title={at}>{moment.format(new Date(at))}</time>;
}

/** `good` is as it should be, `bad` wants somebody, `odd` should be known. */
export type Tone = "good" | "odd" | "bad" | "plain";

export function Status({ tone = "plain", children }: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`status ${tone}`}>{children}</span>;
}
