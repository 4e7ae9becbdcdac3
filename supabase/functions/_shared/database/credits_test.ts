import assert from "node:assert/strict";
import { fakeDataApi } from "../testing/data-api.ts";
import { testRuntime } from "../testing/runtime.ts";
import { userId } from "../testing/tokens.ts";
import { credits } from "./credits.ts";

Deno.test("a page of credits is one call, from the beginning or from where a page ended", async () => {
  const { fetch, calls } = fakeDataApi({ credits: () => ({ data: { credits_remaining: 6 } }) });
  const database = credits(testRuntime(fetch));
  assert.deepEqual(await database.listCredits(userId, { limit: 20, after: null }), { credits_remaining: 6 });
  await database.listCredits(userId, { limit: 5, after: { number: 17 } });
  assert.deepEqual(calls, [
    { name: "credits", args: { p_user_id: userId, p_limit: 20, p_after: null } },
    { name: "credits", args: { p_user_id: userId, p_limit: 5, p_after: { number: 17 } } },
  ]);
});
