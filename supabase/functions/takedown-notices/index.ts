import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { TakedownNotice } from "../_shared/safety/contract.ts";
import { TakedownNoticesRequest } from "./schema.ts";
import { receiveNotice } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Asks the operator to remove a video, without an account",
  auth: "public",
  policies: ["takedown_notices", "takedown_notices_network"],
  request: TakedownNoticesRequest,
  response: { 202: TakedownNotice },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: receiveNotice,
});
