import * as z from "zod/mini";
import { Flag, FlagKey, FlagRule, FlagShare, Reason } from "../_shared/ops/contract.ts";
import { optional } from "../_shared/request/validation.ts";

export const AdminFlags = z.object({ flags: z.array(Flag) });
export type AdminFlags = z.infer<typeof AdminFlags>;

/** As FlagRule and FlagShare, and nothing beside them. */
export const NewFlagShare = z.strictObject(FlagShare.shape);
export const NewFlagRule = z.strictObject({
  ...FlagRule.shape,
  split: z.optional(z.array(NewFlagShare).check(z.minLength(1), z.maxLength(20))),
});

/** What is not named stays as it is. */
export const ChangeFlagRequest = z.strictObject({
  key: FlagKey,
  is_enabled: optional(z.boolean()),
  is_experiment: optional(z.boolean()),
  default_variant: optional(z.string().check(z.regex(/^[A-Za-z0-9._-]{1,100}$/))),
  /** All of them anew, in their order. */
  rules: optional(z.array(NewFlagRule).check(z.maxLength(50))),
  reason: Reason,
});
export type ChangeFlagRequest = z.infer<typeof ChangeFlagRequest>;
