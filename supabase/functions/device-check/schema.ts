import * as z from "zod";

export const DeviceCheckRequest = z.strictObject({
  /** Apple's tokens have some 2 to 3 kB; they are not specified to stay so. */
  device_token: z.base64().min(1).max(16_384),
  device_id: z.string().min(1).max(100).optional(),
});
export type DeviceCheckRequest = z.infer<typeof DeviceCheckRequest>;

export const DeviceCheckResponse = z.object({
  user_id: z.guid(),
  credits_remaining: z.int().nonnegative(),
  is_new: z.boolean(),
  initial_grant: z.object({
    status: z.enum(["granted", "already_claimed", "pending"]),
    credits: z.int().nonnegative(),
  }),
});
export type DeviceCheckResponse = z.infer<typeof DeviceCheckResponse>;
