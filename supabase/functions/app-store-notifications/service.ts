import { codes } from "../_shared/errors/error-codes.ts";
import { AppError } from "../_shared/errors/app-error.ts";
import { tryParseJson } from "../_shared/platform/json.ts";
import type { Database } from "../_shared/database/call.ts";
import type { Answer, Context, SignedInput } from "../_shared/endpoint/context.ts";
import { readNotification } from "../_shared/purchases/app-store/notification.ts";
import { type AppStoreNotificationsResponse, NotificationBody, NotificationEffect } from "./schema.ts";

/**
 * Stores what Apple's signature proves to be told about our app, whatever its type, and acknowledges it then. Throws ERR_4005
 * for what is not proved, and ERR_6004 where nothing says which app is ours: Apple sends it again.
 */
export async function receiveNotification(
  { body }: SignedInput<undefined>,
  context: Context<"signed"> & { database: Database },
): Promise<Answer<AppStoreNotificationsResponse>> {
  const { appStore } = context.config;
  if (appStore === null) {
    throw new AppError(codes["feature/switched-off"], { details: { feature: "purchases" } });
  }
  const signed = NotificationBody.safeParse(tryParseJson(new TextDecoder().decode(body))).data;
  if (signed === undefined) throw new AppError(codes["auth/unauthenticated"], { cause: "no signedPayload" });
  const read = await readNotification(signed.signedPayload, appStore, new Date(context.now()));
  if ("refusal" in read) throw new AppError(codes["auth/unauthenticated"], { cause: read.refusal });

  const { notification } = read;
  const args = { p_notification: notification };
  const { effect } = await context.database.call("app_store_notifications", args, NotificationEffect);
  const { notification_id, type, subtype, environment } = notification;
  context.log.info("store_notification", { notification_id, type, subtype, environment, effect });
  return { status: 200, body: { received: true } };
}
