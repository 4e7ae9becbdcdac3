import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { storage } from "../_shared/platform/storage.ts";
import {
  GetAdminJobsQuery,
  GetAdminJobsResponse,
  PostAdminJobsRequest,
  PostAdminJobsResponse,
} from "./schema.ts";
import { readJobs, readPrompt } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "The jobs, newest first, page by page; or all that there is of one",
  auth: "admin",
  policies: ["admin"],
  query: GetAdminJobsQuery,
  response: { 200: GetAdminJobsResponse },
  errors: [codes["resource/not-found"]],
  ports: { database, storage },
  service: readJobs,
}, {
  method: "POST",
  summary: "Reads a job's prompt, which is written down",
  auth: "admin",
  policies: ["admin"],
  request: PostAdminJobsRequest,
  response: { 200: PostAdminJobsResponse },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: readPrompt,
});
