import { codes } from "../_shared/errors/error-codes.ts";
import * as z from "zod/mini";
import { AppError } from "../_shared/errors/app-error.ts";
import type { Bits, DeviceCheck } from "../_shared/devices/device-check.ts";
import {
  readAppTransaction,
  type StoreAppTransaction,
} from "../_shared/purchases/app-store/app-transaction.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { actor, type Database } from "../_shared/database/call.ts";
import {
  DeviceCheckBegun,
  GrantedCredits,
  IntentRecorded,
  LaneEntered,
} from "../_shared/devices/contract.ts";
import type { DeviceCheckRequest, DeviceCheckResponse } from "./schema.ts";

type DeviceCheckContext = Context<"user"> & { database: Database; apple: DeviceCheck };
/** Which Apple Account it is, as Apple signed it. */
type AppTransaction = Pick<StoreAppTransaction, "environment" | "app_transaction_id">;
type InitialGrant = DeviceCheckResponse["initial_grant"];

/**
 * The lane is leased for 10 seconds, and what happens inside must be over before another may enter. Counted from
 * before it is asked for, so that a slow answer of the database leaves less time and no gap.
 */
const laneMilliseconds = 8_000;

/** Seconds. An account checks ten times an hour: whoever comes back every six minutes is never refused for it. */
const appleRetryAfter = 360;
/** Seconds, after which the intent of an update that Apple did not answer is good for the next check. */
const intentRetryAfter = 30;

interface Grant {
  initial_grant: InitialGrant;
  /** Where this check changed it. */
  credits_remaining?: number;
}

const alreadyClaimed: Grant = { initial_grant: { status: "already_claimed", credits: 0 } };

function pending(reason: NonNullable<InitialGrant["reason"]>, retryAfter: number): Grant {
  return { initial_grant: { status: "pending", credits: 0, reason, retry_after: retryAfter } };
}

/**
 * Asks Apple about the device and grants its credits, once for the device. bit0 says that they were granted; bit1 is
 * somebody else's and stays as it is. Whatever Apple does not say clearly leaves the grant pending.
 */
export async function checkDevice(
  request: DeviceCheckRequest,
  context: DeviceCheckContext,
): Promise<Answer<DeviceCheckResponse>> {
  const appTransaction = await appTransactionOf(request, context);
  const args = { ...actor(context), p_network: context.network, p_app_transaction: appTransaction };
  const begun = await context.database.call("begin_device_check", args, DeviceCheckBegun);
  const { user_id, app_account_token, is_new } = begun;
  const answer = (grant: Grant): Answer<DeviceCheckResponse> => (
    {
      status: 200,
      body: { user_id, app_account_token, credits_remaining: begun.credits_remaining, is_new, ...grant },
    }
  );
  // Nothing is left to find out: an app that starts again costs Apple nothing, and its network no check.
  if (begun.is_granted) return answer(alreadyClaimed);
  if (appTransaction === null && context.config.requiresAppTransaction) {
    return answer(pending("app_transaction_missing", appleRetryAfter));
  }
  const bits = await query(request.device_token, context);

  let grant: Grant;
  if (bits === null) grant = pending("apple_unavailable", appleRetryAfter);
  else if (bits.bit0) grant = await relyOnIntent(begun, appTransaction, context);
  else grant = await claimDevice(request.device_token, begun, appTransaction, context);
  return answer(grant);
}

/** What Apple signed for this app; null for anything else, which costs nobody their check. */
async function appTransactionOf(
  { signed_app_transaction }: DeviceCheckRequest,
  { config, log, now }: DeviceCheckContext,
): Promise<AppTransaction | null> {
  if (signed_app_transaction === undefined || config.appStore === null) return null;
  const read = await readAppTransaction(signed_app_transaction, config.appStore, new Date(now()));
  if ("refusal" in read) {
    log.warn("device_check", { step: "app_transaction", outcome: read.refusal });
    return null;
  }
  const { environment, app_transaction_id } = read.appTransaction;
  return { environment, app_transaction_id };
}

/** The bit is set; for this user, who has not had the credits, if an earlier check of theirs ended half-way. */
async function relyOnIntent(
  begun: DeviceCheckBegun,
  appTransaction: AppTransaction | null,
  context: DeviceCheckContext,
): Promise<Grant> {
  if (begun.intent_good_in === null) return alreadyClaimed;
  if (begun.intent_good_in > 0) return pending("busy", begun.intent_good_in);
  return await grantCredits(null, appTransaction, context);
}

/** Sets the bit of a device that nobody has claimed, inside the lane of its network. */
async function claimDevice(
  deviceToken: string,
  begun: DeviceCheckBegun,
  appTransaction: AppTransaction | null,
  context: DeviceCheckContext,
): Promise<Grant> {
  const { database, network, log } = context;
  const signal = AbortSignal.timeout(laneMilliseconds);
  const { lane, retry_after } = await database.call("enter_device_lane", { p_network: network }, LaneEntered);
  if (lane === null) return pending("busy", retry_after ?? 1);
  // For whoever has set no bit and will not: it takes back the intent, and with it what the limits counted.
  const leave = () => database.call("leave_device_lane", { p_network: network, p_lane: lane }, z.unknown());
  let mustLeave = true;
  try {
    // Again, now that nobody else of the network is between query and update.
    const bits = await query(deviceToken, context, signal);
    if (bits === null) return pending("apple_unavailable", appleRetryAfter);
    if (bits.bit0) return await relyOnIntent(begun, appTransaction, context);
    const args = { ...actor(context), p_network: network, p_lane: lane, p_app_transaction: appTransaction };
    const intent = await database.call("record_device_intent", args, IntentRecorded);
    if (intent.is_granted) return alreadyClaimed;
    if (!intent.recorded) return pending(intent.reason ?? "busy", intent.retry_after ?? 1);

    // Nothing is sent where recording took longer than there was time.
    const update = await context.apple.update(deviceToken, { bit0: true, bit1: bits.bit1 }, { signal });
    // A grant leaves the lane by itself. An update that may still arrive keeps it until the lease is over; a later
    // check finds out whether the bit was set, and the intent makes it good.
    mustLeave = update.outcome === "not_updated";
    if (update.outcome === "updated") return await grantCredits(lane, appTransaction, context);
    log.warn("device_check", { step: "update", outcome: update.outcome, cause: update.cause });
    if (update.outcome === "unknown") return pending("apple_unavailable", intentRetryAfter);
    // Before the answer: the intent, which goes with it, would be good for any device whose bit is set.
    await leave();
    mustLeave = false;
    return pending("apple_unavailable", appleRetryAfter);
  } finally {
    if (mustLeave) context.waitUntil(leave);
  }
}

/** Leaves the lane, if there is one. */
async function grantCredits(
  lane: string | null,
  appTransaction: AppTransaction | null,
  context: DeviceCheckContext,
): Promise<Grant> {
  const args = {
    ...actor(context),
    p_network: context.network,
    p_lane: lane,
    p_app_transaction: appTransaction,
  };
  const { credits, credits_remaining } = await context.database.call(
    "grant_device_credits",
    args,
    GrantedCredits,
  );
  if (credits === 0) return { ...alreadyClaimed, credits_remaining };
  return { initial_grant: { status: "granted", credits }, credits_remaining };
}

/** Null where Apple cannot be asked. Throws ERR_4015 for a token that Apple refuses. */
async function query(
  deviceToken: string,
  { apple, log }: DeviceCheckContext,
  signal?: AbortSignal,
): Promise<Bits | null> {
  const answer = await apple.query(deviceToken, signal === undefined ? {} : { signal });
  if (answer.outcome === "refused") throw new AppError(codes["device/not-verified"], { cause: answer.cause });
  if (answer.outcome === "bits") return answer;
  log.warn("device_check", { step: "query", outcome: answer.outcome, cause: answer.cause });
  return null;
}
