import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { webhookWeb } from "../_shared/platform/public-web.ts";
import { WebhookWithSecret } from "../_shared/webhooks/contract.ts";
import {
  ChangeWebhookRequest,
  ChangeWebhookResponse,
  CreateWebhookRequest,
  DeleteWebhookQuery,
  ListWebhooksQuery,
  WebhooksResponse,
} from "./schema.ts";
import { changeWebhook, createWebhook, deleteWebhook, listWebhooks } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "Servers that are told what happens",
  auth: "admin",
  policies: ["admin"],
  query: ListWebhooksQuery,
  response: { 200: WebhooksResponse },
  errors: [],
  ports: { database },
  service: listWebhooks,
}, {
  method: "POST",
  summary: "Has a server told what happens, and shows the secret that it verifies it with",
  auth: "admin",
  policies: ["admin"],
  request: CreateWebhookRequest,
  response: { 201: WebhookWithSecret },
  errors: [codes["resource/wrong-state"], codes["feature/switched-off"]],
  ports: { database, webhookWeb },
  service: createWebhook,
}, {
  method: "PATCH",
  summary: "Changes what a server is told and where, stops it, or gives it another secret",
  auth: "admin",
  policies: ["admin"],
  request: ChangeWebhookRequest,
  response: { 200: ChangeWebhookResponse },
  errors: [codes["resource/not-found"], codes["resource/wrong-state"], codes["feature/switched-off"]],
  ports: { database, webhookWeb },
  service: changeWebhook,
}, {
  method: "DELETE",
  summary: "Tells a server nothing more, and forgets it",
  auth: "admin",
  policies: ["admin"],
  query: DeleteWebhookQuery,
  response: { 204: null },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: deleteWebhook,
});
