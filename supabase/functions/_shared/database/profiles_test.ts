import assert from "node:assert/strict";
import { fakeDataApi } from "../testing/data-api.ts";
import { testRuntime } from "../testing/runtime.ts";
import { userId } from "../testing/tokens.ts";
import { profiles } from "./profiles.ts";

Deno.test("closing an account is one call, and a second one throws", async () => {
  const closed = { user_id: userId, closed_at: "2026-11-20T12:00:00.000Z" };
  let isClosed = false;
  const { fetch, calls } = fakeDataApi({
    delete_user_profile: () => {
      if (isClosed) return { error: "ERR_4005", details: {} };
      isClosed = true;
      return { data: closed };
    },
  });
  const database = profiles(testRuntime(fetch));
  assert.deepEqual(await database.closeAccount(userId), closed);
  assert.deepEqual(calls, [{ name: "delete_user_profile", args: { p_user_id: userId } }]);
  await assert.rejects(database.closeAccount(userId), { code: "ERR_4005" });
});

Deno.test("reading and changing a profile are one call each, and only what is given is changed", async () => {
  const profile = { user_id: userId };
  const { fetch, calls } = fakeDataApi({
    get_user_profile: () => ({ data: profile }),
    patch_user_profile: () => ({ data: profile }),
  });
  const database = profiles(testRuntime(fetch));
  assert.deepEqual(await database.readProfile(userId), profile);
  assert.deepEqual(await database.updateProfile(userId, { display_name: null }), profile);
  assert.deepEqual(
    await database.updateProfile(userId, { language: "tr", theme_preference: "dark" }),
    profile,
  );
  assert.deepEqual(calls, [
    { name: "get_user_profile", args: { p_user_id: userId } },
    { name: "patch_user_profile", args: { p_user_id: userId, p_changes: { display_name: null } } },
    {
      name: "patch_user_profile",
      args: { p_user_id: userId, p_changes: { language: "tr", theme_preference: "dark" } },
    },
  ]);
});
