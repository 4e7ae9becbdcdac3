import { codes } from "../_shared/errors/error-codes.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { Job } from "../_shared/videos/contract.ts";
import { videoTaskPorts } from "../_shared/videos/tasks.ts";
import { CancelVideoRequest } from "./schema.ts";
import { cancelVideo } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Cancels a video: at once while no provider has it, else by the provider's word",
  auth: "user",
  policies: ["writes"],
  request: CancelVideoRequest,
  response: { 200: Job, 202: Job },
  errors: [codes["resource/not-found"], codes["resource/wrong-state"]],
  ports: videoTaskPorts,
  service: cancelVideo,
});
