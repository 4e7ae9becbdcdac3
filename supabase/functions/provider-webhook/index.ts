import { generation } from "../_shared/database/generation.ts";
import { endpoint } from "../_shared/endpoint.ts";
import { platformFetch } from "../_shared/platform-fetch.ts";
import { promptModeration } from "../_shared/moderation/moderation.ts";
import { videoProviders } from "../_shared/providers/registry.ts";
import { storage } from "../_shared/storage.ts";
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
  ports: {
    generation,
    moderation: promptModeration,
    providers: videoProviders,
    storage,
    fetch: platformFetch,
  },
  service: receiveProviderWebhook,
});
