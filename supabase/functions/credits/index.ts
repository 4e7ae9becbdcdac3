import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { CreditsQuery, CreditsResponse } from "./schema.ts";
import { listCredits } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "What the caller has, and what moved it, newest first, page by page",
  auth: "user",
  policies: ["reads"],
  query: CreditsQuery,
  response: { 200: CreditsResponse },
  errors: [],
  ports: { database },
  service: listCredits,
});
