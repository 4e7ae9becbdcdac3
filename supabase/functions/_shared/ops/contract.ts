/** What the domain shows to the operator, and what the requests of admins have in common. */
import * as z from "zod/mini";
import { Profile } from "../accounts/contract.ts";
import { Transaction, transactionKinds } from "../credits/contract.ts";
import { Purchase, StoreEnvironment } from "../purchases/contract.ts";
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
  "switch_flag",
  "change_limit",
  "change_rule",
  "acknowledge_alert",
  "change_flag",
  "create_product",
  "change_product",
  "replay_task",
  "read_prompt",
] as const;

export const AdminAction = z.object({
  id: z.uuid(),
  action: z.enum(adminActions),
  /** Null where it was done by hand in the dashboard. */
  admin_id: z.nullable(z.guid()),
  amount: z.nullable(z.int()),
  reason: z.string(),
  job_id: z.nullable(z.uuid()),
  created_at: timestamp,
});

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
      email: z.nullable(z.string()),
      is_banned: z.boolean(),
      closed_at: z.nullable(timestamp),
      /** Who this guest became. */
      merged_into: z.nullable(z.guid()),
    },
  ),
  /** Who became this user. */
  guests: z.array(z.guid()),
  credits: z.object({ remaining: count, held: count, owed: count }),
  jobs: z.object({ pending: count, processing: count, completed: count, failed: count, cancelled: count }),
  /** While the operator keeps the user's data as evidence, or those of a guest who became them. */
  legal_hold: z.nullable(z.object({ held_at: timestamp })),
  /** Of a closed account. */
  erasure: z.nullable(z.object({
    erased_at: z.nullable(timestamp),
    waits_for: z.nullable(z.enum(["legal_hold", "jobs", "uploads", "worker"])),
  })),
  /** The newest 20, with those about the guests. */
  recent_actions: z.array(AdminAction),
  /** What is not spent, in the order in which it will be; 50 at most. */
  lots: z.array(z.object({
    lot_id: z.int(),
    amount: z.int().check(z.positive()),
    remaining: z.int().check(z.positive()),
    expires_at: z.nullable(timestamp),
    /** Bought for no money, in the store's sandbox. */
    is_sandbox: z.boolean(),
  })),
  /** What moved their credits: the newest 50. */
  statement: z.array(z.extend(Transaction, {
    /** As their own, and what a closed account leaves behind. */
    kind: z.enum([...transactionKinds, "forfeit"]),
  })),
  /** The newest 20. */
  purchases: z.array(z.extend(Purchase, {
    status: z.enum([...Purchase.shape.status.options, "not_credited"]),
    /** Why it is not credited. */
    reason: z.nullable(z.string()),
    environment: StoreEnvironment,
  })),
  /** Where they are signed in, the one that was used last first; 20 at most. */
  sessions: z.array(z.object({
    created_at: timestamp,
    last_used_at: timestamp,
    user_agent: z.nullable(z.string()),
  })),
  devices: z.object({
    /** Those that notifications are sent to. */
    registered: count,
    /** When they, or a guest whom they were, first got a device's credits. */
    first_granted_at: z.nullable(timestamp),
  }),
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
  /** Since the tick came, without which nothing is evaluated and nobody told; null where it never did. */
  last_tick_seconds: z._default(z.nullable(z.number()), 0),
  /** What is away. */
  incidents: z._default(z.array(z.string()), []),
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
/** Of a provider: while it is `open`, it gets no jobs; `half_open`, one at a time. */
export const Breaker = z.enum(["closed", "open", "half_open"]);

/** A rate limit. */
export const Policy = z.object({
  policy: z.string(),
  scope: z.enum(["user", "network", "endpoint", "global"]),
  counts: z.enum(["hits", "credits", "grants"]),
  /** What the operator admits in any time of the window's length. */
  max_hits: z.int().check(z.positive()),
  window_seconds: z.int().check(z.positive()),
  on_failure: z.enum(["open", "closed"]),
  /** What an alert leaves of it. */
  throttle_percent: z.int().check(z.minimum(10), z.maximum(100)),
  /** What is admitted now. */
  admits: z.int().check(z.positive()),
});
export type Policy = z.infer<typeof Policy>;

export function examplePolicy(): Policy {
  return {
    policy: "video_generation",
    scope: "user",
    counts: "hits",
    max_hits: 10,
    window_seconds: 3600,
    on_failure: "closed",
    throttle_percent: 100,
    admits: 10,
  };
}

export const AlertLevel = z.enum(["warning", "critical"]);
export type AlertLevel = z.infer<typeof AlertLevel>;

/** What a rule does beside telling. */
export const AlertAction = z.enum(["notify", "throttle", "shutdown"]);
export type AlertAction = z.infer<typeof AlertAction>;

/** What only the operator can mend. */
export const Alert = z.object({
  alert_id: z.uuid(),
  rule: z.string(),
  subject: z.string(),
  level: AlertLevel,
  details: z.looseObject({}),
  /** How often it was met, or measured. */
  count: z.int().check(z.positive()),
  /** Null of what was met, and not measured by a rule; so are the next two. */
  metric: z.nullable(z.string()),
  value: z.nullable(z.number()),
  threshold: z.nullable(z.number()),
  raised_at: timestamp,
  last_at: timestamp,
  acknowledged_at: z.nullable(timestamp),
  resolved_at: z.nullable(timestamp),
});
export type Alert = z.infer<typeof Alert>;

export function exampleAlert(): Alert {
  return {
    alert_id: "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2b10",
    rule: "spending",
    subject: "fal",
    level: "warning",
    details: { what: "Money spent at a provider today, in percent of its cap" },
    count: 3,
    metric: "spending_percent",
    value: 83,
    threshold: 80,
    raised_at: "2026-11-21T12:00:00.000Z",
    last_at: "2026-11-21T12:02:00.000Z",
    acknowledged_at: null,
    resolved_at: null,
  };
}

/** What is measured, what is too much of it, and what is done then. */
export const AlertRule = z.object({
  rule: z.string(),
  what: z.string(),
  metric: z.string(),
  measured_over_seconds: count,
  is_low_bad: z.boolean(),
  warning: z.nullable(z.number()),
  critical: z.nullable(z.number()),
  /** It is over when it was well for so long. */
  ok_for_seconds: count,
  /** So long after it was over, nothing new is raised. */
  cooldown_seconds: count,
  action: AlertAction,
  acts_at: AlertLevel,
  policies: z.array(z.string()),
  throttle_percent: z.int(),
  flags: z.array(z.string()),
  is_pinned: z.boolean(),
  is_enabled: z.boolean(),
  /** Why it could not be evaluated last. */
  last_error: z.nullable(z.string()),
  /** The limits that it has lowered, and the flags that it has switched off, now. */
  acting_on: z.array(z.string()),
});
export type AlertRule = z.infer<typeof AlertRule>;

export function exampleAlertRule(): AlertRule {
  return {
    rule: "spending",
    what: "Money spent at a provider today, in percent of its cap",
    metric: "spending_percent",
    measured_over_seconds: 86400,
    is_low_bad: false,
    warning: 80,
    critical: 100,
    ok_for_seconds: 300,
    cooldown_seconds: 300,
    action: "notify",
    acts_at: "critical",
    policies: [],
    throttle_percent: 50,
    flags: [],
    is_pinned: false,
    is_enabled: true,
    last_error: null,
    acting_on: [],
  };
}

/** What was away, and when it came back. */
export const Incident = z.object({
  incident_id: z.uuid(),
  subject: z.string(),
  began_at: timestamp,
  ended_at: z.nullable(timestamp),
  cause: z.nullable(z.string()),
  /** The providers that took jobs which it did not take. */
  taken_over_by: z.array(z.string()),
});
export type Incident = z.infer<typeof Incident>;

export const FlagKey = z.string().check(z.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/));

const variantName = z.string().check(z.regex(/^[A-Za-z0-9._-]{1,100}$/));
const attributes = z.array(userText(100, { lines: "one" })).check(z.minLength(1), z.maxLength(100));
const time = z.iso.datetime();

export const FlagShare = z.object({
  variant: variantName,
  weight: z.int().check(z.minimum(0), z.maximum(999_999)),
});

/** Whom a variant is for: whoever fits each of the conditions that are there. It says a variant, or how they are split. */
export const FlagRule = z.object({
  users: z.optional(z.array(UserId).check(z.minLength(1), z.maxLength(1_000))),
  platforms: z.optional(attributes),
  locales: z.optional(attributes),
  /** Comparisons that all hold, such as `>=1.2.0`; also with `=`, `!=`, `<`, `<=`, `>`, `^` (the same major) and `~` (the same minor number). */
  app_versions: z.optional(
    z.array(z.string().check(z.regex(/^(=|!=|<=?|>=?|\^|~) *[^ =<>~^]{1,100}$/))).check(
      z.minLength(1),
      z.maxLength(10),
    ),
  ),
  /** From then on, and before `until`. */
  from: z.optional(time),
  until: z.optional(time),
  variant: z.optional(variantName),
  /** By weight, in this order; a user stays in theirs while what stands before it only grows. */
  split: z.optional(z.array(FlagShare).check(z.minLength(1), z.maxLength(20))),
});
export type FlagRule = z.infer<typeof FlagRule>;

export const Flag = z.object({
  key: FlagKey,
  type: z.enum(["boolean", "string", "number", "object"]),
  is_enabled: z.boolean(),
  /** One that the backend asks itself, for everybody at once: it has no rules. */
  is_switch: z.boolean(),
  /** Who was given which variant is counted, once a user and variant. */
  is_experiment: z.boolean(),
  /** The values by their names. */
  variants: z.record(z.string(), z.unknown()),
  default_variant: variantName,
  /** While it is disabled; null: the app's own default. */
  off_variant: z.nullable(variantName),
  rules: z.array(FlagRule),
  description: z.nullable(z.string()),
  /** Counts the changes. */
  version: z.int(),
});
export type Flag = z.infer<typeof Flag>;
