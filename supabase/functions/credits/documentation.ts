import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  GET: {
    description:
      "`credits_remaining` can be spent, `credits_held` waits for the videos that run, `credits_owed` is paid by what comes in " +
      "next, and `expiring` covers the next 30 days.\n\n" +
      "`transactions` are what moved `credits_remaining`, newest first, `limit` at a time (1 to 100, else 20); " +
      "`next_cursor` is the `cursor` of the next page, and null on the last. `amount` is signed. A video's `hold` is not followed by " +
      "anything once the video is completed, and by a `release` when it ends otherwise. Read a `kind` that you do not know as " +
      "`other`.",
    query: { limit: "10" },
    responses: {
      200: {
        credits_remaining: 6,
        credits_held: 4,
        credits_owed: 0,
        expiring: [],
        transactions: [{
          id: "0190a000-0000-7000-8000-0000000000a2",
          amount: -4,
          kind: "hold",
          balance_after: 6,
          job_id: exampleIds.job,
          created_at: "2026-11-21T11:58:30.000Z",
        }, {
          id: "0190a000-0000-7000-8000-0000000000a1",
          amount: 10,
          kind: "grant",
          balance_after: 10,
          job_id: null,
          created_at: "2026-11-21T11:58:00.000Z",
        }],
        next_cursor: null,
      },
    },
    walk: { follows: "appeals" },
  },
} satisfies Documentation;
