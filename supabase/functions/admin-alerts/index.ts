import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import {
  GetAdminAlertsQuery,
  GetAdminAlertsResponse,
  PatchAdminAlertsRequest,
  PatchAdminAlertsResponse,
} from "./schema.ts";
import { changeAlerts, listAlerts } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "What waits for the operator, page by page, by which rules, and what was away",
  auth: "admin",
  policies: ["admin"],
  query: GetAdminAlertsQuery,
  response: { 200: GetAdminAlertsResponse },
  errors: [],
  ports: { database },
  service: listAlerts,
}, {
  method: "PATCH",
  summary: "Acknowledges an alert, or changes a rule",
  auth: "admin",
  policies: ["admin"],
  request: PatchAdminAlertsRequest,
  response: { 200: PatchAdminAlertsResponse },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: changeAlerts,
});
