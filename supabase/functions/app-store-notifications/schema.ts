import * as z from "zod/mini";

/** To be written: what the request has. */
export const AppStoreNotificationsRequest = z.strictObject({});
export type AppStoreNotificationsRequest = z.infer<typeof AppStoreNotificationsRequest>;

/** To be written: what the answer has. */
export const AppStoreNotificationsResponse = z.object({});
export type AppStoreNotificationsResponse = z.infer<typeof AppStoreNotificationsResponse>;
