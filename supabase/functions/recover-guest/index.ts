import { MergedGuest } from "../_shared/accounts/contract.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { codes } from "../_shared/errors/error-codes.ts";
import { RecoverGuestRequest } from "./schema.ts";
import { recoverGuest } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Makes the guest that the caller's Apple Account was a part of the caller, a new guest",
  auth: "user",
  policies: ["writes"],
  request: RecoverGuestRequest,
  response: { 200: MergedGuest },
  errors: [
    codes["resource/not-found"],
    codes["resource/wrong-state"],
    codes["purchase/not-verified"],
    codes["feature/switched-off"],
  ],
  ports: { database },
  service: recoverGuest,
});
