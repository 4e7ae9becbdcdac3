import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { ofrepError } from "../_shared/ops/ofrep.ts";
import { EvaluatedFlag, EvaluatedFlags, FlagsRequest } from "./schema.ts";
import { evaluateFlag, evaluateFlags } from "./service.ts";

export default endpoint({
  method: "POST",
  path: "ofrep/v1/evaluate/flags",
  summary: "What every feature flag is for the caller, by OFREP",
  auth: "user",
  policies: ["reads"],
  request: FlagsRequest,
  response: { 200: EvaluatedFlags, 304: null },
  errors: [],
  errorMembers: ofrepError,
  ports: { database },
  service: evaluateFlags,
}, {
  method: "POST",
  path: "ofrep/v1/evaluate/flags/{key}",
  summary: "What a feature flag is for the caller, by OFREP",
  auth: "user",
  policies: ["reads"],
  request: FlagsRequest,
  response: { 200: EvaluatedFlag },
  errors: [codes["resource/not-found"]],
  errorMembers: ofrepError,
  ports: { database },
  service: evaluateFlag,
});
