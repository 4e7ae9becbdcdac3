import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { GetAdminErrorsQuery, GetAdminErrorsResponse } from "./schema.ts";
import { listErrors } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "What went wrong, newest first, page by page",
  auth: "admin",
  policies: ["admin"],
  query: GetAdminErrorsQuery,
  response: { 200: GetAdminErrorsResponse },
  errors: [],
  ports: { database },
  service: listErrors,
});
