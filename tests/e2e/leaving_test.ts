/** Leaving, by whoever signed in with Apple: the account is closed at once, and Apple is told, whatever Apple does meanwhile. */
import assert from "node:assert/strict";
import * as z from "zod";
import { type AppleIdRule } from "../../local/simulators/apple-id/apple-id.ts";
import { ClosedAccount } from "../../supabase/functions/_shared/accounts/contract.ts";
import { tablesWith, untilErasable } from "../database/support/accounts.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { assertError, bodyOf } from "./support/answer.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";

const backend: Backend = shared(startBackend);
const appleId = () => backend.stack.simulators.appleId;
const newSub = () => `001234.${crypto.randomUUID().replaceAll("-", "")}.1234`;
const day = 24 * 60 * 60_000;

Deno.test.beforeEach(() => appleId().control.reset());

async function close(guest: Guest, code?: string) {
  const body = code === undefined ? {} : { body: { apple_authorization_code: code } };
  return bodyOf(await guest.call("user-profile", { method: "DELETE", ...body }), 202, ClosedAccount);
}

interface Waiting {
  readonly attempts: number;
  readonly payload: Record<string, string>;
  readonly milliseconds: number;
}

/** The task that tells Apple, while it is open. */
async function waiting({ id }: Guest): Promise<Waiting | undefined> {
  const [task] = await backend.database.sql<Waiting[]>`
    select t.attempts, t.payload, greatest(0, ceil(extract(epoch from t.run_at - core.now()) * 1000))::int as milliseconds
    from queue.tasks as t where t.subject = ${id} and t.kind = 'revoke_apple_sign_in'`;
  return task;
}

const alertsOf = async (subject: string): Promise<unknown[]> =>
  (await backend.database.sql`
    select a.rule, a.details from ops.alerts as a where a.subject = ${subject} order by a.rule`)
    .map(({ rule, details }) => ({ rule, details }));

/** Lets the worker try once more, when that is due. */
async function tryOnce(guest: Guest): Promise<Waiting | undefined> {
  const before = await waiting(guest);
  assert(before, "there is something to try");
  await backend.database.advance(before.milliseconds);
  await backend.stack.tick();
  return await eventually("it was tried", async () => {
    const after = await waiting(guest);
    // In hand until its next time is written.
    if (after === undefined) return { gone: true };
    const [lease] = await backend.database.sql`
      select from queue.tasks where subject = ${guest.id} and kind = 'revoke_apple_sign_in' and leased_until is not null`;
    return after.attempts > before.attempts && lease === undefined ? { gone: false } : undefined;
  }).then(async ({ gone }) => gone ? undefined : await waiting(guest));
}

/** Tries until nothing is left to try. */
async function tryAll(guest: Guest): Promise<number> {
  for (let tries = 1; tries <= 200; tries++) if (await tryOnce(guest) === undefined) return tries;
  assert.fail("it is tried without end");
}

const requests = async (operation: "token" | "revoke") =>
  (await appleId().control.report()).requests.filter((each) => each.operation === operation);

Deno.test("who closes the account with a code has no consent at Apple afterwards, and the code and token are kept nowhere", async () => {
  const sub = newSub();
  const guest = await backend.signIn();
  const code = appleId().authorizationCode(sub);
  const closed = await close(guest, code);
  assert.equal(closed.user_id, guest.id);
  assert.equal(await tryAll(guest), 1);
  assert.deepEqual((await requests("token")).map(({ status }) => status), [200]);
  assert.deepEqual((await requests("revoke")).map(({ sub, status }) => [sub, status]), [[sub, 200]]);
  assert.equal((await appleId().control.report()).consents.includes(sub), false);
  assert.deepEqual(await tablesWith(backend.database, code), []);
  assert.deepEqual(await alertsOf(guest.id), []);
});

Deno.test("without a code, with an empty body or with none, the account is closed, and Apple is not asked", async () => {
  const forms: RequestInit[] = [
    {},
    { body: "{}" },
    { body: "{}", headers: { "content-type": "application/json" } },
    { body: '{"apple_authorization_code":null}', headers: { "content-type": "application/json" } },
  ];
  for (const { headers, ...init } of forms) {
    const guest = await backend.signIn();
    const credentials = { apikey: backend.stack.publishableKey, authorization: `Bearer ${guest.token}` };
    const answer = await backend.call("user-profile", {
      method: "DELETE",
      ...init,
      headers: { ...credentials, ...headers },
    });
    assert.equal(bodyOf(answer, 202, ClosedAccount).subscription, null);
    assert.equal(await waiting(guest), undefined);
  }
});

Deno.test("a body that cannot be meant closes nothing", async () => {
  const guest = await backend.signIn();
  for (
    const body of [
      { apple_authorization_code: "" },
      { apple_authorization_code: "a b" },
      { apple_authorization_code: "c".repeat(2_049) },
      { apple_authorization_code: 1 },
      { code: "c" },
      [],
      null,
    ]
  ) {
    assertError(
      await guest.call("user-profile", { method: "DELETE", body }),
      "ERR_4008",
      JSON.stringify(body),
    );
  }
  const typed = {
    method: "DELETE",
    body: { apple_authorization_code: "c" },
    headers: { "content-type": "text/plain" },
  };
  assertError(await guest.call("user-profile", typed), "ERR_4018", "not JSON");
  assert.equal((await guest.call("user-profile")).status, 200);
});

const misbehaviours: Record<string, AppleIdRule[]> = {
  "down before the code is exchanged": [{ operation: "token", effect: "down", times: 2 }],
  "too busy": [{ effect: "rate_limited", times: 2 }],
  "broken": [{ effect: "server_error", times: 2 }],
  "saying what means nothing to the token": [{ operation: "revoke", effect: "garbage", times: 2 }],
  "down before the token is revoked": [{ operation: "revoke", effect: "down", times: 3 }],
  "losing its answer to the revocation": [{ operation: "revoke", effect: "answer_lost", times: 1 }],
};

for (const [what, rules] of Object.entries(misbehaviours)) {
  Deno.test(`Apple is told in the end where it is ${what}`, async () => {
    for (const rule of rules) await appleId().control.rules(rule);
    const guest = await backend.signIn();
    const sub = newSub();
    await close(guest, appleId().authorizationCode(sub));
    await tryAll(guest);
    const report = await appleId().control.report();
    // The runtime may have sent it again by itself.
    assert(report.requests.length > 2);
    assert(report.requests.some((each) => each.operation === "revoke" && each.sub === sub));
    assert.equal(report.consents.includes(sub), false);
    assert.deepEqual(await alertsOf(guest.id), []);
  });
}

Deno.test("an Apple that is down for a day is told when it is back, though the account is erased since long", async () => {
  const guest = await backend.signIn();
  const sub = newSub();
  // What it gave for the code is known, and from then on it is away.
  await appleId().control.rules({ operation: "revoke", effect: "down", times: null });
  const code = appleId().authorizationCode(sub);
  await close(guest, code);
  await tryOnce(guest);
  const held = await waiting(guest);
  assert.deepEqual(Object.keys(held?.payload ?? {}), ["refresh_token"], "the code is spent, and forgotten");
  assert.deepEqual(await tablesWith(backend.database, code), []);
  await backend.database.advance(untilErasable);
  await backend.stack.tick();
  await eventually("the account is erased", async () => {
    await backend.stack.tick();
    const rows = await backend.database.sql`select from accounts.erasures where user_id = ${guest.id}`;
    return rows.length > 0 || undefined;
  });
  let passed = 0;
  let tries = 0;
  while (passed < day) {
    passed += (await waiting(guest))?.milliseconds ?? 0;
    assert(await tryOnce(guest), "it is still to be tried");
    tries++;
  }
  assert(tries < 60, `Apple is asked ${tries} times a day`);
  await appleId().control.reset();
  assert.equal(await tryAll(guest), 1);
  assert.equal((await appleId().control.report()).consents.includes(sub), false);
  assert.deepEqual(await alertsOf(guest.id), []);
});

Deno.test("where Apple is never back the operator is told, once nothing is tried any more, and the token is gone", async () => {
  const guest = await backend.signIn();
  await appleId().control.rules({ operation: "revoke", effect: "down", times: null });
  await close(guest, appleId().authorizationCode(newSub()));
  await tryOnce(guest);
  const token = (await waiting(guest))?.payload.refresh_token ?? "";
  // All tries but the last: more than a day has passed.
  await backend.database.sql`
    update queue.tasks as t set attempts = k.tries - 1, created_at = t.created_at - interval '3 days'
    from queue.kinds as k where k.kind = t.kind and t.subject = ${guest.id} and t.kind = 'revoke_apple_sign_in'`;
  assert.equal(await tryAll(guest), 1);
  const cause = "Apple could not be reached in all tries";
  assert.deepEqual(await alertsOf(guest.id), [{ rule: "apple_sign_in_not_revoked", details: { cause } }]);
  assert.notEqual(token, "");
  assert.deepEqual(await tablesWith(backend.database, token), []);
});

const refusals: Record<string, () => string | Promise<string>> = {
  "that Apple has never given": () => "c0123456789abcdef0123456789abcdef.0.mrtz.0123456789abcdefghijkl",
  "that is older than 5 minutes": () => appleId().authorizationCode(newSub(), { expiresInSeconds: -1 }),
  "whose exchange was answered to nobody": async () => {
    await appleId().control.rules({ operation: "token", effect: "answer_lost", times: 1 });
    return appleId().authorizationCode(newSub());
  },
  "whose exchange was answered with what means nothing": async () => {
    await appleId().control.rules({ operation: "token", effect: "garbage", times: 1 });
    return "c0123456789abcdef0123456789abcdef.0.mrtz.0123456789abcdefghijkm";
  },
};

for (const [what, codeOf] of Object.entries(refusals)) {
  Deno.test(`a code ${what} closes the account all the same, is tried no longer than it must, and the operator is told`, async () => {
    const guest = await backend.signIn();
    await close(guest, await codeOf());
    assert(await tryAll(guest) <= 2);
    const cause = "Apple answered 400: invalid_grant";
    assert.deepEqual(await alertsOf(guest.id), [{ rule: "apple_sign_in_not_revoked", details: { cause } }]);
  });
}

Deno.test("a key that Apple does not take is the operator's to mend, and costs no try meanwhile", async () => {
  const guest = await backend.signIn();
  const sub = newSub();
  await appleId().control.rules({ operation: "revoke", effect: "unauthorized", times: 5 });
  await close(guest, appleId().authorizationCode(sub));
  for (let time = 0; time < 5; time++) assert((await tryOnce(guest))?.payload.refresh_token);
  assert.deepEqual(await alertsOf("APPLE_SIGN_IN_KEY_ID"), [{
    rule: "apple_sign_in_key_refused",
    details: {},
  }]);
  const [tries] = await backend.database.sql`
    select t.attempts - t.uncounted_attempts as counted from queue.tasks as t
    where t.subject = ${guest.id} and t.kind = 'revoke_apple_sign_in'`;
  assert.equal(tries?.counted, 0);
  assert.equal(await tryAll(guest), 1);
  assert.equal((await appleId().control.report()).consents.includes(sub), false);
});

Deno.test("of two closings at once with two codes, the accepted one's is used, and the other's is not", async () => {
  const guest = await backend.signIn();
  const codes = [newSub(), newSub()].map((sub) => ({ sub, code: appleId().authorizationCode(sub) }));
  const answers = await Promise.all(
    codes.map(({ code }) =>
      guest.call("user-profile", { method: "DELETE", body: { apple_authorization_code: code } })
    ),
  );
  const accepted = answers.findIndex(({ status }) => status === 202);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [202, 401]);
  await tryAll(guest);
  assert.deepEqual((await requests("revoke")).map(({ sub }) => sub), [codes[accepted]?.sub]);
});

const running = z.object({ product_id: z.string(), status: z.string(), renews_at: z.nullable(z.string()) });

Deno.test("the answer names a subscription that Apple goes on with, and none that has ended", async () => {
  const { appStore } = backend.stack.simulators;
  await backend.database.sql`
    insert into purchases.products (product_id, kind, name, description, credits)
    values ('com.example.kinora.plus', 'subscription', 'Plus', '', 100) on conflict do nothing`;
  const outcomes: Record<string, unknown> = {};
  for (const state of ["none", "runs", "does not renew", "refunded"]) {
    const guest = await backend.signIn();
    const { app_account_token } = await guest.kinora.account.profile();
    if (state !== "none") {
      const bought = await appStore.do({
        deed: "subscribe",
        productId: "com.example.kinora.plus",
        appAccountToken: app_account_token,
        account: app_account_token,
      });
      assert(bought.signed !== null && bought.transactionId !== null);
      await guest.call("purchases", { body: { signed_transaction: bought.signed } });
      if (state === "does not renew") {
        await appStore.do({ deed: "cancel", subscription: bought.transactionId });
      }
      if (state === "refunded") await appStore.do({ deed: "refund", transactionId: bought.transactionId });
      await eventually("Apple's word has come", async () => {
        await backend.stack.tick();
        const { subscription } = await guest.kinora.account.profile();
        return subscription !== null && (state === "runs" ||
              (state === "refunded" ? subscription.status === "revoked" : subscription.renews_at === null)) ||
          undefined;
      });
    }
    const { subscription } = await close(guest);
    outcomes[state] = subscription === null ? null : {
      ...running.parse(subscription),
      renews_at: subscription.renews_at === subscription.expires_at ? "at the end" : subscription.renews_at,
    };
  }
  const product_id = "com.example.kinora.plus";
  assert.deepEqual(outcomes, {
    none: null,
    runs: { product_id, status: "active", renews_at: "at the end" },
    "does not renew": { product_id, status: "active", renews_at: null },
    refunded: null,
  });
});
