import * as z from "zod/mini";
import { optional } from "../_shared/request/validation.ts";

export const DeviceCheckRequest = z.strictObject({
  /** Apple's tokens have some 2 to 3 kB; they are not specified to stay so. */
  device_token: z.base64().check(z.minLength(1), z.maxLength(16_384)),
  /** StoreKit's `AppTransaction`, by which a guest whose session is lost is found again. */
  signed_app_transaction: optional(z.string().check(z.minLength(1), z.maxLength(32_768))),
  device_id: optional(z.string().check(z.minLength(1), z.maxLength(100))),
});
export type DeviceCheckRequest = z.infer<typeof DeviceCheckRequest>;

export const DeviceCheckResponse = z.object({
  user_id: z.guid(),
  /** What the app gives the App Store with each purchase: whoever has it can buy for this user. */
  app_account_token: z.guid(),
  credits_remaining: z.int().check(z.nonnegative()),
  is_new: z.boolean(),
  initial_grant: z.object({
    status: z.enum(["granted", "already_claimed", "pending"]),
    credits: z.int().check(z.nonnegative()),
    /** Why it is pending, and in how many seconds another check may settle it. */
    reason: z.optional(z.enum(["apple_unavailable", "busy", "network_limit", "app_transaction_missing"])),
    retry_after: z.optional(z.int().check(z.positive())),
  }),
});
export type DeviceCheckResponse = z.infer<typeof DeviceCheckResponse>;
