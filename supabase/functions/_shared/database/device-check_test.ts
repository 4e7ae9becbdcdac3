import assert from "node:assert/strict";
import { fakeDataApi } from "../testing/data-api.ts";
import { testRuntime } from "../testing/runtime.ts";
import { userId } from "../testing/tokens.ts";
import { deviceCheckDatabase } from "./device-check.ts";

const network = "192.0.2.1";
const lane = "0190a000-0000-7000-8000-0000000000bb";

Deno.test("each step of a device check is one call, whose answer is unpacked", async () => {
  const begun = {
    user_id: userId,
    credits_remaining: 0,
    is_new: true,
    is_granted: false,
    intent_good_in: 20,
  };
  const refused = { recorded: false, is_granted: false, reason: "network_limit", retry_after: 60 };
  const { fetch, calls } = fakeDataApi({
    begin_device_check: () => ({ data: begun }),
    enter_device_lane: ({ p_network }) => ({
      data: p_network === null ? { lane: null, retry_after: 7 } : { lane, retry_after: null },
    }),
    leave_device_lane: () => ({ data: { left: true } }),
    record_device_intent: () => ({ data: refused }),
    grant_device_credits: () => ({ data: { credits: 10, credits_remaining: 10 } }),
  });
  const database = deviceCheckDatabase(testRuntime(fetch));
  assert.deepEqual(await database.begin(userId, network), begun);
  assert.deepEqual(await database.enterLane(network), { lane, retry_after: null });
  assert.deepEqual(await database.enterLane(null), { lane: null, retry_after: 7 });
  assert.deepEqual(await database.recordIntent(userId, network, lane), refused);
  assert.deepEqual(await database.grantCredits(userId, network, lane), {
    credits: 10,
    credits_remaining: 10,
  });
  assert.equal(await database.leaveLane(network, lane), undefined);

  const ofUser = { p_user_id: userId, p_network: network };
  assert.deepEqual(calls, [
    { name: "begin_device_check", args: ofUser },
    { name: "enter_device_lane", args: { p_network: network } },
    { name: "enter_device_lane", args: { p_network: null } },
    { name: "record_device_intent", args: { ...ofUser, p_lane: lane } },
    { name: "grant_device_credits", args: { ...ofUser, p_lane: lane } },
    { name: "leave_device_lane", args: { p_network: network, p_lane: lane } },
  ]);
});
