import { codes } from "../_shared/errors/error-codes.ts";
import { MovedCredits } from "../_shared/ops/contract.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { AdjustCreditsRequest } from "./schema.ts";
import { adjustCredits } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Adds credits to a user's or takes some away, never below zero",
  auth: "admin",
  policies: ["admin", "admin_credits", "replays"],
  idempotencyKey: "required",
  request: AdjustCreditsRequest,
  response: { 200: MovedCredits },
  errors: [codes["payment/insufficient-credits"], codes["resource/not-found"], codes["resource/wrong-state"]],
  ports: { database },
  service: adjustCredits,
});
