import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { database } from "../_shared/database/call.ts";
import { ModelsResponse } from "./schema.ts";
import { listModels } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "The models that can be used now, with their options and prices",
  auth: "user",
  policies: ["reads"],
  response: { 200: ModelsResponse, 304: null },
  errors: [],
  // A change of the operator's is seen within a minute. While the database is away, an old one does no harm: whoever acts on it needs the database.
  cache: { maxAgeSeconds: 60, staleIfErrorSeconds: 3600 },
  ports: { database },
  service: listModels,
});
