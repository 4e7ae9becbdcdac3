import * as z from "zod/mini";
import { Reason, UserId } from "../_shared/ops/contract.ts";
import { adminActions } from "../_shared/database/admin.ts";
import { themePreferences } from "../_shared/database/profiles.ts";
import { languages } from "../_shared/errors/languages.ts";

export const AdminUserQuery = z.strictObject({ user_id: UserId });
export type AdminUserQuery = z.infer<typeof AdminUserQuery>;

export const BanUserRequest = z.strictObject({
  user_id: UserId,
  action: z.enum(["ban", "unban"]),
  reason: Reason,
});
export type BanUserRequest = z.infer<typeof BanUserRequest>;

const timestamp = z.iso.datetime({ precision: 3 });
const count = z.int().check(z.nonnegative());

export const AdminUserResponse = z.object({
  user: z.object({
    user_id: z.guid(),
    is_guest: z.nullable(z.boolean()),
    display_name: z.nullable(z.string()),
    language: z.nullable(z.enum(languages)),
    theme_preference: z.enum(themePreferences),
    credits_remaining: count,
    created_at: timestamp,
    is_banned: z.boolean(),
    closed_at: z.nullable(timestamp),
  }),
  credits: z.object({ remaining: count, held: count, owed: count }),
  jobs: z.object({
    pending: count,
    processing: count,
    completed: count,
    failed: count,
    cancelled: count,
  }),
  recent_actions: z.array(z.object({
    id: z.uuid(),
    action: z.enum(adminActions),
    admin_id: z.nullable(z.guid()),
    amount: z.nullable(z.int()),
    reason: z.string(),
    job_id: z.nullable(z.uuid()),
    created_at: timestamp,
  })),
});
export type AdminUserResponse = z.infer<typeof AdminUserResponse>;
