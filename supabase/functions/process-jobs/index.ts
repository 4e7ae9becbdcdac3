import { generation } from "../_shared/database/generation.ts";
import { endpoint } from "../_shared/endpoint.ts";
import { platformFetch } from "../_shared/platform-fetch.ts";
import { promptModeration } from "../_shared/moderation/moderation.ts";
import { videoProviders } from "../_shared/providers/registry.ts";
import { storage } from "../_shared/storage.ts";
import { ProcessJobsResponse } from "./schema.ts";
import { processJobs } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Wakes the worker, which goes on after the answer",
  auth: "service",
  response: { 202: ProcessJobsResponse },
  errors: [],
  ports: {
    generation,
    moderation: promptModeration,
    providers: videoProviders,
    storage,
    fetch: platformFetch,
  },
  service: processJobs,
});
