/**
 * How much a test tries: in `deno task ok` a sample, in `deno task test:long` all of it. What imports this file is run by
 * both. PROPERTY_SEED repeats the property whose seed a failure has printed.
 */

/** The switch. Only tests/run.ts sets it, for `--long`. */
export const longVariable = "KINORA_LONG_TESTS";

const isLong = Deno.env.get(longVariable) !== undefined;

/** How many times: `sample`, or in the long tests `all`. */
export function runs(sample: number, all: number): number {
  return isLong ? all : sample;
}

/** So many of the cases, evenly spread over them with the first and the last, or in the long tests all. */
export function cases<Case>(sample: number, all: readonly Case[]): readonly Case[] {
  return isLong ? all : spread(sample, all);
}

/** So many of the entries, evenly spread: the first, the last, and what is between at equal steps. */
export function spread<Entry>(count: number, all: readonly Entry[]): readonly Entry[] {
  if (count >= all.length) return all;
  const step = (all.length - 1) / Math.max(1, count - 1);
  const places = new Set(Array.from({ length: count }, (_, index) => Math.round(index * step)));
  return all.filter((_, place) => places.has(place));
}

/** For fast-check: how often a property is tried, and from where. */
export function propertyOptions(sample: number, all: number): { numRuns: number; seed?: number } {
  const seed = Deno.env.get("PROPERTY_SEED");
  return { numRuns: runs(sample, all), ...(seed === undefined ? {} : { seed: Number(seed) }) };
}
