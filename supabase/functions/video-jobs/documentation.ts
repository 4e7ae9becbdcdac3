import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleJob } from "../_shared/videos/contract.ts";

export default {
  GET: {
    description:
      "Newest first, `limit` at a time (1 to 100, else 20), of one `status` or of all, of one `client_reference` or of any, of one `project_id` (`ERR_4007` where the caller has no such project) or of all; deleted videos are absent. " +
      "`next_cursor` is the `cursor` of the next page, and null on the last. Newer videos move no page. " +
      "Each `video_url` is signed, and has at least 10 minutes left; where the URLs of 24 hours are used up it is null, and " +
      "`retry_after` of the job says for how long.",
    query: { limit: "10", status: "completed" },
    responses: { 200: { jobs: [exampleJob()], next_cursor: null } },
    walk: { follows: "video-status" },
  },
} satisfies Documentation;
