import type { Documentation } from "../_shared/endpoint/documentation.ts";

export default {
  POST: {
    description:
      "Called by the database when tasks are due. It answers at once and works in the background; workers that " +
      "run at the same time never do a task twice.",
    dataApiCalls: 0,
    responses: { 202: { accepted: true } },
  },
} satisfies Documentation;
