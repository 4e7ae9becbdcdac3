import * as z from "zod/mini";

/** What Apple sends. It may send more. */
export const IdentityNotificationBody = z.object({ payload: z.string() });

/**
 * What was done: the identity was taken from its user, the account closed, or it is only known now. `outdated`: its user has
 * signed in with Apple since. `nobody`: no account is meant. `replayed`: it was known before.
 */
export const IdentityEffect = z.object({
  effect: z.enum(["unlinked", "closed", "noted", "outdated", "nobody", "replayed"]),
});

export const AppleIdentityNotificationsResponse = z.object({ received: z.literal(true) });
export type AppleIdentityNotificationsResponse = z.infer<typeof AppleIdentityNotificationsResponse>;
