import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import type { Storage } from "../_shared/platform/storage.ts";
import type { StoredProfile } from "../_shared/accounts/contract.ts";
import { examplePreferences } from "../_shared/notify/contract.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeStorage } from "../_shared/testing/storage.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import { UpdateUserProfileRequest } from "./schema.ts";
import { deleteUserProfile, getUserProfile, updateUserProfile } from "./service.ts";

const profile: StoredProfile = {
  user_id: userId,
  display_name: "Ayşe",
  language: "tr",
  theme_preference: "dark",
  credits_remaining: 6,
  app_account_token: "0f0b4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
  shares_consumption: false,
  accepted_processors: [],
  notification_preferences: examplePreferences(),
  created_at: "2026-11-20T12:00:00.000Z",
  subscription: null,
  export: null,
};

Deno.test("a profile is the caller's own, and their token says whether they are a guest", async () => {
  const { database, calls } = fakeDatabase({ get_user_profile: () => profile });
  const guest = testContext("user", { database, storage: fakeStorage() });
  assert.deepEqual(await getUserProfile(undefined, guest), {
    status: 200,
    body: { ...profile, is_guest: true },
  });
  const caller = { ...guest.caller, isAnonymous: false };
  const { body } = await getUserProfile(undefined, { ...guest, caller });
  assert.equal(body?.is_guest, false);
  const call = { name: "get_user_profile", args: { p_user_id: userId, p_session_id: sessionId } };
  assert.deepEqual(calls, [call, call]);
});

Deno.test("a change is the caller's own, names what is given alone, and answers with the profile after it", async () => {
  for (const changes of [{ display_name: null }, { language: "es", theme_preference: "light" }] as const) {
    const { database, calls } = fakeDatabase({ patch_user_profile: () => ({ ...profile, ...changes }) });
    assert.deepEqual(
      await updateUserProfile(changes, testContext("user", { database, storage: fakeStorage() })),
      {
        status: 200,
        body: { ...profile, ...changes, is_guest: true },
      },
    );
    const args = { p_user_id: userId, p_session_id: sessionId, p_changes: changes };
    assert.deepEqual(calls, [{ name: "patch_user_profile", args }]);
  }
});

Deno.test("the account that is closed is the caller's own, once", async () => {
  const closed = { user_id: userId, closed_at: "2026-11-20T12:00:00.000Z", subscription: null };
  let isClosed = false;
  const { database, calls } = fakeDatabase({
    delete_user_profile: () => {
      if (isClosed) throw new AppError("ERR_4005");
      isClosed = true;
      return closed;
    },
  });
  const context = testContext("user", { database, storage: fakeStorage() });
  assert.deepEqual(await deleteUserProfile({}, context), { status: 202, body: closed });
  const args = { p_user_id: userId, p_session_id: sessionId };
  await assert.rejects(deleteUserProfile({ apple_authorization_code: "c1" }, context), { code: "ERR_4005" });
  assert.deepEqual(calls, [
    { name: "delete_user_profile", args },
    { name: "delete_user_profile", args: { ...args, p_apple_authorization_code: "c1" } },
  ]);
});

/** What the schema makes of a change, or its messages. */
function read(change: unknown): unknown {
  const { success, data, error } = UpdateUserProfileRequest.safeParse(change);
  return success ? data : error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

Deno.test("a change names one of the five or more, and nothing else", () => {
  assert.deepEqual(read({}), [": Must name what to change"]);
  const all = {
    ...{ display_name: "Jane", language: "es", theme_preference: "light", shares_consumption: true },
    accepted_processors: ["fal", "openai"],
  };
  assert.deepEqual(read(all), all);
  for (const [name, value] of Object.entries(all)) {
    assert.deepEqual(read({ [name]: value }), { [name]: value });
  }
  for (
    const change of [
      { language: "de" },
      { language: null },
      { theme_preference: "blue" },
      { shares_consumption: "yes" },
      { theme_preference: null },
      { accepted_processors: null },
      { accepted_processors: "fal" },
      { accepted_processors: [null] },
      { accepted_processors: ["Fal AI"] },
      { accepted_processors: Array.from({ length: 21 }, (_, index) => `p${index}`) },
      { display_name: 1 },
      { display_name: "Jane", is_admin: true },
      { display_name: "Jane", user_id: userId },
    ]
  ) {
    assert(Array.isArray(read(change)), JSON.stringify(change));
  }
});

Deno.test("a display name is one line of 1 to 50 characters, or is taken away", () => {
  const length = ["display_name: Must have 1 to 50 characters"];
  const hidden = ["display_name: Must not contain control or direction characters"];
  assert.deepEqual(read({ display_name: null }), { display_name: null });
  assert.deepEqual(read({ display_name: "  Jane  " }), { display_name: "Jane" });
  assert.deepEqual(read({ display_name: "e\u0301".repeat(50) }), { display_name: "\u00e9".repeat(50) });
  assert.deepEqual(read({ display_name: "🦊".repeat(50) }), { display_name: "🦊".repeat(50) });
  for (const name of ["", "   ", "🦊".repeat(51), "x".repeat(501)]) {
    assert.deepEqual(read({ display_name: name }), length, name);
  }
  for (const name of ["Jane\nDoe", "Jane\tDoe", "Jane\u0000", "\u001bJane", "Jane\u202eenaJ", "\u2066Jane"]) {
    assert.deepEqual(read({ display_name: name }), hidden, JSON.stringify(name));
  }
  assert.deepEqual(read({ display_name: "Jane\ud800" }), ["display_name: Must be well-formed Unicode"]);
});

Deno.test("GET and PATCH user-profile are one call each", async () => {
  const { fetch, calls } = fakeDataApi({
    get_user_profile: () => ({ data: profile, language: "tr" }),
    patch_user_profile: () => ({ data: { ...profile, language: "es" }, language: "es" }),
  });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const read = await server.send({ path: "user-profile" });
  assert.deepEqual([read.status, await read.json()], [200, { ...profile, is_guest: true }]);
  const changed = await server.send({ path: "user-profile", method: "PATCH", json: { language: "es" } });
  assert.deepEqual([changed.status, await changed.json()], [
    200,
    { ...profile, language: "es", is_guest: true },
  ]);
  assert.equal(changed.headers.get("content-language"), "es", "the language that was chosen");
  assert.deepEqual(calls, [
    { name: "get_user_profile", args: { p_user_id: userId, p_session_id: sessionId } },
    {
      name: "patch_user_profile",
      args: { p_user_id: userId, p_session_id: sessionId, p_changes: { language: "es" } },
    },
  ]);
});

Deno.test("a change of nothing, or of what is not there, is refused before the database is asked", async () => {
  const server = await testServer(endpoint.operations);
  for (const json of [{}, { credits_remaining: 100 }, { is_guest: false }, [], null]) {
    const response = await server.send({ path: "user-profile", method: "PATCH", json });
    assert.deepEqual([response.status, (await response.json()).error.code], [400, "ERR_4008"]);
  }
});

Deno.test("an export that is ready is shown with a URL of ten minutes, and without one while storage does not answer", async () => {
  const made = { requested_at: "2026-11-20T12:00:00.000Z", bytes: 7, expires_at: "2026-11-27T12:00:00.000Z" };
  const stored = { ...made, status: "ready", path: "canary/exports/1.json" } as const;
  const { database } = fakeDatabase({ get_user_profile: () => ({ ...profile, export: stored }) });
  const asked: unknown[] = [];
  const sign = (paths: readonly string[], seconds: number) => {
    asked.push(paths, seconds);
    return Promise.resolve(["https://storage/signed"]);
  };
  const shown = async (storage: Partial<Storage>) => {
    const context = testContext("user", { database, storage: fakeStorage(storage) });
    return (await getUserProfile(undefined, context)).body?.export;
  };
  assert.deepEqual(await shown({ sign }), { ...made, status: "ready", url: "https://storage/signed" });
  assert.deepEqual(asked, [["canary/exports/1.json"], 600]);
  const away = () => Promise.reject(new AppError("ERR_6002"));
  assert.deepEqual(await shown({ sign: away }), { ...made, status: "ready", url: null });
  assert.deepEqual(await shown({ sign: () => Promise.resolve([null]) }), {
    ...made,
    status: "ready",
    url: null,
  });
});
