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
