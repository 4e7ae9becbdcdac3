/** What the domain shows: a user's profile, and that an account was closed. */
import * as z from "zod/mini";
import { languages } from "../errors/languages.ts";
import { Subscription } from "../purchases/contract.ts";

const timestamp = z.iso.datetime({ precision: 3 });

export const themePreferences = ["system", "light", "dark"] as const;

export const ThemePreference = z.enum(themePreferences);

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
  created_at: timestamp,
  subscription: Subscription,
});
export type Profile = z.infer<typeof Profile>;

/** A profile as the database tells it to its user, whose token says whether they are a guest. */
export const StoredProfile = z.omit(Profile, { is_guest: true });
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

export const ClosedAccount = z.object({ user_id: z.guid(), closed_at: timestamp });
export type ClosedAccount = z.infer<typeof ClosedAccount>;
