import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { Policy } from "../_shared/ops/contract.ts";
import { GetAdminLimitsQuery, GetAdminLimitsResponse, PatchAdminLimitsRequest } from "./schema.ts";
import { changeLimit, listLimits } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "The rate limits, and what alerts leave of them",
  auth: "admin",
  policies: ["admin"],
  query: GetAdminLimitsQuery,
  response: { 200: GetAdminLimitsResponse },
  errors: [],
  ports: { database },
  service: listLimits,
}, {
  method: "PATCH",
  summary: "Changes a rate limit",
  auth: "admin",
  policies: ["admin"],
  request: PatchAdminLimitsRequest,
  response: { 200: Policy },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: changeLimit,
});
