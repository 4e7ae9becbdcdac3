/** A user's profile, as an app reads and changes it. */
import assert from "node:assert/strict";
import { examplePreferences } from "../../supabase/functions/_shared/notify/contract.ts";
import * as z from "zod";
import { Profile } from "../../supabase/functions/_shared/accounts/contract.ts";
import { type Answer, bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { crowd } from "./support/crowd.ts";

const backend = shared(startBackend);

const read = (guest: Guest): Promise<Answer> => guest.call("user-profile");
const change = (guest: Guest, body: unknown): Promise<Answer> =>
  guest.call("user-profile", { method: "PATCH", body });
const profileOf = (answer: Answer) => bodyOf(answer, 200, Profile);

Deno.test("a guest reads and changes their profile", async () => {
  const { kinora, id } = await backend.signIn(7);
  const profile = await kinora.account.profile();
  assert.deepEqual(profile, {
    user_id: id,
    is_guest: true,
    display_name: null,
    language: null,
    theme_preference: "system",
    credits_remaining: 7,
    app_account_token: profile.app_account_token,
    shares_consumption: false,
    accepted_processors: [],
    notification_preferences: examplePreferences(),
    subscription: null,
    export: null,
    created_at: profile.created_at,
  });
  const changes = {
    display_name: "  Zoe\u0308 ",
    language: "tr",
    theme_preference: "dark",
    shares_consumption: true,
  } as const;
  const changed = { ...profile, ...changes, display_name: "Zo\u00eb" };
  assert.deepEqual(await kinora.account.update(changes), changed);
  assert.deepEqual(await kinora.account.profile(), changed);
});

Deno.test("the language that a user chose is that of their answers, where they ask for none", async () => {
  const guest = await backend.signIn();
  profileOf(await change(guest, { language: "es" }));
  const { headers } = await read(guest);
  assert.equal(headers.get("content-language"), "es");
  const asked = await guest.call("user-profile", { headers: { "accept-language": "tr" } });
  assert.equal(asked.headers.get("content-language"), "tr");
});

Deno.test("the same change twice, and at once, is one change", async () => {
  const guest = await backend.signIn();
  const answers = await Promise.all(Array.from({ length: 8 }, () => change(guest, { display_name: "Jane" })));
  const [profile] = answers.map(profileOf);
  for (const answer of answers) assert.deepEqual(profileOf(answer), profile);
  assert.deepEqual(profileOf(await change(guest, { display_name: "Jane" })), profile);
  const [rows] = await backend.database.sql<{ count: number }[]>`
    select count(*)::int from accounts.users where id = ${guest.id}`;
  assert.equal(rows?.count, 1);
});

Deno.test("changes of different fields at once are all kept", async () => {
  const guest = await backend.signIn();
  const changes = [{ display_name: "Jane" }, { language: "es" }, { theme_preference: "light" }];
  for (const answer of await Promise.all(changes.map((each) => change(guest, each)))) profileOf(answer);
  const { display_name, language, theme_preference } = profileOf(await read(guest));
  assert.deepEqual({ display_name, language, theme_preference }, Object.assign({}, ...changes));
});

Deno.test("nobody's profile but the caller's can be named, read or changed", async () => {
  const [guest, stranger] = [await backend.signIn(), await backend.signIn()];
  const before = profileOf(await read(stranger));
  const asked = await guest.call(`user-profile?user_id=${stranger.id}`);
  assert.deepEqual(errorOf(asked, "ERR_4008").details.fields, [{
    path: "user_id",
    message: "Unknown field",
  }]);
  errorOf(await change(guest, { user_id: stranger.id, display_name: "Mallory" }), "ERR_4008");
  profileOf(await change(guest, { display_name: "Mallory" }));
  assert.deepEqual(profileOf(await read(stranger)), before);
});

Deno.test("a malformed change is refused with all that is wrong in it, and nothing is changed", async () => {
  const guest = await backend.signIn();
  const before = profileOf(await read(guest));
  const answer = await change(guest, {
    display_name: "Jane\u202e",
    language: "de",
    theme_preference: 1,
    is_admin: true,
  });
  const fields = z.array(z.object({ path: z.string() })).parse(errorOf(answer, "ERR_4008").details.fields);
  assert.deepEqual(fields.map(({ path }) => path).sort(), [
    "display_name",
    "is_admin",
    "language",
    "theme_preference",
  ]);
  const empty = errorOf(await change(guest, {}), "ERR_4008");
  assert.deepEqual(empty.details.fields, [{ path: "", message: "Must name what to change" }]);
  assert.deepEqual(profileOf(await read(guest)), before);
});

Deno.test("a suspended user, and one whose account is closed, is told so", async () => {
  const { sql } = backend.database;
  const guest = await backend.signIn();
  profileOf(await read(guest));
  await sql`update accounts.users set is_banned = true where id = ${guest.id}`;
  for (const answer of [await read(guest), await change(guest, { language: "en" })]) {
    assert.equal(answer.status, 403);
    errorOf(answer, "ERR_4017");
  }
  await sql`update accounts.users set is_banned = false, closed_at = now() where id = ${guest.id}`;
  for (const answer of [await read(guest), await change(guest, { language: "en" })]) {
    assert.equal(answer.status, 401);
    errorOf(answer, "ERR_4005");
  }
});

Deno.test("reading counts against `reads`, changing against `writes`, and neither takes from the other", async () => {
  const guest = await backend.signIn();
  const policies = [await read(guest), await change(guest, { language: "en" })].map(({ headers }) =>
    headers.get("ratelimit-policy")
  );
  assert.deepEqual(policies, ['"reads";q=120;w=60', '"writes";q=60;w=60']);
  await crowd(59, () => change(guest, { language: "en" }));
  const refused = await change(guest, { language: "en" });
  assert.equal(refused.status, 429);
  const { details } = errorOf(refused, "ERR_4004");
  assert.equal(details.policy, "writes");
  assert.equal(refused.headers.get("retry-after"), String(details.retry_after));
  profileOf(await read(guest));
});
