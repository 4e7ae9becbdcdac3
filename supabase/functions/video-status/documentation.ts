import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleJob } from "../_shared/videos/contract.ts";

export default {
  GET: {
    description:
      "Ask again after `next_poll_seconds`, until it is null: then the job has ended. `video_url` is signed, and has at " +
      "least 10 minutes left; ask for a new one instead of keeping it. A failed job says why in `error`, whose codes are those " +
      "of errors.\n\n" +
      "`status` is `pending` (no provider has it, and none may have it), `processing`, `completed`, `failed` or `cancelled`; the last three " +
      "never change again. `credits_used` is what is held or was paid, less what was given back: 0 for a job that failed or was " +
      "cancelled. `settings` are those used, defaults included.\n\n" +
      "`progress.stage` is `queued` (no provider has it), `submitted` (sent to one that has not started, or has not answered), `generating`, `storing`, or " +
      "`done` (ended, however).",
    query: { job_id: exampleIds.job },
    responses: {
      200: { ...exampleJob(), progress: { stage: "done", percent: 100 }, next_poll_seconds: null },
    },
    isHot: true,
    walk: { follows: "generate-video" },
  },
} satisfies Documentation;
