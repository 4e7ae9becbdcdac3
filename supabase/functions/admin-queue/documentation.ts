import type { Documentation } from "../_shared/endpoint/documentation.ts";

const task = {
  task_id: 4711,
  kind: "delete_files",
  subject: "0190a6f0-1c2d-7e3f-8a4b-5c6d7e8f9a0b",
  owner_id: "8d2f5b1e-0c37-4a86-9a51-2f6f1f8f4c20",
  request_id: null,
  attempts: 10,
  last_error: "storage answered 503",
  run_at: "2026-11-21T12:00:00.000Z",
  failed_at: "2026-11-21T12:00:00.000Z",
  created_at: "2026-11-21T08:00:00.000Z",
};

export default {
  GET: {
    description:
      "`tasks` are the dead letters, the newest first: tasks that have used all their tries, with what went wrong last. `kind` names those of " +
      "one kind. `kinds` are all of them with what the queue has of each: what is `due` and for how long the oldest has been, what a worker " +
      "has (`running`), and how many are `dead`.",
    query: { limit: "10", kind: "delete_files" },
    responses: {
      200: {
        kinds: [{ kind: "delete_files", due: 2, running: 1, dead: 1, oldest_due_seconds: 3.2 }],
        tasks: [task],
        next_cursor: null,
      },
    },
  },
  POST: {
    description:
      "The task has all its tries again, and the first at once. `ERR_4009` says with `details.status` why not: it is `waiting` or `running`, and " +
      "so not dead, or it was `replaced` by another of the same kind and subject, which does the same work.",
    request: { task_id: 4711, reason: "Storage is back" },
    responses: { 200: { task: { ...task, failed_at: null } } },
    // There is no dead letter.
    walk: { refused: 404 },
  },
} satisfies Documentation;
