export { GenerateVideoRequest } from "../_shared/videos/video-request.ts";
