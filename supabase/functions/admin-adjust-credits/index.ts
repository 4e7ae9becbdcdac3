import { MovedCreditsResponse } from "../_shared/ops/contract.ts";
import { admin } from "../_shared/database/admin.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { AdjustCreditsRequest } from "./schema.ts";
import { adjustCredits } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Adds credits to a user's or takes some away, never below zero",
  auth: "admin",
  policies: ["admin", "admin_credits"],
  idempotencyKey: "required",
  request: AdjustCreditsRequest,
  response: { 200: MovedCreditsResponse },
  errors: ["ERR_4001", "ERR_4007", "ERR_4009"],
  ports: { database: admin },
  service: adjustCredits,
});
