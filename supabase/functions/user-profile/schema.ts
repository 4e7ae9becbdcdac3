import * as z from "zod/mini";
import { themePreferences } from "../_shared/accounts/contract.ts";
import { languages } from "../_shared/errors/languages.ts";
import { userText } from "../_shared/request/user-text.ts";

export const UpdateUserProfileRequest = z.strictObject({
  display_name: z.optional(z.nullable(userText(50, { lines: "one" }))),
  language: z.optional(z.enum(languages)),
  theme_preference: z.optional(z.enum(themePreferences)),
}).check(
  z.refine((changes) => Object.keys(changes).length > 0, "Must name what to change"),
  z.meta({ minProperties: 1 }),
);
export type UpdateUserProfileRequest = z.infer<typeof UpdateUserProfileRequest>;
