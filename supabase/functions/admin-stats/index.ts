import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { GetAdminStatsQuery, GetAdminStatsResponse } from "./schema.ts";
import { showStats } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "How the last hour, day or month went, step by step, and how things stand",
  auth: "admin",
  policies: ["admin"],
  query: GetAdminStatsQuery,
  response: { 200: GetAdminStatsResponse },
  errors: [],
  ports: { database },
  service: showStats,
});
