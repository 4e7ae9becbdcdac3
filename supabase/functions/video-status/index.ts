import { codes } from "../_shared/errors/error-codes.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { database } from "../_shared/database/call.ts";
import { storage } from "../_shared/platform/storage.ts";
import { VideoStatusQuery, VideoStatusResponse } from "./schema.ts";
import { getVideoStatus } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "How far a video is, and where it can be watched",
  auth: "user",
  policies: ["reads"],
  query: VideoStatusQuery,
  response: { 200: VideoStatusResponse },
  errors: [codes["resource/not-found"], codes["storage/failed"]],
  ports: { database, storage },
  service: getVideoStatus,
});
