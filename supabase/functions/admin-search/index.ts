import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { AdminSearchQuery, AdminSearchResponse } from "./schema.ts";
import { search } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "The users and jobs that somebody's words may name",
  auth: "admin",
  policies: ["admin"],
  query: AdminSearchQuery,
  response: { 200: AdminSearchResponse },
  errors: [],
  ports: { database },
  service: search,
});
