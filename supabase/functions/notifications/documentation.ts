import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleNotification } from "../_shared/notify/contract.ts";

export default {
  GET: {
    description:
      "Newest first, `limit` at a time (1 to 100, else 20); with `unread=true` those alone that are unread. `title` and `body` " +
      "are in the language of the answer; `type` and `data` are those of the event, of which [the events](events.md) tell. " +
      "`unread` is the number of all that are, for a badge. What is 90 days old is gone, and what was about a job that was deleted.",
    query: { limit: "10" },
    responses: { 200: { notifications: [exampleNotification()], unread: 1, next_cursor: null } },
    walk: { follows: "projects" },
  },
  PATCH: {
    description:
      "Either `ids`, 1 to 100 of them, or `all`. What is not there, or another's, is passed over; a second call changes " +
      "nothing. `unread` is what is left.",
    request: { ids: [exampleIds.notification] },
    responses: { 200: { unread: 0 } },
  },
} satisfies Documentation;
