import type { Documentation } from "../_shared/endpoint/documentation.ts";

export default {
  GET: {
    description:
      "The error log: ERR_5xxx and ERR_6xxx of requests, of the work after them and of the tick, for 30 days, the newest minute first. Of a " +
      "minute, code and endpoint up to five rows are kept; `count` says how many errors a row stands for. `code`, `endpoint` (or `tick`), " +
      "`status` (of the answers with such codes) and `request_id` leave out the others. How jobs failed stands in the jobs.",
    query: { limit: "10", code: "ERR_6003", endpoint: "models" },
    responses: {
      200: {
        errors: [{
          minute: "2026-11-21T12:00:00.000Z",
          at: "2026-11-21T12:00:07.250Z",
          code: "ERR_6003",
          severity: "critical",
          endpoint: "models",
          place: 1,
          message: "Unexpected end of JSON input",
          context: { error: { name: "SyntaxError", message: "Unexpected end of JSON input" } },
          count: 3,
          user_id: "8d2f5b1e-0c37-4a86-9a51-2f6f1f8f4c20",
          request_id: "req-7f3a",
        }],
        next_cursor: null,
      },
    },
  },
} satisfies Documentation;
