import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { AppStoreNotificationsRequest, AppStoreNotificationsResponse } from "./schema.ts";
import { postAppStoreNotifications } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "To be written: what it does, in one line",
  auth: "public",
  request: AppStoreNotificationsRequest,
  response: { 200: AppStoreNotificationsResponse },
  errors: [],
  ports: { database },
  service: postAppStoreNotifications,
});
