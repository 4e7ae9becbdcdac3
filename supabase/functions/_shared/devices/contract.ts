/** What the procedures of a device check tell, in the order in which it calls them. */
import * as z from "zod/mini";

const credits = z.int().check(z.nonnegative());
const seconds = z.int().check(z.nonnegative());

export const DeviceCheckBegun = z.object({
  user_id: z.guid(),
  app_account_token: z.guid(),
  credits_remaining: credits,
  /** This call made the account. */
  is_new: z.boolean(),
  is_granted: z.boolean(),
  /**
   * Seconds until this check may rely on the intent of an earlier one, which set a device's bit for this user or died
   * before; null without one.
   */
  intent_good_in: z.nullable(seconds),
});
export type DeviceCheckBegun = z.infer<typeof DeviceCheckBegun>;

export const LaneEntered = z.object({
  /** Null where another check of the network is in the lane, for so many seconds at most. */
  lane: z.nullable(z.uuid()),
  retry_after: z.nullable(seconds),
});
export type LaneEntered = z.infer<typeof LaneEntered>;

export const IntentRecorded = z.object({
  /** False where the bit must stay as it is: for a user who was granted meanwhile, or for a reason to come again. */
  recorded: z.boolean(),
  is_granted: z.boolean(),
  reason: z.optional(z.enum(["busy", "network_limit"])),
  retry_after: z.optional(seconds),
});
export type IntentRecorded = z.infer<typeof IntentRecorded>;

export const GrantedCredits = z.object({
  /** Of this call; 0 where another had granted them. */
  credits,
  credits_remaining: credits,
});
export type GrantedCredits = z.infer<typeof GrantedCredits>;
