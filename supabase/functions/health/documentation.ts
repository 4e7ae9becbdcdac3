import type { Documentation } from "../_shared/endpoint/documentation.ts";

const checks = {
  database: { ok: true, duration_ms: 4 },
  storage: { ok: true, duration_ms: 11 },
  tick: { ok: true, duration_ms: 4 },
  incidents: { ok: true, duration_ms: 4, away: [] },
  queue: { ok: true, duration_ms: 4 },
  providers: { ok: true, duration_ms: 4 },
  apple: { ok: true, duration_ms: 130 },
  client_address: { ok: true, duration_ms: 0 },
  platform: { ok: true, duration_ms: 4, missing: [], invalid: [] },
};

export default {
  GET: {
    description:
      "`unhealthy`, with 503, when the database cannot be asked, or when its tick, which comes every 5 seconds, has not come for a " +
      "minute: then nobody would be told of anything. `degraded`, with 200, when that never came yet, or storage, the worker, " +
      "a provider, Apple, the client's address or a part of the platform are not there. Answers are shared for 5 seconds. Only a secret key gets " +
      "`checks` and `version`. A check's `reason` is `schema_not_exposed` when the platform was not told to expose the " +
      "schema `api`. `providers` is right while each model that is offered has one that is configured and whose breaker is " +
      "not open; `apple` while Apple takes our key, which is asked once a minute; `incidents.away` names what is away now; `client_address` while the request carries " +
      "the configured header, without which all users share the limits of one network. `platform.missing` names what " +
      "docs/deploying.md asks of the project and is not there, `platform.invalid` which variables are bad.",
    responses: {
      200: { status: "healthy", checks, version: "1" },
      503: { status: "unhealthy" },
    },
  },
} satisfies Documentation;
