/** What the domain shows to the operator, and what the requests of admins have in common. */
import * as z from "zod/mini";
import { Profile } from "../accounts/contract.ts";
import { userText } from "../request/user-text.ts";

export const Reason = userText(500, { lines: "several", minCharacters: 3 });

export const UserId = z.guid().check(z.toLowerCase());

/** The most credits of one refund or adjustment. */
export const maxCredits = 10_000;

const count = z.int().check(z.nonnegative());
const timestamp = z.iso.datetime({ precision: 3 });

export const MovedCredits = z.object({
  success: z.literal(true),
  /** The transfer of the ledger. */
  transaction_id: z.uuid(),
  new_balance: count,
});
export type MovedCredits = z.infer<typeof MovedCredits>;

/** As the database tells it, which tells a failure otherwise. */
export const PostedCredits = z.omit(MovedCredits, { success: true });
export type PostedCredits = z.infer<typeof PostedCredits>;

const adminActions = [
  "make_admin",
  "remove_admin",
  "refund_credits",
  "adjust_credits",
  "enable_model",
  "disable_model",
  "ban",
  "unban",
  "keep_video",
  "remove_video",
  "grant_appeal",
  "reject_appeal",
  "refund_removal",
  "hold",
  "lift_hold",
  "create_webhook",
  "change_webhook",
  "rotate_webhook_secret",
  "delete_webhook",
] as const;

export const AdministeredUser = z.object({
  // The rest is the user's own affair: whoever has their token can buy for them.
  user: z.extend(
    z.omit(Profile, {
      app_account_token: true,
      shares_consumption: true,
      accepted_processors: true,
      notification_preferences: true,
      subscription: true,
      export: true,
    }),
    {
      /** Null once Auth knows them no more. */
      is_guest: z.nullable(z.boolean()),
      is_banned: z.boolean(),
      closed_at: z.nullable(timestamp),
      /** Who this guest became. */
      merged_into: z.nullable(z.guid()),
    },
  ),
  credits: z.object({ remaining: count, held: count, owed: count }),
  jobs: z.object({ pending: count, processing: count, completed: count, failed: count, cancelled: count }),
  /** While the operator keeps the user's data as evidence. */
  legal_hold: z.nullable(z.object({ held_at: timestamp })),
  /** Of a closed account. */
  erasure: z.nullable(z.object({
    erased_at: z.nullable(timestamp),
    waits_for: z.nullable(z.enum(["legal_hold", "jobs", "uploads", "worker"])),
  })),
  /** The newest 20. */
  recent_actions: z.array(z.object({
    id: z.uuid(),
    action: z.enum(adminActions),
    /** Null where it was done by hand in the dashboard. */
    admin_id: z.nullable(z.guid()),
    amount: z.nullable(z.int()),
    reason: z.string(),
    job_id: z.nullable(z.uuid()),
    created_at: timestamp,
  })),
});
export type AdministeredUser = z.infer<typeof AdministeredUser>;

/** In the order of docs/deploying.md's table; core.missing_parts gives them. */
export const missingParts = [
  "postgres_17",
  "pg_cron",
  "tick_job",
  "pg_net",
  "functions_url",
  "worker_key",
  "realtime_policy",
] as const;

export const DatabaseHealth = z.object({
  /** How long the oldest task that is due has waited for a worker. */
  oldest_due_task_seconds: z.number(),
  /** What the platform lacks of what docs/deploying.md asks for, by the names of its table. */
  missing: z.array(z.enum(missingParts)),
  /** Models that are offered, and that no provider can make now. An older procedure does not say. */
  models_without_provider: z._default(z.int().check(z.nonnegative()), 0),
});
export type DatabaseHealth = z.infer<typeof DatabaseHealth>;

const metricLabels = z.record(z.string(), z.string());

/** A metric as `api.metrics` has it. Buckets are not cumulated; there is one more of them than bounds. */
export const MetricFamily = z.object({
  name: z.string().check(z.regex(/^kinora_[a-z_]+$/)),
  type: z.enum(["counter", "gauge", "histogram"]),
  help: z.string(),
  samples: z.array(z.union([
    z.object({ labels: metricLabels, value: z.number() }),
    z.object({
      labels: metricLabels,
      bounds: z.array(z.number()),
      buckets: z.array(z.number()),
      count: z.number(),
      sum: z.number(),
    }),
  ])),
});
export type MetricFamily = z.infer<typeof MetricFamily>;
