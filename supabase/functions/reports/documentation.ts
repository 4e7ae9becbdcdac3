import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "Of any video whose id the caller knows, their own too. `details` has 1 to 2,000 characters, lines among them. A second " +
      "report of the same video answers the first. It hides nothing: the operator decides. `ERR_4007` for a video that is not " +
      "there, not made yet, or deleted.",
    request: { job_id: exampleIds.job, reason: "real_person", details: "This is my neighbour" },
    responses: {
      202: {
        report_id: exampleIds.report,
        job_id: exampleIds.job,
        reason: "real_person",
        created_at: "2026-11-21T12:25:00.000Z",
      },
    },
    walk: { follows: "video-jobs", before: 'until ended "$JOB"; do sleep 1; done' },
  },
} satisfies Documentation;
