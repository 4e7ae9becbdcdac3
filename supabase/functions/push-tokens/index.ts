import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { PushTokensQuery, PushTokensRequest } from "./schema.ts";
import { registerToken, removeToken } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Has a device told of what happens to the caller",
  auth: "user",
  policies: ["writes"],
  request: PushTokensRequest,
  response: { 204: null },
  errors: [],
  ports: { database },
  service: registerToken,
}, {
  method: "DELETE",
  summary: "Tells a device nothing any more",
  auth: "user",
  policies: ["writes"],
  query: PushTokensQuery,
  response: { 204: null },
  errors: [],
  ports: { database },
  service: removeToken,
});
