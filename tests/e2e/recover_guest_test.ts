/** A guest whose session is lost is found again by StoreKit's AppTransaction, over HTTP. */
import assert from "node:assert/strict";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { MergedGuest } from "../../supabase/functions/_shared/accounts/contract.ts";
import { shared } from "../shared.ts";
import { assertError, bodyOf, errorOf } from "./support/answer.ts";
import { startBackend } from "./support/backend.ts";

const backend = shared(startBackend);

async function appTransaction(account: string): Promise<string> {
  const { signed } = await backend.stack.simulators.appStore.do({ deed: "app_transaction", account });
  assert(signed);
  return signed;
}

Deno.test("an app that is installed anew finds its guest by the Apple Account, once the old session is idle", async () => {
  const account = crypto.randomUUID();
  const lost = await backend.signIn(5);
  const checked = await lost.call("device-check", {
    body: {
      device_token: deviceToken(crypto.randomUUID()),
      signed_app_transaction: await appTransaction(account),
    },
  });
  assert.equal(checked.status, 200);
  const credits = await backend.balanceOf(lost);
  const anew = await backend.signIn();
  const recover = async () =>
    await anew.call("recover-guest", { body: { signed_app_transaction: await appTransaction(account) } });
  assert.equal(errorOf(await recover(), "ERR_4009").details.status, "in_use");
  await backend.database.sql`
    update auth.sessions set created_at = now() - interval '8 days' where user_id = ${lost.id}`;
  const found = bodyOf(await recover(), 200, MergedGuest);
  assert.deepEqual([found.merged_user_id, found.credits_moved, found.credits_remaining], [
    lost.id,
    credits,
    credits,
  ]);
  assertError(await lost.call("credits"), "ERR_4005", "the lost session");
  const other = await anew.call("recover-guest", {
    body: { signed_app_transaction: await appTransaction(crypto.randomUUID()) },
  });
  assertError(other, "ERR_4007", "another Apple Account");
  await backend.proveLedger();
});

Deno.test("a device check with what Apple did not sign is a check without it", async () => {
  const guest = await backend.signIn();
  const body = { device_token: deviceToken(crypto.randomUUID()), signed_app_transaction: "a.b.c" };
  assert.equal((await guest.call("device-check", { body })).status, 200);
});
