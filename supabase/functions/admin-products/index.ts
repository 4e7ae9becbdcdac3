import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { AddProductRequest, AdminProduct, ChangeProductRequest, ListProductsResponse } from "./schema.ts";
import { addProduct, changeProduct, listProducts } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "What is sold, and the purchases that wait for a product",
  auth: "admin",
  policies: ["admin"],
  response: { 200: ListProductsResponse },
  errors: [],
  ports: { database },
  service: listProducts,
}, {
  method: "POST",
  summary: "Adds a product, and has credited what waits for it",
  auth: "admin",
  policies: ["admin"],
  request: AddProductRequest,
  response: { 201: AdminProduct },
  errors: [codes["resource/wrong-state"]],
  ports: { database },
  service: addProduct,
}, {
  method: "PATCH",
  summary: "Changes a product, or takes it off",
  auth: "admin",
  policies: ["admin"],
  request: ChangeProductRequest,
  response: { 200: AdminProduct },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: changeProduct,
});
