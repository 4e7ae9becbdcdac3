import * as z from "zod/mini";

/** What Apple sends, version 2. It may send more. */
export const NotificationBody = z.object({ signedPayload: z.string() });

/** What was done with it: `stored` is acted upon later, `replayed` was known before. */
export const NotificationEffect = z.object({ effect: z.enum(["handled", "stored", "replayed"]) });
export type NotificationEffect = z.infer<typeof NotificationEffect>;

export const AppStoreNotificationsResponse = z.object({ received: z.literal(true) });
export type AppStoreNotificationsResponse = z.infer<typeof AppStoreNotificationsResponse>;
