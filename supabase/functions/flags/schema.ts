import * as z from "zod/mini";
import { userText } from "../_shared/request/user-text.ts";
import { optional } from "../_shared/request/validation.ts";

/** Of what the app says of itself, flags' rules read these; whatever else OpenFeature's clients add is let through. */
const attribute = optional(userText(100, { lines: "one" }));

export const FlagsRequest = z.strictObject({
  context: z.looseObject({
    /** As OFREP has it; the flags are those of the token's user, whatever it says. */
    targetingKey: z.optional(z.string()),
    app_version: attribute,
    platform: attribute,
    locale: attribute,
  }),
});
export type FlagsRequest = z.infer<typeof FlagsRequest>;

export const EvaluatedFlag = z.object({
  key: z.string(),
  /** Not there where the app's own default is meant. */
  value: z.optional(z.unknown()),
  reason: z.enum(["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"]),
  variant: z.optional(z.string()),
  /** Of the reason UNKNOWN: DEFAULT where no rule fits, ERROR where one could not be evaluated, and why. */
  metadata: z.optional(z.object({ reason: z.enum(["DEFAULT", "ERROR"]), error: z.optional(z.string()) })),
});
export type EvaluatedFlag = z.infer<typeof EvaluatedFlag>;

export const EvaluatedFlags = z.object({ flags: z.array(EvaluatedFlag) });
export type EvaluatedFlags = z.infer<typeof EvaluatedFlags>;
