import type { Documentation } from "../_shared/endpoint/documentation.ts";

export default {
  POST: {
    description:
      "A worker writes a JSON file: the list of the user's videos, and every row that the database has of them, by table. " +
      "Once it is `ready`, `export` of `user-profile` has its URL, for 7 days. Once a day (`exports`); while one is `pending` the " +
      "answer is that one, and one that `failed` does not count. The videos themselves come from `video-status`.",
    responses: {
      202: {
        status: "pending",
        requested_at: "2026-11-21T12:20:00.000Z",
        url: null,
        bytes: null,
        expires_at: null,
      },
    },
    walk: { follows: "recover-guest" },
  },
} satisfies Documentation;
