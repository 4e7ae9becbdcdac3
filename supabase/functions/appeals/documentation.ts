import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "Of a job whose `error` is `ERR_4022` and whose `details.appeal` is `possible`; it then says what becomes of it: `open`, `granted` or " +
      "`rejected`. A suspended user may appeal, as long as their token lives. `statement` has 1 to 2,000 characters; the same words " +
      "again are the same appeal. `ERR_4009` with `completed` where nothing was removed, `appealed` where other words were said " +
      "before, `removed` where that was rejected, `restored` where it was granted.",
    request: { job_id: exampleIds.job, statement: "The person in it is me" },
    responses: { 202: { job_id: exampleIds.job, status: "appealed" } },
    walk: { follows: "reports", refused: 409 },
  },
} satisfies Documentation;
