import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { ChangeModelRequest, ChangeModelResponse } from "./schema.ts";
import { changeModel } from "./service.ts";

export default endpoint({
  method: "PATCH",
  summary: "Offers a model, or takes it out of the catalogue",
  auth: "admin",
  policies: ["admin"],
  request: ChangeModelRequest,
  response: { 200: ChangeModelResponse },
  errors: [codes["model/not-available"]],
  ports: { database },
  service: changeModel,
});
