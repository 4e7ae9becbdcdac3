import type { AppleIdentity } from "../_shared/accounts/apple-identity.ts";
import type { Database } from "../_shared/database/call.ts";
import type { Answer, Context, SignedInput } from "../_shared/endpoint/context.ts";
import { AppError } from "../_shared/errors/app-error.ts";
import { codes } from "../_shared/errors/error-codes.ts";
import { tryParseJson } from "../_shared/platform/json.ts";
import {
  type AppleIdentityNotificationsResponse,
  IdentityEffect,
  IdentityNotificationBody,
} from "./schema.ts";

/**
 * Does what Apple's signature proves to be told about an identity, and acknowledges it then. Throws ERR_4005 for what is not
 * proved, and ERR_6004 where nothing says which app is ours or Apple's keys are not to be had: Apple sends it again.
 */
export async function receiveIdentityNotification(
  { body }: SignedInput<undefined>,
  context: Context<"signed"> & { database: Database; appleIdentity: AppleIdentity | null },
): Promise<Answer<AppleIdentityNotificationsResponse>> {
  const off = (cause: string) =>
    new AppError(codes["feature/switched-off"], { details: { feature: "apple_identity" }, cause });
  if (context.appleIdentity === null) throw off("no APPLE_CLIENT_IDS and no APP_STORE_BUNDLE_ID");
  const signed = IdentityNotificationBody.safeParse(tryParseJson(new TextDecoder().decode(body))).data;
  if (signed === undefined) throw new AppError(codes["auth/unauthenticated"], { cause: "no payload" });
  const read = await context.appleIdentity.read(signed.payload);
  if ("unavailable" in read) throw off(read.unavailable);
  if ("refusal" in read) throw new AppError(codes["auth/unauthenticated"], { cause: read.refusal });

  const { notification } = read;
  const args = { p_notification: notification };
  const { effect } = await context.database.call("apple_identity_notifications", args, IdentityEffect);
  const { notification_id, type } = notification;
  context.log.info("store_identity_notification", { notification_id, type, effect });
  return { status: 200, body: { received: true } };
}
