import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { ProductsResponse } from "./schema.ts";
import { listProducts } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "What is sold now, with the credits that it brings",
  auth: "user",
  policies: ["reads"],
  response: { 200: ProductsResponse, 304: null },
  errors: [],
  // A change of the operator's is seen within a minute. While the database is away, an old one does no harm: whoever acts on it needs the database.
  cache: { maxAgeSeconds: 60, staleIfErrorSeconds: 3600 },
  ports: { database },
  service: listProducts,
});
