import { endpoint } from "../_shared/endpoint.ts";
import { videoTaskPorts } from "../_shared/videos/tasks.ts";
import { ProviderWebhookQuery, ProviderWebhookResponse } from "./schema.ts";
import { receiveProviderWebhook } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "A provider reports what became of a submission",
  auth: "signed",
  query: ProviderWebhookQuery,
  // A result's description; fal's are some kB, and it sends no media.
  rawBody: { maximumBytes: 256 * 1024 },
  response: { 200: ProviderWebhookResponse },
  errors: [],
  ports: videoTaskPorts,
  service: receiveProviderWebhook,
});
