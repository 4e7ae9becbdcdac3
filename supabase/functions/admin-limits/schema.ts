import * as z from "zod/mini";
import { Policy, Reason } from "../_shared/ops/contract.ts";
import { optional } from "../_shared/request/validation.ts";

export const GetAdminLimitsQuery = z.strictObject({});
export type GetAdminLimitsQuery = z.infer<typeof GetAdminLimitsQuery>;

export const GetAdminLimitsResponse = z.object({ policies: z.array(Policy) });
export type GetAdminLimitsResponse = z.infer<typeof GetAdminLimitsResponse>;

export const PatchAdminLimitsRequest = z.strictObject({
  policy: z.string().check(z.regex(/^[a-z_]{1,63}$/, "Must be a name of lower-case letters and _")),
  /** In any time of the window's length; 300 at most where hits are counted. */
  max_hits: optional(z.int().check(z.minimum(1), z.maximum(1_000_000))),
  /** Up to a week. */
  window_seconds: optional(z.int().check(z.minimum(1), z.maximum(604_800))),
  reason: Reason,
});
export type PatchAdminLimitsRequest = z.infer<typeof PatchAdminLimitsRequest>;
