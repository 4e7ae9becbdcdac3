import * as z from "zod/mini";
import { themePreferences } from "../_shared/accounts/contract.ts";
import { NotificationPreferenceChanges } from "../_shared/notify/contract.ts";
import { languages } from "../_shared/errors/languages.ts";
import { userText } from "../_shared/request/user-text.ts";
import { optional } from "../_shared/request/validation.ts";

export const UpdateUserProfileRequest = z.strictObject({
  // Null takes the name away; of the others it is as if they were left out.
  display_name: z.optional(z.nullable(userText(50, { lines: "one" }))),
  language: optional(z.enum(languages)),
  theme_preference: optional(z.enum(themePreferences)),
  shares_consumption: optional(z.boolean()),
  // All that are accepted: who is not named is not accepted any more.
  accepted_processors: optional(
    z.array(z.string().check(z.regex(/^[a-z][a-z0-9_-]{0,49}$/, "Must be a name from processed_by")))
      .check(z.maxLength(20)),
  ),
  // Of each type that it names, what changes.
  notification_preferences: optional(NotificationPreferenceChanges),
}).check(
  z.refine(
    (changes) => Object.values(changes).some((change) => change !== undefined),
    "Must name what to change",
  ),
  z.meta({ minProperties: 1 }),
);
export type UpdateUserProfileRequest = z.infer<typeof UpdateUserProfileRequest>;

export const CloseAccountRequest = z.strictObject({
  /** Of whoever signed in with Apple: from a sign-in of the last 5 minutes. Apple's have some 60 characters. */
  apple_authorization_code: optional(
    z.string().check(z.regex(/^[\x21-\x7e]{1,2048}$/, "Must have 1 to 2048 visible ASCII characters")),
  ),
});
export type CloseAccountRequest = z.infer<typeof CloseAccountRequest>;
