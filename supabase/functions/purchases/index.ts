import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { PresentPurchaseRequest, PurchasesQuery, PurchasesResponse } from "./schema.ts";
import { CreditedPurchase } from "../_shared/purchases/contract.ts";
import { listPurchases, presentPurchase } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "What the caller bought, newest first, page by page",
  auth: "user",
  policies: ["reads"],
  query: PurchasesQuery,
  response: { 200: PurchasesResponse },
  errors: [],
  ports: { database },
  service: listPurchases,
}, {
  method: "POST",
  summary: "Credits a transaction of the App Store, once",
  auth: "user",
  policies: ["purchases", "sandbox_credits", "sandbox_credits_global"],
  request: PresentPurchaseRequest,
  response: { 200: CreditedPurchase },
  errors: [codes["purchase/not-verified"], codes["feature/switched-off"]],
  ports: { database },
  service: presentPurchase,
});
