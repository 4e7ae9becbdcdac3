import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { promptModeration } from "../_shared/videos/moderation/moderation.ts";
import { storage, uploadStorage } from "../_shared/platform/storage.ts";
import { videoProviders } from "../_shared/videos/providers/registry.ts";
import { GenerateVideosRequest, GenerateVideosResponse } from "./schema.ts";
import { generateVideos } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Accepts several videos under one key: all of them, or each by itself",
  auth: "user",
  policies: [
    "generation_attempts",
    "generation_attempts_network",
    "uncaptured_jobs",
    "video_generation",
    "replays",
  ],
  idempotencyKey: "required",
  request: GenerateVideosRequest,
  response: { 202: GenerateVideosResponse },
  errors: [
    codes["payment/insufficient-credits"],
    codes["model/not-available"],
    codes["prompt/refused"],
    codes["consent/missing"],
    codes["feature/switched-off"],
    codes["resource/not-found"],
    codes["resource/wrong-state"],
  ],
  ports: {
    database,
    moderation: promptModeration,
    providers: videoProviders,
    storage,
    uploads: uploadStorage,
  },
  service: generateVideos,
});
