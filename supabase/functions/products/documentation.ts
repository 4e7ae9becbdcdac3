import type { Documentation } from "../_shared/endpoint/documentation.ts";

export default {
  GET: {
    description: "To be written: what it does, and what whoever calls it must know.",
    query: {},
    responses: { 200: {} },
  },
} satisfies Documentation;
