import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import type {
  Bits,
  DeviceCheckOptions,
  QueryOutcome,
  UpdateOutcome,
} from "../_shared/devices/device-check.ts";
import type { DeviceCheckBegun, IntentRecorded } from "../_shared/devices/contract.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { checkDevice } from "./service.ts";

const network = "192.0.2.1";
const laneId = "0190a000-0000-7000-8000-0000000000bb";
/** As the procedures are asked: for whom, where and in which lane. */
const appAccountToken = "0f0b4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10";
const ofUser = { p_user_id: userId, p_session_id: sessionId, p_network: network };
const beginning = { ...ofUser, p_app_transaction: null };
const inLaneOf = { ...beginning, p_lane: laneId };
const leaving = { p_network: network, p_lane: laneId };
const deviceToken = "dG9rZW4=";
const neverSet: QueryOutcome = { outcome: "bits", known: false, bit0: false, bit1: false };
const claimed: QueryOutcome = { outcome: "bits", known: true, bit0: true, bit1: false };
const unavailable = { outcome: "unavailable", cause: "Apple answered 503" } as const;
const refused = { outcome: "refused", cause: "Apple answered 400" } as const;
const notUpdated = { outcome: "not_updated", cause: "Apple answered 400" } as const;
const unknown = { outcome: "unknown", cause: "Apple answered 503" } as const;

const granted = { status: "granted", credits: 10 };
const alreadyClaimed = { status: "already_claimed", credits: 0 };
const pending = (reason: string, retry_after: number) => ({
  status: "pending",
  credits: 0,
  reason,
  retry_after,
});

interface Scene {
  begun?: Partial<DeviceCheckBegun>;
  /** Apple's answers to the queries, in turn; the last one again and again. */
  queries?: QueryOutcome[];
  update?: UpdateOutcome;
  lane?: string | null;
  recorded?: () => Promise<IntentRecorded>;
  /** What the first calls that leave the lane come to. */
  left?: (() => Promise<void>)[];
  /** What the database grants. */
  granted?: () => Promise<{ credits: number; credits_remaining: number }>;
}

/** A device check in such a world, and its steps, each with what it was given. */
function setting(scene: Scene = {}) {
  const queries = [...scene.queries ?? [neverSet]];
  const { update = { outcome: "updated" }, lane = laneId } = scene;
  const { granted = () => Promise.resolve({ credits: 10, credits_remaining: 10 }) } = scene;
  const { recorded = () => Promise.resolve({ recorded: true, is_granted: false }) } = scene;
  const left = [...scene.left ?? []];
  const steps: unknown[][] = [];
  const signals: (AbortSignal | undefined)[] = [];
  const begun: DeviceCheckBegun = {
    user_id: userId,
    app_account_token: appAccountToken,
    credits_remaining: 0,
    is_new: true,
    is_granted: false,
    intent_good_in: null,
    ...scene.begun,
  };
  const context = testContext("user", {
    ...fakeDatabase({
      begin_device_check: (args) => {
        steps.push(["begin", args]);
        return begun;
      },
      enter_device_lane: (args) => {
        steps.push(["enterLane", args]);
        return { lane, retry_after: lane === null ? 7 : null };
      },
      leave_device_lane: (args) => {
        steps.push(["leaveLane", args]);
        return left.shift()?.() ?? { left: true };
      },
      record_device_intent: (args) => {
        steps.push(["recordIntent", args]);
        return recorded();
      },
      grant_device_credits: (args) => {
        steps.push(["grantCredits", args]);
        return granted();
      },
    }),
    apple: {
      query: (token: string, { signal }: DeviceCheckOptions = {}) => {
        steps.push(["query", token]);
        signals.push(signal);
        return Promise.resolve((queries.length > 1 ? queries.shift() : queries[0]) ?? neverSet);
      },
      update: (token: string, bits: Bits, { signal }: DeviceCheckOptions = {}) => {
        steps.push(["update", token, bits]);
        signals.push(signal);
        return Promise.resolve(update);
      },
    },
  });
  const check = async () => {
    const { body } = await checkDevice({ device_token: deviceToken }, context);
    assert(body);
    return body;
  };
  const names = () => steps.map(([name]) => name);
  return { context, steps, names, signals, check };
}

Deno.test("a device that nobody has claimed is claimed in its network's lane, and granted its credits", async () => {
  const { context, check, steps } = setting();
  assert.deepEqual(await check(), {
    user_id: userId,
    app_account_token: appAccountToken,
    credits_remaining: 10,
    is_new: true,
    initial_grant: { status: "granted", credits: 10 },
  });
  await context.settled();
  assert.deepEqual(steps, [
    ["begin", beginning],
    ["query", deviceToken],
    ["enterLane", { p_network: network }],
    ["query", deviceToken],
    ["recordIntent", inLaneOf],
    ["update", deviceToken, { bit0: true, bit1: false }],
    ["grantCredits", inLaneOf],
  ]);
});

Deno.test("the other bit is written back as it was, as the lane found it", async () => {
  const { check, steps } = setting({ queries: [neverSet, { ...neverSet, known: true, bit1: true }] });
  await check();
  assert.deepEqual(steps.find(([name]) => name === "update"), [
    "update",
    deviceToken,
    { bit0: true, bit1: true },
  ]);
});

Deno.test("a device that was claimed for somebody else is told so, and no lane is entered", async () => {
  const { check, names } = setting({ queries: [claimed], begun: { credits_remaining: 3, is_new: false } });
  assert.deepEqual(await check(), {
    user_id: userId,
    app_account_token: appAccountToken,
    credits_remaining: 3,
    is_new: false,
    initial_grant: { status: "already_claimed", credits: 0 },
  });
  assert.deepEqual(names(), ["begin", "query"]);
});

Deno.test("a bit that was set for this user, who has not had the credits, is made good without a lane", async () => {
  const { check, steps } = setting({ queries: [claimed], begun: { intent_good_in: 0 } });
  assert.deepEqual((await check()).initial_grant, granted);
  assert.deepEqual(steps.at(-1), ["grantCredits", { ...beginning, p_lane: null }]);
  assert.equal(steps.length, 3);
});

Deno.test("an intent whose own check may be under way is good for no other: the user is told when to come again", async () => {
  for (const queries of [[claimed], [neverSet, claimed]]) {
    const { check, names } = setting({ queries, begun: { intent_good_in: 21 } });
    assert.deepEqual((await check()).initial_grant, pending("busy", 21));
    assert(!names().includes("grantCredits"));
  }
});

Deno.test("a bit that shows only inside the lane is made good, too, and the lane left", async () => {
  const { check, names, context } = setting({ queries: [neverSet, claimed], begun: { intent_good_in: 0 } });
  assert.deepEqual((await check()).initial_grant, granted);
  await context.settled();
  assert.deepEqual(names().slice(2), ["enterLane", "query", "grantCredits", "leaveLane"]);
});

Deno.test("an intent whose bit was never set claims the device again", async () => {
  for (const intent_good_in of [0, 21]) {
    const { check, names } = setting({ begun: { intent_good_in } });
    assert.deepEqual((await check()).initial_grant, granted);
    assert.deepEqual(names().slice(2), ["enterLane", "query", "recordIntent", "update", "grantCredits"]);
  }
});

Deno.test("a user who has had the credits gets none for another device, and Apple is not asked", async () => {
  for (const queries of [[neverSet], [claimed], [unavailable], [refused]]) {
    const { check, names } = setting({ queries, begun: { is_granted: true } });
    assert.deepEqual((await check()).initial_grant, alreadyClaimed);
    assert.deepEqual(names(), ["begin"]);
  }
});

Deno.test("a grant that another check of the user won is not told twice", async () => {
  const { check } = setting({ granted: () => Promise.resolve({ credits: 0, credits_remaining: 10 }) });
  const { credits_remaining, initial_grant } = await check();
  assert.equal(credits_remaining, 10);
  assert.deepEqual(initial_grant, { status: "already_claimed", credits: 0 });
});

Deno.test("while Apple cannot be asked the account works and the grant is pending", async () => {
  const { check, names, context } = setting({ queries: [unavailable], begun: { credits_remaining: 2 } });
  assert.deepEqual(await check(), {
    user_id: userId,
    app_account_token: appAccountToken,
    credits_remaining: 2,
    is_new: true,
    initial_grant: pending("apple_unavailable", 360),
  });
  assert.deepEqual(names(), ["begin", "query"]);
  const line = context.lines.find(({ event }) => event === "device_check");
  assert.deepEqual([line?.level, line?.step, line?.cause], ["warn", "query", "Apple answered 503"]);
});

Deno.test("whatever stops a claim before the bit leaves it untouched, says why, and leaves the lane free", async () => {
  const refuse = (why: Omit<IntentRecorded, "recorded">) => () =>
    Promise.resolve({ recorded: false, ...why });
  const limited = { is_granted: false, reason: "network_limit", retry_after: 5_000 } as const;
  const inLane = ["enterLane", "query", "leaveLane"];
  const atIntent = ["enterLane", "query", "recordIntent", "leaveLane"];
  const scenes: [Scene, Record<string, unknown>, string[]][] = [
    [{ lane: null }, pending("busy", 7), ["enterLane"]],
    [{ queries: [neverSet, unavailable] }, pending("apple_unavailable", 360), inLane],
    [{ queries: [neverSet, claimed] }, alreadyClaimed, inLane],
    [{ recorded: refuse({ is_granted: true }) }, alreadyClaimed, atIntent],
    [{ recorded: refuse(limited) }, pending("network_limit", 5_000), atIntent],
    [
      { recorded: refuse({ is_granted: false, reason: "busy", retry_after: 10 }) },
      pending("busy", 10),
      atIntent,
    ],
  ];
  for (const [scene, initial_grant, expected] of scenes) {
    const { check, names, context, steps } = setting(scene);
    assert.deepEqual((await check()).initial_grant, initial_grant);
    assert(!names().includes("leaveLane"), "the lane is left after the answer");
    await context.settled();
    assert.deepEqual(names().slice(2), expected);
    if (expected.includes("leaveLane")) assert.deepEqual(steps.at(-1), ["leaveLane", leaving]);
  }
});

Deno.test("an update that may still arrive leaves the grant pending, and keeps the lane for its lease", async () => {
  const { check, names, context } = setting({ update: unknown });
  assert.deepEqual((await check()).initial_grant, pending("apple_unavailable", 30));
  await context.settled();
  assert.deepEqual(names().slice(-2), ["recordIntent", "update"]);
  const line = context.lines.find(({ event }) => event === "device_check");
  assert.deepEqual([line?.step, line?.outcome], ["update", "unknown"]);
});

Deno.test("an update that was not made grants nothing, and takes its intent back before the answer", async () => {
  const { check, names, context } = setting({ update: notUpdated });
  assert.deepEqual((await check()).initial_grant, pending("apple_unavailable", 360));
  assert.deepEqual(names().slice(-2), ["update", "leaveLane"]);
  await context.settled();
  assert.equal(names().filter((name) => name === "leaveLane").length, 1);
});

Deno.test("an intent that could not be taken back before the answer is taken back after it", async () => {
  const { check, names, context } = setting({
    update: notUpdated,
    left: [() => Promise.reject(new AppError("ERR_6001"))],
  });
  await assert.rejects(check(), { code: "ERR_6001" });
  await context.settled();
  assert.deepEqual(names().slice(-3), ["update", "leaveLane", "leaveLane"]);
});

Deno.test("a token that Apple refuses is ERR_4015 for everybody whose grant is open, and frees the lane", async () => {
  for (const begun of [{}, { intent_good_in: 0 }]) {
    const { check, names } = setting({ queries: [refused], begun });
    await assert.rejects(check(), { code: "ERR_4015" });
    assert.deepEqual(names(), ["begin", "query"]);
  }
  const { check, names, context } = setting({ queries: [neverSet, refused] });
  await assert.rejects(check(), { code: "ERR_4015" });
  await context.settled();
  assert.deepEqual(names().slice(2), ["enterLane", "query", "leaveLane"]);
});

Deno.test("a database that fails inside the lane frees it, unless the bit may have been set", async () => {
  const away = () => Promise.reject(new AppError("ERR_6001"));
  const scenes: [Scene, string][] = [[{ recorded: away }, "leaveLane"], [{ granted: away }, "grantCredits"]];
  for (const [scene, last] of scenes) {
    const { check, names, context } = setting(scene);
    await assert.rejects(check(), { code: "ERR_6001" });
    await context.settled();
    assert.equal(names().at(-1), last);
  }
});

Deno.test("the calls to Apple inside the lane share one time limit, the first query has its own", async () => {
  const { check, signals } = setting();
  await check();
  const [first, second, third] = signals;
  assert.equal(first, undefined);
  assert(second instanceof AbortSignal);
  assert.equal(third, second);
});

Deno.test("where the operator asks for an Apple Account, a check without one grants nothing and asks Apple nothing", async () => {
  const { context, names } = setting();
  const config = { ...context.config, requiresAppTransaction: true };
  const { body } = await checkDevice({ device_token: deviceToken }, { ...context, config });
  assert.deepEqual(body?.initial_grant, pending("app_transaction_missing", 360));
  assert.deepEqual(names(), ["begin"]);
});
