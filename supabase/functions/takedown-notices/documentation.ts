import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "For a form on a web page, for whoever sees themselves or their work in a video. The id stands in the video's address. `contact` has " +
      "3 to 200 characters, `statement` 1 to 4,000. The operator decides within 48 hours, by `due_at`; until then nothing changes, " +
      "however many notices there are. The same notice again answers the first. `ERR_4007` for a video that is not there, not made " +
      "yet, or deleted.",
    request: {
      job_id: exampleIds.job,
      contact: "ada@example.com",
      statement: "This video shows my face, and I never agreed to it.",
    },
    responses: {
      202: {
        notice_id: exampleIds.notice,
        job_id: exampleIds.job,
        received_at: "2026-11-21T12:30:00.000Z",
        due_at: "2026-11-23T12:30:00.000Z",
      },
    },
  },
} satisfies Documentation;
