import { AppError } from "../_shared/app-error.ts";
import type { Bits, DeviceCheck } from "../_shared/apple/device-check.ts";
import type { Answer, Context } from "../_shared/context.ts";
import type { DeviceCheckDatabase } from "../_shared/database/device-check.ts";
import type { DeviceCheckRequest, DeviceCheckResponse } from "./schema.ts";

type DeviceCheckContext = Context<"user"> & { database: DeviceCheckDatabase; apple: DeviceCheck };

/**
 * The lane is leased for 10 seconds, and what happens inside must be over before another may enter. Counted from
 * before it is asked for, so that a slow answer of the database leaves less time and no gap.
 */
const laneMilliseconds = 8_000;

interface Grant {
  status: DeviceCheckResponse["initial_grant"]["status"];
  /** What this call granted. */
  credits: number;
  credits_remaining?: number;
}

const alreadyClaimed: Grant = { status: "already_claimed", credits: 0 };
const pending: Grant = { status: "pending", credits: 0 };

/**
 * Asks Apple about the device and grants its credits, once for the device. bit0 says that they were granted; bit1 is
 * somebody else's and stays as it is. Whatever Apple does not say clearly leaves the grant pending.
 */
export async function checkDevice(
  request: DeviceCheckRequest,
  context: DeviceCheckContext,
): Promise<Answer<DeviceCheckResponse>> {
  const { database, caller, network } = context;
  const { has_intent, is_granted, ...account } = await database.begin(caller.userId, network);
  // Also where nothing is left to grant: a token that Apple refuses is ERR_4015 for everybody.
  const bits = await query(request.device_token, context);

  let grant: Grant;
  if (is_granted) grant = alreadyClaimed;
  else if (bits === null) grant = pending;
  else if (!bits.bit0) grant = await claimDevice(request.device_token, context);
  // The bit is set for this user, who has not had the credits: an earlier check ended half-way.
  else if (has_intent) grant = await grantCredits(null, context);
  else grant = alreadyClaimed;

  const { status, credits, credits_remaining = account.credits_remaining } = grant;
  return { status: 200, body: { ...account, credits_remaining, initial_grant: { status, credits } } };
}

/** Sets the bit of a device that nobody has claimed, inside the lane of its network. */
async function claimDevice(deviceToken: string, context: DeviceCheckContext): Promise<Grant> {
  const { database, network } = context;
  const signal = AbortSignal.timeout(laneMilliseconds);
  const lane = await database.enterLane(network);
  if (lane === null) return pending;
  let mustLeave = true;
  try {
    // Again, now that nobody else of the network is between query and update.
    const bits = await query(deviceToken, context, signal);
    if (bits === null) return pending;
    if (bits.bit0) return alreadyClaimed;
    if (!await database.recordIntent(context.caller.userId, network, lane)) return pending;

    const update = await context.apple.update(deviceToken, { bit0: true, bit1: bits.bit1 }, { signal });
    // A grant leaves the lane by itself. An update that may still arrive keeps it until the lease is over; the next
    // check finds out whether the bit was set, and the intent makes it good.
    mustLeave = update.outcome === "refused";
    if (update.outcome === "updated") return await grantCredits(lane, context);
    context.log.warn("device_check", { step: "update", outcome: update.outcome, cause: update.cause });
    if (mustLeave) {
      // Before the answer: the intent, which goes with it, would be good for any device whose bit is set.
      await database.leaveLane(network, lane);
      mustLeave = false;
    }
    return pending;
  } finally {
    if (mustLeave) context.waitUntil(() => database.leaveLane(network, lane));
  }
}

async function grantCredits(
  lane: string | null,
  { database, caller, network }: DeviceCheckContext,
): Promise<Grant> {
  const granted = await database.grantCredits(caller.userId, network, lane);
  return granted.credits > 0 ? { status: "granted", ...granted } : { ...alreadyClaimed, ...granted };
}

/** Null where Apple cannot be asked. Throws ERR_4015 for a token that Apple refuses. */
async function query(
  deviceToken: string,
  { apple, log }: DeviceCheckContext,
  signal?: AbortSignal,
): Promise<Bits | null> {
  const answer = await apple.query(deviceToken, signal === undefined ? {} : { signal });
  if (answer.outcome === "refused") throw new AppError("ERR_4015", { cause: answer.cause });
  if (answer.outcome === "bits") return answer;
  log.warn("device_check", { step: "query", outcome: answer.outcome, cause: answer.cause });
  return null;
}
