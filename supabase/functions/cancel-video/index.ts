import { generation } from "../_shared/database/generation.ts";
import { videos } from "../_shared/database/videos.ts";
import { endpoint } from "../_shared/endpoint.ts";
import { platformFetch } from "../_shared/platform-fetch.ts";
import { promptModeration } from "../_shared/moderation/moderation.ts";
import { videoProviders } from "../_shared/providers/registry.ts";
import { storage } from "../_shared/storage.ts";
import { CancelVideoRequest, CancelVideoResponse } from "./schema.ts";
import { cancelVideo } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Cancels a video: at once while no provider has it, else by the provider's word",
  auth: "user",
  policies: ["writes"],
  request: CancelVideoRequest,
  response: { 200: CancelVideoResponse, 202: CancelVideoResponse },
  errors: ["ERR_4007", "ERR_4009"],
  ports: {
    database: videos,
    generation,
    moderation: promptModeration,
    providers: videoProviders,
    storage,
    fetch: platformFetch,
  },
  service: cancelVideo,
});
