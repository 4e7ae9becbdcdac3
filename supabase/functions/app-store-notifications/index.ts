import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { AppStoreNotificationsResponse } from "./schema.ts";
import { receiveNotification } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "The App Store reports what became of a purchase",
  auth: "signed",
  // Two or three signed parts, of some 5 kB each.
  rawBody: { maxBytes: 128 * 1024 },
  response: { 200: AppStoreNotificationsResponse },
  errors: [codes["feature/switched-off"]],
  ports: { database },
  service: receiveNotification,
});
