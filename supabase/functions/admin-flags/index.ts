import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { Flag } from "../_shared/ops/contract.ts";
import { AdminFlags, ChangeFlagRequest } from "./schema.ts";
import { changeFlag, listFlags } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "Every feature flag, with its variants and rules",
  auth: "admin",
  policies: ["admin"],
  response: { 200: AdminFlags },
  errors: [],
  ports: { database },
  service: listFlags,
}, {
  method: "PATCH",
  summary: "Turns a feature flag on or off, or changes whom it is for",
  auth: "admin",
  policies: ["admin"],
  request: ChangeFlagRequest,
  response: { 200: Flag },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: changeFlag,
});
