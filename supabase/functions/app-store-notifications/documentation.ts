import type { Documentation } from "../_shared/endpoint/documentation.ts";

export default {
  POST: {
    description: "To be written: what it does, and what whoever calls it must know.",
    request: {},
    responses: { 200: {} },
  },
} satisfies Documentation;
