export { GenerateVideoRequest, isPromptAlone } from "../_shared/videos/video-request.ts";
