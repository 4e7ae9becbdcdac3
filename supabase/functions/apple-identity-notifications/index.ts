import { appleIdentity } from "../_shared/accounts/apple-identity.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { codes } from "../_shared/errors/error-codes.ts";
import { AppleIdentityNotificationsResponse } from "./schema.ts";
import { receiveIdentityNotification } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Apple reports what became of somebody's Sign in with Apple",
  auth: "signed",
  // One signed part, of some 1 kB.
  rawBody: { maxBytes: 16 * 1024 },
  response: { 200: AppleIdentityNotificationsResponse },
  errors: [codes["feature/switched-off"]],
  ports: { appleIdentity, database },
  service: receiveIdentityNotification,
});
