/** Apple's word about an identity, over HTTP: signed, repeated, out of order, and by others than Apple. */
import assert from "node:assert/strict";
import { generateKeyPair } from "jose";
import { MergedGuest, Profile } from "../../supabase/functions/_shared/accounts/contract.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { assertError, bodyOf } from "./support/answer.ts";
import { type Backend, newClient, startBackend } from "./support/backend.ts";

const backend: Backend = shared(() => startBackend({ appleId: { retryMilliseconds: 50 } }));
const apple = () => backend.stack.simulators.appleId;

/** Somebody who signed in with Apple, with so many credits. */
async function appleUser(credits: number, sub = `001234.${crypto.randomUUID().replaceAll("-", "")}.0815`) {
  const supabase = newClient(backend.stack);
  const token = await apple().identityToken({ sub });
  const { data: { session } } = await supabase.auth.signInWithIdToken({ provider: "apple", token });
  assert(session);
  const { id } = session.user;
  if (credits > 0) await backend.database.sql`select credits.add_credits(${id}, ${credits}, 'for a test')`;
  const call = async (path: string, body?: unknown) => {
    const { data } = await supabase.auth.getSession();
    return await backend.call(path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        apikey: backend.stack.publishableKey,
        authorization: `Bearer ${data.session?.access_token}`,
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  };
  return { id, sub, supabase, call };
}

/** Posted as whoever likes posts it. */
function post(body: unknown) {
  return backend.call("apple-identity-notifications", { method: "POST", body: JSON.stringify(body) });
}

/** Waits until Apple knows that its notification was taken; gives how often it was sent. */
async function taken(id: string): Promise<number> {
  return await eventually("Apple's notification is taken", async () => {
    const { deliveries } = await apple().control.report();
    const delivery = deliveries.find((each) => each.id === id);
    return delivery?.state === "delivered" ? delivery.attempts : undefined;
  });
}

async function identitiesOf(userId: string): Promise<number> {
  const rows = await backend.database.sql`select from auth.identities where user_id = ${userId}`;
  return rows.length;
}

Deno.test("who revokes consent is a guest on their devices, and brings all along when they sign in with Apple again", async () => {
  const user = await appleUser(12);
  bodyOf(await user.call("user-profile"), 200, Profile);
  await taken(await apple().tell({ type: "consent-revoked", sub: user.sub }));
  const { data, error } = await user.supabase.auth.refreshSession();
  assert.equal(error, null, "the session lives");
  assert.equal(data.user?.is_anonymous, true);
  const profile = bodyOf(await user.call("user-profile"), 200, Profile);
  assert.deepEqual([profile.is_guest, profile.credits_remaining, profile.user_id], [true, 12, user.id]);

  const again = await appleUser(1, user.sub);
  assert.notEqual(again.id, user.id, "to Auth, who consents anew is somebody new");
  const merged = await again.call("merge-guest", { guest_token: data.session?.access_token });
  assert.equal(bodyOf(merged, 200, MergedGuest).credits_remaining, 13);
  await backend.proveLedger();
});

Deno.test("whoever deletes their Apple Account has no account with us: its tokens are refused at once", async () => {
  const user = await appleUser(5);
  await taken(await apple().tell({ type: "account-delete", sub: user.sub }));
  assertError(await user.call("user-profile"), "ERR_4005", "a closed account");
  await backend.proveLedger();
});

Deno.test("what is forged, another app's, another issuer's, old, over or no notification is 401 and ends nothing", async () => {
  const user = await appleUser(1);
  const { privateKey: forgedWith } = await generateKeyPair("RS256");
  const event = { type: "account-delete", sub: user.sub };
  const now = Math.floor(Date.now() / 1000);
  const { payload } = await apple().notification(event);
  const [header, claims, signature] = payload.split(".");
  const changed = btoa(atob(claims ?? "").replace("account-delete", "consent-revoked")).replaceAll("=", "");
  const bodies: Record<string, unknown> = {
    "signed by another key": await apple().notification({ ...event, forgedWith }),
    "of a key that nobody has": await apple().notification({ ...event, forgedWith, kid: "elsewhere" }),
    "for another app": await apple().notification({ ...event, audience: "com.example.other" }),
    "of another issuer": await apple().notification({ ...event, issuer: "https://appleid.example.com" }),
    "eight days old": await apple().notification({ ...event, issuedAt: now - 8 * 86_400 }),
    "of tomorrow": await apple().notification({ ...event, issuedAt: now + 86_400 }),
    "an identity token": { payload: await apple().identityToken({ sub: user.sub }) },
    "without an event": { payload: await apple().identityToken({ sub: user.sub, nonce: "n" }) },
    "with other claims": { payload: `${header}.${changed}.${signature}` },
    "with alg none": { payload: `${btoa('{"alg":"none"}').replaceAll("=", "")}.${claims}.` },
    "not of two parts": { payload: "a.b" },
    "no text": { payload: 1 },
    "nothing": {},
  };
  for (const [what, body] of Object.entries(bodies)) assertError(await post(body), "ERR_4005", what);
  assert.equal(await identitiesOf(user.id), 1);
  assert.equal(bodyOf(await user.call("user-profile"), 200, Profile).credits_remaining, 1);
  const [stored] = await backend.database.sql`
    select count(*)::int as count from accounts.identity_notifications where subject = ${user.sub}`;
  assert.equal(stored?.count, 0);
});

Deno.test("a notification that is sent again, by Apple or whoever has read it, is answered and does nothing more", async () => {
  const user = await appleUser(3);
  const notification = await apple().notification({ type: "consent-revoked", sub: user.sub });
  const answers = await Promise.all(Array.from({ length: 6 }, () => post(notification)));
  // Two at the same moment may meet; Apple sends it again then.
  for (const { status } of answers) assert([200, 503].includes(status), `${status}`);
  assert.equal((await post(notification)).status, 200);
  assert.equal(await identitiesOf(user.id), 0);

  // Who has read it sends it again when its user has come back.
  const token = await apple().identityToken({ sub: user.sub });
  await user.supabase.auth.refreshSession();
  const linked = await user.supabase.auth.linkIdentity({ provider: "apple", token });
  assert.equal(linked.error, null);
  assert.equal((await post(notification)).status, 200);
  assert.equal(await identitiesOf(user.id), 1);
});

Deno.test("while Apple's keys are away Apple is asked to send it again, and it is done then", async () => {
  const user = await appleUser(0);
  await backend.stack.functions.reload();
  const { control } = apple();
  await control.rules({ operation: "keys", effect: "server_error", times: 4 });
  const body = await apple().notification({ type: "consent-revoked", sub: user.sub });
  assertError(await post(body), "ERR_6004", "nothing is known about it");
  await control.reset();
  assert.equal((await post(body)).status, 200);
  assert.equal(await identitiesOf(user.id), 0);
});

Deno.test("what a key signed that Apple publishes no more is not believed, and forged keys make nobody ask Apple again and again", async () => {
  const before = await appleUser(0);
  await taken(await apple().tell({ type: "email-disabled", sub: before.sub }));
  const old = await apple().notification({ type: "account-delete", sub: before.sub });
  await apple().rotateKey();
  // Another isolate: this one would ask again after half a minute, or with its hour over.
  await backend.stack.functions.reload();
  const { requests } = await apple().control.report();
  const asked = requests.filter(({ operation }) => operation === "keys").length;
  await taken(await apple().tell({ type: "email-enabled", sub: before.sub }));
  assertError(await post(old), "ERR_4005", "signed with a key that Apple publishes no more");
  const { privateKey: forgedWith } = await generateKeyPair("RS256");
  for (let count = 0; count < 10; count++) {
    const kid = crypto.randomUUID();
    const forged = await apple().notification({ type: "account-delete", sub: before.sub, forgedWith, kid });
    assertError(await post(forged), "ERR_4005", "a key that nobody has");
  }
  const later = await apple().control.report();
  const more = later.requests.filter(({ operation }) => operation === "keys").length - asked;
  assert.equal(more, 1, "strangers make nobody ask Apple again and again");
  assert.equal(await identitiesOf(before.id), 1);
});
