import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import {
  GetPurchasesQuery,
  GetPurchasesResponse,
  PostPurchasesRequest,
  PostPurchasesResponse,
} from "./schema.ts";
import { getPurchases, postPurchases } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "To be written: what it does, in one line",
  auth: "user",
  policies: ["reads"],
  query: GetPurchasesQuery,
  response: { 200: GetPurchasesResponse },
  errors: [],
  ports: { database },
  service: getPurchases,
}, {
  method: "POST",
  summary: "To be written: what it does, in one line",
  auth: "user",
  policies: ["writes"],
  request: PostPurchasesRequest,
  response: { 200: PostPurchasesResponse },
  errors: [],
  ports: { database },
  service: postPurchases,
});
