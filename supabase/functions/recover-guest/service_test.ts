import assert from "node:assert/strict";
import { appAppleId, bundleId, signedAt, testAppStore } from "../_shared/testing/app-store/signed-data.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { recoverGuest } from "./service.ts";

const store = await testAppStore();
const merged = {
  user_id: userId,
  merged_user_id: "1b6cbd0e-8b9f-4c57-8f0a-5b3e2c1d0a99",
  credits_moved: 6,
  jobs_moved: 1,
  credits_remaining: 6,
};

const payload = (changes: Record<string, unknown> = {}) => ({
  appTransactionId: "704000000000000001",
  bundleId,
  appAppleId,
  receiptType: "Production",
  receiptCreationDate: signedAt.getTime(),
  ...changes,
});

/** The service, so many minutes after Apple signed. */
function setting(minutes = 0, appStore: typeof store.configuration | null = store.configuration) {
  const { database, calls } = fakeDatabase({ recover_guest: () => merged });
  const context = testContext("user", { database });
  const now = () => signedAt.getTime() + minutes * 60_000;
  return { context: { ...context, now, config: { ...context.config, appStore } }, calls };
}

Deno.test("the Apple Account is who Apple signed that it is", async () => {
  const { context, calls } = setting(9);
  const signed_app_transaction = await store.sign(payload());
  assert.deepEqual(await recoverGuest({ signed_app_transaction }, context), { status: 200, body: merged });
  const p_app_transaction = { environment: "production", app_transaction_id: "704000000000000001" };
  assert.deepEqual(calls, [{
    name: "recover_guest",
    args: { p_user_id: userId, p_session_id: sessionId, p_app_transaction },
  }]);
});

Deno.test("what Apple signed for another app, too long ago, or did not sign finds nobody", async () => {
  const stranger = await testAppStore();
  const refused: [string, string, number][] = [
    ["ERR_4016", "a.b.c", 0],
    ["ERR_4016", await stranger.sign(payload()), 0],
    ["ERR_4016", await store.sign(payload({ bundleId: "com.example.another" })), 0],
    ["ERR_4016", await store.sign(payload({ appAppleId: 1 })), 0],
    ["ERR_4016", await store.sign(payload({ receiptType: "Xcode" })), 0],
    ["ERR_4016", await store.sign(payload({ appTransactionId: undefined })), 0],
    ["ERR_4008", await store.sign(payload()), 11],
  ];
  for (const [code, signed_app_transaction, minutes] of refused) {
    const { context, calls } = setting(minutes);
    await assert.rejects(recoverGuest({ signed_app_transaction }, context), { code });
    assert.deepEqual(calls, []);
  }
  const { context } = setting(0, null);
  const signed_app_transaction = await store.sign(payload());
  await assert.rejects(recoverGuest({ signed_app_transaction }, context), { code: "ERR_6004" });
});
