import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { WebhookDelivery } from "../_shared/webhooks/contract.ts";
import { SendWebhookRequest, WebhookDeliveriesQuery, WebhookDeliveriesResponse } from "./schema.ts";
import { listDeliveries, sendWebhook } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "What a webhook was told, newest first, page by page",
  auth: "admin",
  policies: ["admin"],
  query: WebhookDeliveriesQuery,
  response: { 200: WebhookDeliveriesResponse },
  errors: [],
  ports: { database },
  service: listDeliveries,
}, {
  method: "POST",
  summary: "Tells a webhook once more, or something to try it",
  auth: "admin",
  policies: ["admin"],
  request: SendWebhookRequest,
  response: { 202: WebhookDelivery },
  errors: [codes["resource/not-found"], codes["resource/wrong-state"]],
  ports: { database },
  service: sendWebhook,
});
