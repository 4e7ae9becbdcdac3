/** That procedures name policies in one order: guard.take locks a row of each as they come, and two orders would be a deadlock. */
import assert from "node:assert/strict";
import { schemaFiles } from "../../tools/schemas.ts";

/** The lists of policies that a source gives to guard.take, itself or by way of guard.enter. */
function policyListsOf(source: string): string[][] {
  const calls = source.match(/guard\.(?:take|enter)\([^;]*;/g) ?? [];
  return calls.flatMap((call) =>
    [...call.matchAll(/'\{([a-z_,]+)\}'/g)].map(([, list = ""]) => list.split(","))
  );
}

Deno.test("each call that takes several rate limits names them in the order of their names", async () => {
  const lists = (await schemaFiles()).flatMap(({ path, text }) =>
    policyListsOf(text).map((list) => ({ path, list }))
  );
  for (const { path, list } of lists) assert.deepEqual(list, [...list].sort(), path);
  // The two of attempts, in three places; those of accepted work; those of a device's check.
  assert(lists.filter(({ list }) => list.length > 1).length >= 5);
});
