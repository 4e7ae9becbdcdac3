/** A short `deno task chaos`, with faults that no run has had yet. */
import assert from "node:assert/strict";
import { runs } from "../runs.ts";
import { chaos, describe, makeChaosDirectory, newSeed } from "../../tools/chaos/chaos.ts";

Deno.test("whatever fails and whoever is killed, no accepted job is lost, and nobody is charged twice", async () => {
  const dataDirectory = await makeChaosDirectory();
  const seed = newSeed();
  const hint = `seed ${seed}, with data and logs in ${dataDirectory}`;
  const verdict = await chaos({
    seconds: runs(4, 30),
    clients: runs(3, 8),
    seed,
    dataDirectory,
    backlog: runs(100, 5_000),
  }).catch(
    (cause) => {
      throw new Error(hint, { cause });
    },
  );
  console.log(`seed ${seed}\n${describe(verdict)}`);
  assert.deepEqual(verdict.problems, [], hint);
  assert(verdict.accepted > 0, "clients got videos accepted, so that there was something to lose");
  await Deno.remove(dataDirectory, { recursive: true });
});
