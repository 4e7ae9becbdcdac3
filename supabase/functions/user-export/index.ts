import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { AccountExport } from "./schema.ts";
import { postUserExport } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Has a file made of all that is kept of the caller",
  auth: "user",
  policies: ["writes", "exports"],
  response: { 202: AccountExport },
  errors: [],
  ports: { database },
  service: postUserExport,
});
