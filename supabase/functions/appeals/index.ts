import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { Appeal } from "../_shared/safety/contract.ts";
import { AppealsRequest } from "./schema.ts";
import { appealRemoval } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Objects to the removal of one's own video, once",
  auth: "user",
  policies: ["writes"],
  request: AppealsRequest,
  response: { 202: Appeal },
  errors: [codes["resource/not-found"], codes["resource/wrong-state"]],
  ports: { database },
  service: appealRemoval,
});
