import type { Config } from "../_shared/platform/config.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { type Database, SchemaNotExposed } from "../_shared/database/call.ts";
import { DatabaseHealth } from "../_shared/ops/contract.ts";
import type { Providers } from "../_shared/videos/providers/registry.ts";
import type { Storage } from "../_shared/platform/storage.ts";
import type { DeviceCheck } from "../_shared/devices/device-check.ts";
import type { Check, HealthResponse, PlatformCheck } from "./schema.ts";

type HealthContext = Context<"public"> & {
  database: Database;
  storage: Pick<Storage, "check">;
  providers: Pick<Providers, "names">;
  apple: Pick<DeviceCheck, "query">;
};

/** Whoever asks within this time shares one answer, so that nobody can load the database by asking. */
const sharedMilliseconds = 5_000;

/** The tick comes every 5 s: a task that waits this long found no worker. */
const maxWaitSeconds = 60;

/** As long as the tick may not have come before nobody would be told of anything. It comes every 5 s. */
const maxTickSeconds = 60;

/** Outlives a request, as the configuration does. An examination that still runs is shared, too. */
const examinations = new WeakMap<Config, { report: Promise<Report>; until: number }>();

/** Apple is asked less often: what it says of our key changes seldom, and it is nobody's load test. */
const appleMilliseconds = 60_000;

/** Apple answers in well under a second; who asks for health does not wait for its whole time-out. */
const appleTimeoutMilliseconds = 3_000;

/** Of no device: Apple looks at our key before it looks at this. */
const nobodysDeviceToken = btoa("health");

const applesWord = new WeakMap<Config, { isOurKeyTaken: Promise<boolean>; until: number }>();

type Checks = NonNullable<HealthResponse["checks"]>;
/** All but what each request shows for itself. */
type Report = Omit<Checks, "client_address"> & {
  /** It came once, and does not any more. Where it never did, the project is not set up yet. */
  readonly hasTickStopped: boolean;
};

/**
 * `unhealthy` (503) without the database, or when the tick has stopped coming, so that nobody would be told what else is wrong;
 * `degraded` when it never came, and when storage, the worker, a provider for each model, Apple, the header
 * with the client's address or a part of the platform are not there. A secret key gets the checks as well.
 */
export async function getHealth(_input: unknown, context: HealthContext): Promise<Answer<HealthResponse>> {
  const { caller, config } = context;
  const now = context.now();
  let shared = examinations.get(config);
  if (shared === undefined || now >= shared.until) {
    shared = { report: examine(context), until: now + sharedMilliseconds };
    examinations.set(config, shared);
  }
  const { hasTickStopped, platform, ...report } = await shared.report;
  // Without it all users share the limits of one network.
  const client_address = { ok: context.network !== null, duration_ms: 0 };
  const checks: Checks = { ...report, client_address, platform };
  const allOk = Object.values(checks).every(({ ok }) => ok);
  const isDead = !checks.database.ok || hasTickStopped;
  const status = isDead ? "unhealthy" : allOk ? "healthy" : "degraded";
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
  const invalid = Object.values(config.broken).flat();
  return {
    ok: health !== null && harmful.length === 0 && invalid.length === 0,
    duration_ms,
    missing,
    invalid,
  };
}

function isOurKeyTaken({ apple, config, log, now }: HealthContext): Promise<boolean> {
  let known = applesWord.get(config);
  if (known === undefined || now() >= known.until) {
    const signal = AbortSignal.timeout(appleTimeoutMilliseconds);
    const asked = apple.query(nobodysDeviceToken, { signal }).then((answer) => {
      if (answer.outcome !== "unavailable") return true;
      log.warn("health_check_failed", { check: "apple", error: answer.cause });
      return false;
    });
    known = { isOurKeyTaken: asked, until: now() + appleMilliseconds };
    applesWord.set(config, known);
  }
  return known.isOurKeyTaken;
}

async function examine(context: HealthContext): Promise<Report> {
  const { database, storage, providers, log, config } = context;
  // As generate-video has it: without the secret nothing is sent to anybody.
  const configured = config.webhookSecret === null ? [] : providers.names;
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
  const [databaseCheck, storageCheck, appleCheck] = await Promise.all([
    check("database", async () => {
      answer.health = await database.call("health", { p_providers: configured }, DatabaseHealth);
      return true;
    }),
    check("storage", async () => {
      await storage.check();
      return true;
    }),
    check("apple", () => isOurKeyTaken(context)),
  ]);
  // These came with the database's answer.
  const { duration_ms } = databaseCheck;
  const waits = answer.health?.oldest_due_task_seconds ?? Infinity;
  const tickedAgo = answer.health?.last_tick_seconds ?? null;
  const isMakeable = configured.length > 0 && answer.health?.models_without_provider === 0;
  return {
    database: databaseCheck,
    storage: storageCheck,
    tick: { ok: tickedAgo !== null && tickedAgo < maxTickSeconds, duration_ms },
    hasTickStopped: tickedAgo !== null && tickedAgo >= maxTickSeconds,
    incidents: {
      ok: answer.health?.incidents.length === 0,
      duration_ms,
      away: answer.health?.incidents ?? [],
    },
    queue: { ok: waits < maxWaitSeconds, duration_ms },
    providers: { ok: isMakeable, duration_ms },
    apple: appleCheck,
    platform: checkPlatform(answer.health, config, duration_ms),
  };
}
