import { MovedCredits } from "../_shared/ops/contract.ts";
import { database } from "../_shared/database/call.ts";
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
  response: { 200: MovedCredits },
  errors: ["ERR_4001", "ERR_4007", "ERR_4009"],
  ports: { database },
  service: adjustCredits,
});
