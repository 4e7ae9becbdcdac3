import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { SafetyCase } from "../_shared/safety/contract.ts";
import { GetAdminReportsQuery, GetAdminReportsResponse, PatchAdminReportsRequest } from "./schema.ts";
import { decideCase, listCases } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "Videos that somebody objects to, newest first, page by page",
  auth: "admin",
  policies: ["admin"],
  query: GetAdminReportsQuery,
  response: { 200: GetAdminReportsResponse },
  errors: [],
  ports: { database },
  service: listCases,
}, {
  method: "PATCH",
  summary: "Decides about a video that somebody objects to, or about its user's appeal",
  auth: "admin",
  policies: ["admin"],
  request: PatchAdminReportsRequest,
  response: { 200: SafetyCase },
  errors: [codes["resource/not-found"], codes["resource/wrong-state"]],
  ports: { database },
  service: decideCase,
});
