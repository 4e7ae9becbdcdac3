/** The procedure behind health. */
import type { Port } from "../context.ts";
import { procedures } from "./procedures.ts";

export interface DatabaseHealth {
  /** How long the oldest task that is due has waited for a worker. */
  oldest_due_task_seconds: number;
}

export interface HealthDatabase {
  health(): Promise<DatabaseHealth>;
}

export const healthDatabase: Port<HealthDatabase> = (runtime) => {
  const call = procedures(runtime);
  return { health: () => call("health", {}) };
};
