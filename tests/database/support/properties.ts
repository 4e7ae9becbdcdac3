/**
 * How often properties are tried. Few times by default; `PROPERTY_RUNS=1000 deno task test model` tries harder, and
 * `PROPERTY_SEED` repeats what a failure has printed.
 */
export function propertyOptions(fewRuns: number): { numRuns: number; seed?: number } {
  const [runs, seed] = [Deno.env.get("PROPERTY_RUNS"), Deno.env.get("PROPERTY_SEED")];
  return { numRuns: Number(runs ?? fewRuns), ...(seed === undefined ? {} : { seed: Number(seed) }) };
}
