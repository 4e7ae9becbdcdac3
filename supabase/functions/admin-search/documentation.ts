import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  GET: {
    description:
      "What a user sends with a complaint is looked up as all that it may be, at once. A user: their id, its first 8 digits or more, the " +
      "`reference` in the paths of their files, or their e-mail address (the whole of it, in either case; not of single sign-on). A job: " +
      "its id, the id of the request that made it, or the app's own name for it. Jobs are shown without their prompt, those too that " +
      "their user has deleted; 20 of each at most, jobs newest first. Nothing that fits is two empty lists.",
    query: { query: "draft-7" },
    responses: {
      200: {
        users: [],
        jobs: [{
          job_id: exampleIds.job,
          user_id: exampleIds.user,
          status: "completed",
          matched: "client_reference",
          created_at: "2026-11-21T11:58:30.000Z",
        }],
      },
    },
  },
} satisfies Documentation;
