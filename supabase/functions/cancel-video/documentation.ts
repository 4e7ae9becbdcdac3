import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { examplePendingJob } from "../_shared/videos/contract.ts";

export default {
  POST: {
    description:
      "A `pending` job is cancelled at once, and its credits are back: 200. One that a provider has is answered " +
      "as it is, with 202: the provider is asked, and only its word cancels the job; if the video comes all the same, it " +
      "is completed and paid. A second call answers the same; `cancel_requested_at` shows that it was asked. A job that is being stored, or has ended otherwise, is `ERR_4009`.",
    request: { job_id: exampleIds.job },
    responses: {
      200: {
        ...examplePendingJob(),
        status: "cancelled",
        credits_used: 0,
        cancel_requested_at: "2026-11-21T11:58:40.000Z",
        completed_at: "2026-11-21T11:58:40.000Z",
      },
      202: {
        ...examplePendingJob(),
        status: "processing",
        cancel_requested_at: "2026-11-21T11:58:40.000Z",
      },
    },
    walk: {
      follows: "purchases",
      before: 'until ended "$JOB"; do sleep 1; done\nCOMPLETED_JOB=$JOB JOB=$(new_video my-second-video)',
    },
  },
} satisfies Documentation;
