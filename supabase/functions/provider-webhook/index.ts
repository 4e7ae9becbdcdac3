import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { videoTaskPorts } from "../_shared/videos/tasks.ts";
import { ProviderWebhookQuery, ProviderWebhookResponse } from "./schema.ts";
import { admitProviderWebhook, receiveProviderWebhook } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "A provider reports what became of a submission",
  auth: "signed",
  query: ProviderWebhookQuery,
  admit: admitProviderWebhook,
  // A result's description is some kB; Replicate's has the model's whole log beside it. Of what is longer still, polls tell.
  rawBody: { maxBytes: 4 * 1024 * 1024 },
  response: { 200: ProviderWebhookResponse },
  errors: [],
  ports: videoTaskPorts,
  service: receiveProviderWebhook,
});
