import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  DELETE: {
    description:
      "The job leaves its user's lists and inbox at once, and a worker removes its files. Only ended jobs: others are " +
      "`ERR_4009`, and `cancel-video` comes first; so is one that a running job is made from (`in_use`). What the video cost stays paid.",
    query: { job_id: exampleIds.job },
    walk: { follows: "cancel-video", before: 'until ended "$JOB"; do sleep 1; done' },
  },
} satisfies Documentation;
