import { type Documentation, exampleIds, exampleJob } from "../_shared/documentation.ts";

export default {
  GET: {
    description:
      "Ask again after `next_poll_seconds`, until it is null: then the job has ended. `video_url` is signed, and has at " +
      "least 10 minutes left; ask for a new one instead of keeping it. A failed job says why in `error`, whose codes are those " +
      "of errors; its credits are back, and `credits_used` is 0.\n\n" +
      "`progress.stage` is `queued` (no provider has it), `submitted` (one has it, and has not started), `generating`, `storing`, or " +
      "`done` (ended, however). Read a `status` that you do not know as `processing`.",
    query: { job_id: exampleIds.job },
    responses: {
      200: { ...exampleJob, progress: { stage: "done", percent: 100 }, next_poll_seconds: null },
    },
  },
} satisfies Documentation;
