import type { Documentation } from "../_shared/endpoint/documentation.ts";

const checks = {
  database: { ok: true, duration_ms: 4 },
  storage: { ok: true, duration_ms: 11 },
  queue: { ok: true, duration_ms: 4 },
  providers: { ok: true, duration_ms: 0 },
  platform: { ok: true, duration_ms: 4, missing: [] },
};

export default {
  GET: {
    description:
      "`unhealthy`, with 503, when the database cannot be asked; `degraded`, with 200, when storage, the worker, " +
      "the providers or a part of the platform are not there. Answers are shared for 5 seconds. Only a secret key gets " +
      "`checks` and `version`. A check's `reason` is `schema_not_exposed` when the platform was not told to expose the " +
      "schema `api`. `platform.missing` names what docs/deploying.md asks of the project and is not there.",
    responses: {
      200: { status: "healthy", checks, version: "1" },
      503: { status: "unhealthy" },
    },
  },
} satisfies Documentation;
