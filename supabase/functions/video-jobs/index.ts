import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { storage } from "../_shared/platform/storage.ts";
import { VideoJobsQuery, VideoJobsResponse } from "./schema.ts";
import { listVideoJobs } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "The caller's videos, newest first, page by page",
  auth: "user",
  policies: ["reads"],
  query: VideoJobsQuery,
  response: { 200: VideoJobsResponse },
  errors: [codes["storage/failed"], codes["resource/not-found"]],
  ports: { database, storage },
  service: listVideoJobs,
});
