/** What becomes of an account when Apple says that its user's identity is over. */
import assert from "node:assert/strict";
import { closeAccount, creditsOf } from "../support/accounts.ts";
import { first } from "../support/ledger.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;

type EventType = "consent-revoked" | "account-delete" | "email-disabled" | "email-enabled" | "not-yet-known";

/** Apple tells it, an hour from now where nothing else is said; gives what was done. */
async function tell(
  type: EventType,
  subject: string,
  { id = crypto.randomUUID(), inSeconds = 3600 }: { id?: string; inSeconds?: number } = {},
): Promise<string> {
  const event_at = new Date(Date.now() + inSeconds * 1000).toISOString();
  const notification = { notification_id: id, type, subject, event_at };
  const { effect } = await first(sql<{ effect: string }[]>`
    select api.apple_identity_notifications(${sql.json(notification)}) #>> '{data,effect}' as effect`);
  return effect;
}

/** Gives a user an identity, as Auth does it; its subject. */
async function link(userId: string, provider = "apple", email: string | null = null): Promise<string> {
  const subject = crypto.randomUUID();
  const data = sql.json({ sub: subject, ...(email === null ? {} : { email }) });
  await sql`
    insert into auth.identities (id, provider, provider_id, user_id, identity_data, last_sign_in_at)
    values (gen_random_uuid(), ${provider}, ${subject}, ${userId}, ${data}, now())`;
  await sql`
    update auth.users as u
    set is_anonymous = false, email = coalesce(u.email, ${email}),
        raw_app_meta_data = jsonb_build_object('provider', ${provider}::text, 'providers', jsonb_build_array(${provider}::text))
    where id = ${userId}`;
  return subject;
}

/** Somebody with an account, 10 credits, a session and Apple's identity. */
async function appleUser(email: string | null = null) {
  const { id, session } = await signedInGuest(database, 10);
  return { id, session, subject: await link(id, "apple", email) };
}

async function stateOf(userId: string) {
  const row = await first(sql<Record<string, unknown>[]>`
    select a.is_anonymous as "isGuest", a.email, coalesce(a.raw_app_meta_data -> 'providers', '[]') as providers,
      (select count(*)::int from auth.identities as i where i.user_id = a.id) as identities,
      (select count(*)::int from auth.sessions as s where s.user_id = a.id) as sessions,
      (select u.closed_at is not null from accounts.users as u where u.id = a.id) as "isClosed"
    from auth.users as a where a.id = ${userId}`);
  return { ...row };
}

const guestAgain = {
  isGuest: true,
  email: null,
  providers: [],
  identities: 0,
  sessions: 1,
  isClosed: false,
};

Deno.test("whoever revokes their only identity is a guest again: their session lives, and their credits are theirs", async () => {
  const user = await appleUser(`${crypto.randomUUID()}@privaterelay.appleid.com`);
  assert.equal(await tell("consent-revoked", user.subject), "unlinked");
  assert.deepEqual(await stateOf(user.id), guestAgain);
  assert.deepEqual(await creditsOf(sql, user.id), { available: 10, forfeited: 0 });

  // Who signs in with Apple again is somebody new to Auth, and what they had comes along.
  const heir = await createHeir(sql);
  const merged = await mergeGuest(sql, heir, user);
  assert.equal(merged.data?.credits_moved, 10);
});

Deno.test("whoever has another way to sign in keeps it, and stays who they are", async () => {
  const ways: [string, (id: string) => Promise<unknown>, Record<string, unknown>][] = [
    ["another identity", (id) => link(id, "google", `${id}@example.com`), {
      identities: 1,
      providers: ["google"],
    }],
    [
      "a password",
      (id) => sql`update auth.users set encrypted_password = 'hash' where id = ${id}`,
      { identities: 0 },
    ],
    ["a phone", (id) => sql`update auth.users set phone = ${id.slice(0, 8)} where id = ${id}`, {
      identities: 0,
    }],
  ];
  for (const [what, give, expected] of ways) {
    for (const type of ["consent-revoked", "account-delete"] as const) {
      const user = await appleUser();
      await give(user.id);
      assert.equal(await tell(type, user.subject), "unlinked", what);
      const state = await stateOf(user.id);
      assert.deepEqual({ ...state, ...expected, isGuest: false, isClosed: false, sessions: 1 }, state, what);
    }
  }
});

Deno.test("the address that came with the identity goes with it, and another's stays", async () => {
  const [relay, own] = [
    `${crypto.randomUUID()}@privaterelay.appleid.com`,
    `${crypto.randomUUID()}@example.com`,
  ];
  const user = await appleUser(relay);
  await link(user.id, "google", own);
  await tell("consent-revoked", user.subject);
  assert.equal((await stateOf(user.id)).email, own, "that of the identity that is left");

  const taken = await appleUser(`${relay}.tr`);
  await link(taken.id, "google", own);
  await tell("consent-revoked", taken.subject);
  assert.equal((await stateOf(taken.id)).email, null, "which has become another user's");

  const other = await appleUser(relay);
  await sql`update auth.users set email = ${`${own}.tr`} where id = ${other.id}`;
  await tell("consent-revoked", other.subject);
  assert.equal((await stateOf(other.id)).email, `${own}.tr`);
});

Deno.test("a deleted Apple Account closes what has no other identity, once", async () => {
  const user = await appleUser();
  assert.equal(await tell("account-delete", user.subject), "closed");
  assert.equal((await stateOf(user.id)).isClosed, true);
  assert.deepEqual(await creditsOf(sql, user.id), { available: 0, forfeited: 10 });
  assert.equal(await tell("account-delete", user.subject), "noted");
  assert.deepEqual(await creditsOf(sql, user.id), { available: 0, forfeited: 10 });
});

Deno.test("revocation and deletion come to the same in either order, also with a guest merged between them", async () => {
  for (
    const order of [["consent-revoked", "account-delete"], ["account-delete", "consent-revoked"]] as const
  ) {
    const user = await appleUser();
    for (const type of order) await tell(type, user.subject);
    const { isClosed, identities } = await stateOf(user.id);
    assert.deepEqual([isClosed, identities], [true, 0], order.join());
  }
  const user = await appleUser();
  const heir = await createHeir(sql);
  await tell("consent-revoked", user.subject);
  await mergeGuest(sql, heir, user);
  await link(heir, "google");
  assert.equal(await tell("account-delete", user.subject), "nobody");
  assert.equal((await stateOf(heir)).isClosed, false, "they sign in with something else");
});

Deno.test("a revocation that comes after its user has signed in with Apple again takes nothing", async () => {
  const user = await appleUser();
  assert.equal(await tell("consent-revoked", user.subject, { inSeconds: -3600 }), "outdated");
  const { isGuest, identities } = await stateOf(user.id);
  assert.deepEqual([isGuest, identities], [false, 1]);
  // Within what clocks differ it counts.
  assert.equal(await tell("consent-revoked", user.subject, { inSeconds: -30 }), "unlinked");
});

Deno.test("what is told again, of nobody, or of no consequence changes nothing and is kept once", async () => {
  const user = await appleUser();
  const id = crypto.randomUUID();
  for (const type of ["email-disabled", "email-enabled", "not-yet-known"] as const) {
    assert.equal(await tell(type, user.subject), "noted");
  }
  assert.equal((await stateOf(user.id)).identities, 1);
  assert.equal(await tell("account-delete", crypto.randomUUID(), { id }), "nobody");
  assert.equal(await tell("account-delete", user.subject, { id }), "replayed", "whatever it says by now");
  assert.equal((await stateOf(user.id)).isClosed, false);
  const kept = await sql`
    select n.type from accounts.identity_notifications as n where n.user_id = ${user.id} order by n.received_at`;
  assert.deepEqual(kept.map(({ type }) => type), ["email-disabled", "email-enabled", "not-yet-known"]);
});

Deno.test("an identity of another provider with the same number is not Apple's to end", async () => {
  const { id } = await signedInGuest(database, 1);
  const subject = await link(id, "google");
  for (const type of ["consent-revoked", "account-delete"] as const) {
    assert.equal(await tell(type, subject), "nobody");
  }
  const { identities, isClosed } = await stateOf(id);
  assert.deepEqual([identities, isClosed], [1, false]);
});

Deno.test("whoever signed up and called nothing yet is closed as well, and a suspended user is unlinked", async () => {
  const id = await database.createUser();
  const subject = await link(id);
  assert.equal(await tell("account-delete", subject), "closed");

  const banned = await appleUser();
  await sql`update accounts.users set is_banned = true where id = ${banned.id}`;
  assert.equal(await tell("consent-revoked", banned.subject), "unlinked");
  const { is_banned } = await first(sql<{ is_banned: boolean }[]>`
    select is_banned from accounts.users where id = ${banned.id}`);
  assert.equal(is_banned, true, "and stays suspended");
});

Deno.test("told many times at once, and against a goodbye, an account ends once", async () => {
  for (let round = 0; round < 5; round++) {
    const user = await appleUser();
    const id = crypto.randomUUID();
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 6 }, () => tell("account-delete", user.subject, { id })),
      tell("consent-revoked", user.subject),
      closeAccount(sql, user.id),
    ]);
    // Who may have to try again is told so, and by nothing else.
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      assert(["55P03", "40001"].includes(outcome.reason.code), String(outcome.reason));
    }
    const again = await tell("account-delete", user.subject);
    assert(["noted", "nobody", "closed"].includes(again), again);
    assert.equal((await stateOf(user.id)).isClosed, true);
    assert.deepEqual(await creditsOf(sql, user.id), { available: 0, forfeited: 10 });
  }
});
