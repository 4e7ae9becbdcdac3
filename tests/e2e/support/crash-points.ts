/** Kills the functions before and after each call of what a test plays, of which the quick tests run a sample. */
import assert from "node:assert/strict";
import { cases } from "../../runs.ts";
import { calls, restart } from "./crash-steps.ts";
import type { Point } from "./port-calls.ts";

/** Of the quick tests. */
const samplePoints = 4;
/** A call may be another one's now and then. */
const maxTries = 10;

export function nameOf({ call, occurrence, side }: Point): string {
  return `${side} ${call} (${occurrence})`;
}

/**
 * Plays it twice as it is, which has these calls among its own, and then with a crash at each. `play` resets `calls` with the
 * target when its own calls begin; `name` is another each time. `prove` asks what must hold however it went.
 */
export async function assertSurvivesCrashes<Played>(
  play: (target: Point | null, name: string) => Promise<Played>,
  prove: (played: Played) => Promise<void>,
  steps: readonly string[],
): Promise<void> {
  const proveOne = async (target: Point | null, name: string) => {
    try {
      await prove(await play(target, name));
    } catch (cause) {
      throw new Error(`${name}: ${calls.points.map(nameOf).join(", ")}`, { cause });
    }
    return calls.points;
  };
  await restart();
  const first = await proveOne(null, "as it is");
  await restart();
  // What only one of them had is another's call, or one too many of a worker: it may not come again.
  const again = new Set((await proveOne(null, "as it is, again")).map(nameOf));
  const recorded = first.filter((point) => again.has(nameOf(point)));
  for (const step of steps) assert(recorded.some(({ call }) => call === step), `${step} is no step of it`);
  const points = cases(samplePoints, recorded);
  for (const point of points) {
    for (let attempt = 1; !calls.hasCrashed || attempt === 1; attempt++) {
      assert(attempt <= maxTries, `never reached: ${nameOf(point)}`);
      // Some calls are a new process's alone.
      if (attempt > 1) await restart();
      await proveOne(point, `${nameOf(point)}, ${attempt}`);
    }
  }
  console.log(`${points.length} crashes, of ${recorded.length}`);
}

/** A call of a procedure, as `steps` names it. */
export function procedure(name: string): string {
  return `POST /rest/v1/rpc/${name}`;
}
