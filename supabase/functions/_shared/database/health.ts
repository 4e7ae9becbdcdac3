/** The procedure behind health. */
import type { Port } from "../endpoint/context.ts";
import { procedures } from "./procedures.ts";

export interface DatabaseHealth {
  /** How long the oldest task that is due has waited for a worker. */
  oldest_due_task_seconds: number;
  /** What the platform lacks of what docs/deploying.md asks for, by the names of its table. */
  missing: readonly MissingPart[];
}

/** In the order of docs/deploying.md's table; core.missing_parts gives them. */
export const missingParts = [
  "postgres_17",
  "pg_cron",
  "tick_job",
  "pg_net",
  "functions_url",
  "worker_key",
] as const;
export type MissingPart = (typeof missingParts)[number];

export interface HealthDatabase {
  health(): Promise<DatabaseHealth>;
}

export const healthDatabase: Port<HealthDatabase> = (runtime) => {
  const call = procedures(runtime);
  return { health: () => call("health", {}) };
};
