import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { MarkReadRequest, NotificationsQuery, NotificationsResponse, Unread } from "./schema.ts";
import { listNotifications, markRead } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "The caller's inbox, newest first, page by page",
  auth: "user",
  policies: ["reads"],
  query: NotificationsQuery,
  response: { 200: NotificationsResponse },
  errors: [],
  ports: { database },
  service: listNotifications,
}, {
  method: "PATCH",
  summary: "Marks notifications as read",
  auth: "user",
  policies: ["writes"],
  request: MarkReadRequest,
  response: { 200: Unread },
  errors: [],
  ports: { database },
  service: markRead,
});
