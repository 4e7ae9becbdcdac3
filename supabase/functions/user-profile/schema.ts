import * as z from "zod/mini";
import { themePreferences } from "../_shared/database/profiles.ts";
import { languages } from "../_shared/errors/languages.ts";
import { userText } from "../_shared/request/user-text.ts";

export const UserProfileResponse = z.object({
  user_id: z.guid(),
  is_guest: z.boolean(),
  display_name: z.nullable(z.string()),
  language: z.nullable(z.enum(languages)),
  theme_preference: z.enum(themePreferences),
  credits_remaining: z.int().check(z.nonnegative()),
  created_at: z.iso.datetime({ precision: 3 }),
});
export type UserProfileResponse = z.infer<typeof UserProfileResponse>;

export const UpdateUserProfileRequest = z.strictObject({
  display_name: z.optional(z.nullable(userText(50, { lines: "one" }))),
  language: z.optional(z.enum(languages)),
  theme_preference: z.optional(z.enum(themePreferences)),
}).check(
  z.refine((changes) => Object.keys(changes).length > 0, "Must name what to change"),
  z.meta({ minProperties: 1 }),
);
export type UpdateUserProfileRequest = z.infer<typeof UpdateUserProfileRequest>;

export const DeleteUserProfileResponse = z.object({
  user_id: z.guid(),
  closed_at: z.iso.datetime({ precision: 3 }),
});
export type DeleteUserProfileResponse = z.infer<typeof DeleteUserProfileResponse>;
