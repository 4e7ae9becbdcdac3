import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { testConfig } from "../_shared/testing/config.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { createTokenIssuer, projectUrl, sessionId, userId } from "../_shared/testing/tokens.ts";
import { mergeGuest } from "./service.ts";

const guestId = "1b6cbd0e-8b9f-4c57-8f0a-5b3e2c1d0a99";
const merged = {
  user_id: userId,
  merged_user_id: guestId,
  credits_moved: 6,
  jobs_moved: 1,
  credits_remaining: 6,
};
const issuer = await createTokenIssuer();

/** A context of a project whose tokens `issuer` signs, at the present time. */
function contextWith(database: ReturnType<typeof fakeDatabase>["database"]) {
  const { supabase } = testConfig({ SUPABASE_JWKS: issuer.jwks });
  return testContext("user", { database, config: { ...testConfig(), supabase }, now: () => Date.now() });
}

Deno.test("the guest is who the token says, with the session that it was made for", async () => {
  const { database, calls } = fakeDatabase({ merge_guest: () => merged });
  const guestSession = "9f8e7d6c-5b4a-4938-8271-605f4e3d2c1b";
  const guest_token = await issuer.sign({ sub: guestId, session_id: guestSession });
  assert.deepEqual(await mergeGuest({ guest_token }, contextWith(database)), { status: 200, body: merged });
  const args = {
    p_user_id: userId,
    p_session_id: sessionId,
    p_guest_id: guestId,
    p_guest_session_id: guestSession,
    p_is_fresh: true,
  };
  assert.deepEqual(calls.map(({ name, args: given }) => [name, given]), [["merge_guest", args]]);
});

Deno.test("a token is fresh for five minutes", async () => {
  const { database, calls } = fakeDatabase({ merge_guest: () => merged });
  const now = Math.floor(Date.now() / 1000);
  for (const age of [0, 290, 302, 3_000]) {
    const guest_token = await issuer.sign({ sub: guestId, iat: now - age });
    await mergeGuest({ guest_token }, contextWith(database));
  }
  assert.deepEqual(calls.map(({ args }) => Reflect.get(args, "p_is_fresh")), [true, true, false, false]);
});

Deno.test("a token that is forged, over, another project's or no user's asks the database nothing", async () => {
  const { database, calls } = fakeDatabase({ merge_guest: () => merged });
  const other = await createTokenIssuer();
  const tokens = [
    "nonsense",
    "a.b.c",
    await other.sign({ sub: guestId }),
    await issuer.sign({ sub: guestId, exp: Math.floor(Date.now() / 1000) - 60 }),
    await issuer.sign({ sub: guestId, iss: "https://other.example.com/auth/v1" }),
    await issuer.sign({ sub: guestId, aud: "another" }),
    await issuer.sign({ sub: guestId, role: "service_role" }),
    await issuer.sign({ sub: guestId, session_id: undefined }),
    await issuer.sign({ sub: undefined, session_id: sessionId }),
    `${projectUrl}`,
  ];
  for (const guest_token of tokens) {
    await assert.rejects(mergeGuest({ guest_token }, contextWith(database)), { code: "ERR_4008" });
  }
  assert.deepEqual(calls, []);
});
