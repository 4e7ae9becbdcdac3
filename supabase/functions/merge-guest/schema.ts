import * as z from "zod/mini";

export const MergeGuestRequest = z.strictObject({
  /** The guest's access token, as Auth gave it; ours have less than 2 kB. */
  guest_token: z.string().check(z.minLength(1), z.maxLength(8_192)),
});
export type MergeGuestRequest = z.infer<typeof MergeGuestRequest>;
