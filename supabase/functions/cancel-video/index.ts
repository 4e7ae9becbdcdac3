import { videos } from "../_shared/database/videos.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { videoTaskPorts } from "../_shared/videos/tasks.ts";
import { CancelVideoRequest, CancelVideoResponse } from "./schema.ts";
import { cancelVideo } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Cancels a video: at once while no provider has it, else by the provider's word",
  auth: "user",
  policies: ["writes"],
  request: CancelVideoRequest,
  response: { 200: CancelVideoResponse, 202: CancelVideoResponse },
  errors: ["ERR_4007", "ERR_4009"],
  ports: { database: videos, ...videoTaskPorts },
  service: cancelVideo,
});
