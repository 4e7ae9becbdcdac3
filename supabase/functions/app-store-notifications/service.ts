import { type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { type AppStoreNotificationsRequest, AppStoreNotificationsResponse } from "./schema.ts";

/** To be written: what it promises. */
export async function postAppStoreNotifications(
  request: AppStoreNotificationsRequest,
  context: Context<"public"> & { database: Database },
): Promise<Answer<AppStoreNotificationsResponse>> {
  const args = { ...fields(request) };
  return {
    status: 200,
    body: await context.database.call("app_store_notifications", args, AppStoreNotificationsResponse),
  };
}
