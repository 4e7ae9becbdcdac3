/** What the domain shows: a user's profile, and that an account was closed. */
import * as z from "zod/mini";
import { languages } from "../errors/languages.ts";
import { NotificationPreferences } from "../notify/contract.ts";
import { Subscription } from "../purchases/contract.ts";

const timestamp = z.iso.datetime({ precision: 3 });

export const themePreferences = ["system", "light", "dark"] as const;

export const ThemePreference = z.enum(themePreferences);

/** `failed`: ask for another. */
export const ExportStatus = z.enum(["pending", "ready", "failed"]);

const exportFields = {
  status: ExportStatus,
  requested_at: timestamp,
  /** Good for 10 minutes; null until it is ready, and while storage does not answer. */
  url: z.nullable(z.string()),
  bytes: z.nullable(z.int()),
  /** When it goes, 7 days after it was made. */
  expires_at: z.nullable(timestamp),
};

/** A file of all that is kept of the caller. */
export const AccountExport = z.object(exportFields);
export type AccountExport = z.infer<typeof AccountExport>;

/** An export as the database tells it. */
export const StoredExport = z.extend(z.omit(AccountExport, { url: true }), { path: z.nullable(z.string()) });
export type StoredExport = z.infer<typeof StoredExport>;

/** The latest; null for whoever has asked for none, and once it has expired. */
export const LatestExport = z.nullable(z.object(exportFields));

export const Profile = z.object({
  user_id: z.guid(),
  is_guest: z.boolean(),
  display_name: z.nullable(z.string()),
  /** The user's own, where they have chosen one. */
  language: z.nullable(z.enum(languages)),
  theme_preference: ThemePreference,
  credits_remaining: z.int().check(z.nonnegative()),
  /** What the app gives the App Store with each purchase: whoever has it can buy for this user. */
  app_account_token: z.guid(),
  /** Whether Apple is told, when a refund is asked for, how much of the purchase was used. */
  shares_consumption: z.boolean(),
  /** Who may get the user's prompts and images, by the names in the models' `processed_by`. */
  accepted_processors: z.array(z.string()),
  notification_preferences: NotificationPreferences,
  created_at: timestamp,
  subscription: Subscription,
  export: LatestExport,
});
export type Profile = z.infer<typeof Profile>;

/** A profile as the database tells it to its user, whose token says whether they are a guest. */
export const StoredProfile = z.extend(z.omit(Profile, { is_guest: true, export: true }), {
  export: z.nullable(StoredExport),
});
export type StoredProfile = z.infer<typeof StoredProfile>;

export const MergedGuest = z.object({
  user_id: z.guid(),
  merged_user_id: z.guid(),
  /** Before debts were paid of them. */
  credits_moved: z.int().check(z.nonnegative()),
  jobs_moved: z.int().check(z.nonnegative()),
  credits_remaining: z.int().check(z.nonnegative()),
});
export type Merge = z.infer<typeof MergedGuest>;

export const ClosedAccount = z.object({
  user_id: z.guid(),
  closed_at: timestamp,
  /** Apple goes on with it until its buyer ends it; null where there is none that runs. */
  subscription: Subscription,
});
export type ClosedAccount = z.infer<typeof ClosedAccount>;
