import { MergedGuest } from "../_shared/accounts/contract.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { codes } from "../_shared/errors/error-codes.ts";
import { MergeGuestRequest } from "./schema.ts";
import { mergeGuest } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Makes a guest a part of the caller, who has signed in to an account of their own",
  auth: "user",
  policies: ["writes"],
  request: MergeGuestRequest,
  response: { 200: MergedGuest },
  errors: [codes["auth/forbidden"], codes["resource/wrong-state"]],
  ports: { database },
  service: mergeGuest,
});
