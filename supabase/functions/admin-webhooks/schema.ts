import * as z from "zod/mini";
import { Reason } from "../_shared/ops/contract.ts";
import { optional } from "../_shared/request/validation.ts";
import { EventPatterns, Webhook, WebhookId, WebhookUrl } from "../_shared/webhooks/contract.ts";

export const ListWebhooksQuery = z.strictObject({});
export type ListWebhooksQuery = z.infer<typeof ListWebhooksQuery>;

export const WebhooksResponse = z.object({ webhooks: z.array(Webhook) });
export type WebhooksResponse = z.infer<typeof WebhooksResponse>;

export const CreateWebhookRequest = z.strictObject({ url: WebhookUrl, types: EventPatterns, reason: Reason });
export type CreateWebhookRequest = z.infer<typeof CreateWebhookRequest>;

export const ChangeWebhookRequest = z.strictObject({
  webhook_id: WebhookId,
  url: optional(WebhookUrl),
  types: optional(EventPatterns),
  is_enabled: optional(z.boolean()),
  /** A new secret, beside which the one before signs for another 24 hours. */
  rotate_secret: optional(z.boolean()),
  reason: Reason,
});
export type ChangeWebhookRequest = z.infer<typeof ChangeWebhookRequest>;

/** With the secret, where it is a new one. */
export const ChangeWebhookResponse = z.extend(Webhook, { secret: z.optional(z.string()) });
export type ChangeWebhookResponse = z.infer<typeof ChangeWebhookResponse>;

export const DeleteWebhookQuery = z.strictObject({ webhook_id: WebhookId, reason: Reason });
export type DeleteWebhookQuery = z.infer<typeof DeleteWebhookQuery>;

export const DeletedWebhook = z.object({ webhook_id: z.guid() });
