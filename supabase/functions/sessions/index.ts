import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { codes } from "../_shared/errors/error-codes.ts";
import { DeleteSessionsQuery, DeleteSessionsResponse, GetSessionsResponse } from "./schema.ts";
import { deleteSessions, getSessions } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "Where the caller is signed in",
  auth: "user",
  policies: ["reads"],
  response: { 200: GetSessionsResponse },
  errors: [],
  ports: { database },
  service: getSessions,
}, {
  method: "DELETE",
  summary: "Ends one of the caller's sessions, or all others, at once",
  auth: "user",
  policies: ["writes"],
  query: DeleteSessionsQuery,
  response: { 200: DeleteSessionsResponse, 204: null },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: deleteSessions,
});
