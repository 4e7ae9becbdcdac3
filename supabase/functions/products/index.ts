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
  cacheControl: "private, max-age=60",
  ports: { database },
  service: listProducts,
});
