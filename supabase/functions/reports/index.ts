import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { Report } from "../_shared/safety/contract.ts";
import { ReportsRequest } from "./schema.ts";
import { reportVideo } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Tells the operator that a video should not be there",
  auth: "user",
  policies: ["writes"],
  request: ReportsRequest,
  response: { 202: Report },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: reportVideo,
});
