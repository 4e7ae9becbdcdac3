import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import { WebhookDelivery } from "../_shared/webhooks/contract.ts";
import {
  DeliveriesPage,
  DeliveriesPosition,
  type SendWebhookRequest,
  type WebhookDeliveriesQuery,
  type WebhookDeliveriesResponse,
} from "./schema.ts";

type AdminContext = Context<"admin"> & { database: Database };

/** A page of what a webhook was told, or is to be told. */
export async function listDeliveries(
  { cursor, ...list }: WebhookDeliveriesQuery,
  { caller, database }: AdminContext,
): Promise<Answer<WebhookDeliveriesResponse>> {
  const args = {
    ...fields(list),
    p_admin_id: caller.userId,
    p_session_id: caller.sessionId,
    p_after: readCursor(DeliveriesPosition, cursor),
  };
  const { deliveries, next } = await database.call("get_admin_webhook_deliveries", args, DeliveriesPage);
  return { status: 200, body: { deliveries, next_cursor: writeCursor(next) } };
}

/**
 * Sends a delivery once more, or a test, when the worker comes to it. Throws ERR_4007 where there is no such delivery or webhook,
 * and ERR_4009 where the webhook is disabled.
 */
export async function sendWebhook(
  request: SendWebhookRequest,
  context: AdminContext,
): Promise<Answer<WebhookDelivery>> {
  const args = { ...fields(request), ...admin(context) };
  return {
    status: 202,
    body: await context.database.call("post_admin_webhook_deliveries", args, WebhookDelivery),
  };
}
