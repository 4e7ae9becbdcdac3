import type { Config } from "../_shared/platform/config.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { type Database, SchemaNotExposed } from "../_shared/database/call.ts";
import { DatabaseHealth } from "../_shared/ops/contract.ts";
import type { Providers } from "../_shared/videos/providers/registry.ts";
import type { Storage } from "../_shared/platform/storage.ts";
import type { Check, HealthResponse, PlatformCheck } from "./schema.ts";

type HealthContext = Context<"public"> & {
  database: Database;
  storage: Pick<Storage, "check">;
  providers: Pick<Providers, "names">;
};

/** Whoever asks within this time shares one answer, so that nobody can load the database by asking. */
const sharedMilliseconds = 5_000;

/** The tick comes every 5 s: a task that waits this long found no worker. */
const maxWaitSeconds = 60;

/** Outlives a request, as the configuration does. An examination that still runs is shared, too. */
const examinations = new WeakMap<Config, { report: Promise<Report>; until: number }>();

type Report = Required<Pick<HealthResponse, "status" | "checks">>;

/**
 * `unhealthy` (503) without the database; `degraded` when storage, the worker, the providers or a part of the platform
 * are not there. A secret key gets the checks as well.
 */
export async function getHealth(_input: unknown, context: HealthContext): Promise<Answer<HealthResponse>> {
  const { caller, config } = context;
  const now = context.now();
  let shared = examinations.get(config);
  if (shared === undefined || now >= shared.until) {
    shared = { report: examine(context), until: now + sharedMilliseconds };
    examinations.set(config, shared);
  }
  const { status, checks } = await shared.report;
  return {
    status: status === "unhealthy" ? 503 : 200,
    body: caller.kind === "service" ? { status, checks, version: config.version } : { status },
  };
}

/** On a developer's machine the stack's own scheduler does what these would. */
const scheduling: readonly string[] = ["pg_cron", "tick_job", "pg_net", "functions_url", "worker_key"];

/**
 * What docs/deploying.md asks of the platform. Locally what schedules is missing, and told so, without harm. Users' tokens
 * are not checked with a shared secret alone: whoever reads the functions' environment could make them.
 */
function checkPlatform(health: DatabaseHealth | null, config: Config, duration_ms: number): PlatformCheck {
  const isLocal = config.environment === "local" || config.environment === "test";
  const hasSigningKey = config.supabase.jwks.keys.some(({ kty }) => kty !== "oct");
  const missing: PlatformCheck["missing"] = [
    ...health?.missing ?? [],
    ...(hasSigningKey ? [] : ["signing_key"] as const),
  ];
  const harmful = missing.filter((part) => !(isLocal && scheduling.includes(part)));
  return { ok: health !== null && harmful.length === 0, duration_ms, missing };
}

async function examine({ database, storage, providers, log, config }: HealthContext): Promise<Report> {
  const answer: { health: DatabaseHealth | null } = { health: null };
  async function check(name: string, look: () => Promise<boolean>): Promise<Check> {
    const startedAt = performance.now();
    let isExposed = true;
    const ok = await look().catch((error) => {
      log.warn("health_check_failed", { check: name, error });
      isExposed = !(error instanceof Error && error.cause instanceof SchemaNotExposed);
      return false;
    });
    const duration_ms = Math.round(performance.now() - startedAt);
    return { ok, duration_ms, ...(isExposed ? {} : { reason: "schema_not_exposed" }) };
  }
  const [databaseCheck, storageCheck] = await Promise.all([
    check("database", async () => {
      answer.health = await database.call("health", {}, DatabaseHealth);
      return true;
    }),
    check("storage", async () => {
      await storage.check();
      return true;
    }),
  ]);
  // These two came with the database's answer.
  const { duration_ms } = databaseCheck;
  const waits = answer.health?.oldest_due_task_seconds ?? Infinity;
  const checks = {
    database: databaseCheck,
    storage: storageCheck,
    queue: { ok: waits < maxWaitSeconds, duration_ms },
    providers: { ok: providers.names.length > 0, duration_ms: 0 },
    platform: checkPlatform(answer.health, config, duration_ms),
  };
  const allOk = Object.values(checks).every(({ ok }) => ok);
  return { status: !databaseCheck.ok ? "unhealthy" : allOk ? "healthy" : "degraded", checks };
}
