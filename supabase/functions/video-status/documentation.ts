import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleJob } from "../_shared/videos/contract.ts";

export default {
  GET: {
    description:
      "Ask again after `next_poll_seconds`, until it is null: then the job has ended. It grows with the job's age and with the number " +
      "of jobs that run: whoever obeys it for each stays within half of `reads`. `video_url` is signed, and has at " +
      "least 10 minutes left; ask for a new one instead of keeping it. Whoever has had 200 renewed in 24 hours gets null, and " +
      "`retry_after` in the job says in how many seconds there is one again. `thumbnail_url` is signed with it where the provider made a " +
      "picture, as some of fal's and Replicate's models do; else it is null, and the app shows the video's first frame. A failed job says why in `error`, whose codes are those " +
      "of errors.\n\n" +
      "`status` is `pending` (no provider has it, and none may have it), `processing`, `completed`, `failed` or `cancelled`; the last three " +
      "never change again. `credits_used` is what is held or was paid, less what was given back: 0 for a job that failed or was " +
      "cancelled. `settings` are those used, defaults included. `client_reference` is what the app gave, `cancel_requested_at` when " +
      "cancelling was asked for.\n\n" +
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
