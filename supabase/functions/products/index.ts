import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { ProductsQuery, ProductsResponse } from "./schema.ts";
import { getProducts } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "To be written: what it does, in one line",
  auth: "user",
  policies: ["reads"],
  query: ProductsQuery,
  response: { 200: ProductsResponse },
  errors: [],
  ports: { database },
  service: getProducts,
});
