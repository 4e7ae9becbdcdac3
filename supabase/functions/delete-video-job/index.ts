import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { DeleteVideoJobQuery } from "./schema.ts";
import { deleteVideoJob } from "./service.ts";

export default endpoint({
  method: "DELETE",
  summary: "Deletes an ended video; its files are removed afterwards",
  auth: "user",
  policies: ["writes"],
  query: DeleteVideoJobQuery,
  response: { 204: null },
  errors: [codes["resource/not-found"], codes["resource/wrong-state"]],
  ports: { database },
  service: deleteVideoJob,
});
