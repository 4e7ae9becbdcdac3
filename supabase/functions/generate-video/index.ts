import { codes } from "../_shared/errors/error-codes.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { database } from "../_shared/database/call.ts";
import { storage, uploadStorage } from "../_shared/platform/storage.ts";
import { AcceptedVideo } from "../_shared/videos/contract.ts";
import { promptModeration } from "../_shared/videos/moderation/moderation.ts";
import { videoProviders } from "../_shared/videos/providers/registry.ts";
import { GenerateVideoRequest } from "./schema.ts";
import { generateVideo } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Accepts a video, holds its price and begins to generate it",
  auth: "user",
  policies: [
    "generation_attempts",
    "generation_attempts_network",
    "uncaptured_jobs",
    "video_generation",
    "replays",
  ],
  idempotencyKey: "required",
  request: GenerateVideoRequest,
  response: { 202: AcceptedVideo },
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
  service: generateVideo,
});
