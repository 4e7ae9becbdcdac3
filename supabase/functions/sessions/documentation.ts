import type { Documentation } from "../_shared/endpoint/documentation.ts";

const sessionId = "6f1d2c3b-4a59-4687-9a0b-1c2d3e4f5a6b";

export default {
  GET: {
    description:
      "Each sign-in is a session, on whatever device. It is used when its tokens are refreshed, once an hour.",
    responses: {
      200: {
        sessions: [{
          id: sessionId,
          created_at: "2026-11-20T09:00:00.000Z",
          last_used_at: "2026-11-21T11:58:00.000Z",
          is_current: true,
        }],
      },
    },
    walk: { follows: "delete-video-job" },
  },
  DELETE: {
    description:
      "With `session_id`, one (204), the current one too; with `others=true`, all but the current one (200). Its tokens are refused from that " +
      "moment on: `ERR_4005`. `ERR_4007` for a session that has ended already.",
    query: { others: "true" },
    responses: { 200: { ended: 2 } },
  },
} satisfies Documentation;
