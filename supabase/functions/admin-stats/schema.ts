import * as z from "zod/mini";
import { Breaker } from "../_shared/ops/contract.ts";

export const GetAdminStatsQuery = z.strictObject({
  span: z.enum(["hour", "day", "month"]),
});
export type GetAdminStatsQuery = z.infer<typeof GetAdminStatsQuery>;

const count = z.int().check(z.nonnegative());
const timestamp = z.iso.datetime({ precision: 3 });

export const StatName = z.enum([
  "jobs_accepted",
  "jobs_ended",
  "completion_seconds",
  "credits",
  "provider_cents",
]);

export const StatUnit = z.enum(["jobs", "seconds", "credits", "cents"]);

/** What is counted, and what tells several of one name apart. */
const stat = { name: StatName, labels: z.record(z.string(), z.string()), unit: StatUnit };

export const GetAdminStatsResponse = z.object({
  span: z.enum(["hour", "day", "month"]),
  from: timestamp,
  to: timestamp,
  step_seconds: count,
  /** Value i is that of the step that begins i steps after `from`; null where there is none. The last step is not over. */
  series: z.array(z.object({ ...stat, values: z.array(z.nullable(z.number())) })),
  /** The same over the whole span. */
  totals: z.array(z.object({ ...stat, value: z.nullable(z.number()) })),
  now: z.object({
    due_tasks: count,
    oldest_due_task_seconds: z.number(),
    dead_tasks: count,
    jobs_running: count,
    open_alerts: z.object({ warning: count, critical: count }),
    providers: z.array(z.object({
      provider: z.string(),
      /** Also false where a rule or an admin has switched it off. */
      is_enabled: z.boolean(),
      breaker: Breaker,
      /** US cents that the submissions of the day cost, in UTC. */
      spent_cents_today: z.number(),
      /** What caps them; null where nothing does. */
      cap_cents: z.nullable(z.number()),
    })),
  }),
});
export type GetAdminStatsResponse = z.infer<typeof GetAdminStatsResponse>;
