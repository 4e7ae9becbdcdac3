import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { AdminModelsResponse, ChangeModelRequest, ChangeModelResponse } from "./schema.ts";
import { changeModel, listModels } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "Every model, offered or not, and who makes its videos",
  auth: "admin",
  policies: ["admin"],
  response: { 200: AdminModelsResponse },
  errors: [],
  ports: { database },
  service: listModels,
}, {
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
