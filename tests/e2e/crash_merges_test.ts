/**
 * A crash at every step of becoming somebody, of which the quick tests run a sample: a guest is merged, Apple revokes their
 * heir's consent, and a guest whose session is lost is found again. As in crash_test.ts, the functions are killed before and
 * after each of their calls.
 */
import assert from "node:assert/strict";
import { decodeJwt } from "jose";
import { MergedGuest } from "../../supabase/functions/_shared/accounts/contract.ts";
import { eventually } from "./eventually.ts";
import { bodyOf } from "./support/answer.ts";
import { backend, call, calls, restart, type Run, untilQuiet } from "./support/crash-steps.ts";
import { assertSurvivesCrashes, procedure } from "./support/crash-points.ts";
import type { Point } from "./support/port-calls.ts";

/** A user with Apple's identity, who had so many credits as a guest; how they call, and their number at Apple's. */
async function linkedUser(credits: number): Promise<{ run: Run; sub: string }> {
  const guest = await backend.signIn(credits);
  const sub = crypto.randomUUID();
  const token = await backend.stack.simulators.appleId.identityToken({ sub });
  assert.equal((await guest.supabase.auth.linkIdentity({ provider: "apple", token })).error, null);
  return { run: { guest, prompt: "", jobId: "" }, sub };
}

/** A guest of an Apple Account who is signed in nowhere, and what StoreKit says about the account. */
async function lostGuest(credits: number): Promise<string> {
  const { id } = await backend.signIn(credits);
  const { signed } = await backend.stack.simulators.appStore.do({
    deed: "app_transaction",
    account: crypto.randomUUID(),
  });
  assert(signed !== null);
  const { appTransactionId, receiptType } = decodeJwt(signed);
  const app = {
    environment: String(receiptType).toLowerCase(),
    app_transaction_id: String(appTransactionId),
  };
  const { sql } = backend.database;
  await sql`select accounts.admit(${id}), devices.note_app_transaction(${id}, ${sql.json(app)})`;
  await sql`delete from auth.sessions where user_id = ${id}`;
  return signed;
}

async function play(target: Point | null): Promise<string> {
  const { run, sub } = await linkedUser(3);
  const guest = await backend.signIn(20);
  const signed_app_transaction = await lostGuest(7);
  await untilQuiet();
  calls.reset(target, restart);

  const merged = await call(run, "merge-guest", { body: { guest_token: guest.token } });
  const { credits_moved, credits_remaining } = bodyOf(merged, 200, MergedGuest);
  assert.deepEqual([credits_moved, credits_remaining], [20, 23], "whatever of the first try was lost");

  const { appleId } = backend.stack.simulators;
  const body = JSON.stringify(await appleId.notification({ type: "consent-revoked", sub }));
  await eventually("Apple's word is taken", async () => {
    const url = `${backend.stack.url}/functions/v1/apple-identity-notifications`;
    const answer = await fetch(url, { method: "POST", body }).catch(() => null);
    await answer?.body?.cancel();
    return answer?.status === 200 ? true : undefined;
  });

  const found = await call(run, "recover-guest", { body: { signed_app_transaction } });
  assert.equal(bodyOf(found, 200, MergedGuest).credits_remaining, 30);
  await untilQuiet();
  return run.guest.id;
}

/** Each guest came once, with all that they had, and the heir is a guest again. */
async function prove(heirId: string): Promise<void> {
  const { sql } = backend.database;
  const [state] = await sql`
    select a.is_anonymous,
      (select count(*)::int from auth.identities as i where i.user_id = a.id) as identities,
      (select sum(m.credits_moved)::int from accounts.merges as m where m.heir_id = a.id) as moved,
      (select count(*)::int from accounts.merges as m where m.heir_id = a.id) as merges,
      (select c.balance::int from credits.accounts as c where c.owner_id = a.id and c.kind = 'available') as balance,
      (select array_agg(n.effect::text) from accounts.identity_notifications as n where n.user_id = a.id) as effects
    from auth.users as a where a.id = ${heirId}`;
  assert.deepEqual({ ...state }, {
    ...{ is_anonymous: true, identities: 0, moved: 27, merges: 2, balance: 30, effects: ["unlinked"] },
  });
  await backend.proveLedger();
}

Deno.test("a merge, Apple's revocation and a recovery survive a crash at every step", () =>
  assertSurvivesCrashes(
    play,
    prove,
    ["merge_guest", "apple_identity_notifications", "recover_guest"].map(procedure),
  ));
