import * as z from "zod/mini";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";
import { optional } from "../_shared/request/validation.ts";
import { DeliveryStatus, WebhookDelivery, WebhookId } from "../_shared/webhooks/contract.ts";

export const WebhookDeliveriesQuery = z.strictObject({
  ...pageQuery,
  webhook_id: WebhookId,
  status: z.optional(DeliveryStatus),
});
export type WebhookDeliveriesQuery = z.infer<typeof WebhookDeliveriesQuery>;

/** What a cursor holds: the last delivery that was shown. */
export const DeliveriesPosition = z.strictObject({ created_at: positionTime, id: z.uuid() });

/** A page as the database tells it, with where the next one begins; null at the end. */
export const DeliveriesPage = z.object({
  deliveries: z.array(WebhookDelivery),
  next: z.nullable(DeliveriesPosition),
});
export type DeliveriesPage = z.infer<typeof DeliveriesPage>;

export const WebhookDeliveriesResponse = z.object({
  deliveries: z.array(WebhookDelivery),
  next_cursor: z.nullable(z.string()),
});
export type WebhookDeliveriesResponse = z.infer<typeof WebhookDeliveriesResponse>;

export const SendWebhookRequest = z.strictObject({
  /** Sent once more; else a test is sent to a webhook. */
  delivery_id: optional(z.guid().check(z.toLowerCase())),
  webhook_id: optional(WebhookId),
  test: optional(z.literal(true)),
}).check(
  z.refine(
    ({ delivery_id, webhook_id, test }) =>
      delivery_id === undefined
        ? webhook_id !== undefined && test === true
        : webhook_id === undefined && test === undefined,
    { path: ["delivery_id"], error: "Must be there, or webhook_id with test" },
  ),
);
export type SendWebhookRequest = z.infer<typeof SendWebhookRequest>;
