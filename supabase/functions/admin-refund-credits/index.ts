import { codes } from "../_shared/errors/error-codes.ts";
import { MovedCredits } from "../_shared/ops/contract.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { RefundCreditsRequest } from "./schema.ts";
import { refundCredits } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Gives a user credits back, for a job or for anything else",
  auth: "admin",
  policies: ["admin", "admin_credits", "replays"],
  idempotencyKey: "required",
  request: RefundCreditsRequest,
  response: { 200: MovedCredits },
  errors: [codes["resource/not-found"], codes["resource/wrong-state"]],
  ports: { database },
  service: refundCredits,
});
