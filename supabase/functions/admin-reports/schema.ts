import * as z from "zod/mini";
import { Reason } from "../_shared/ops/contract.ts";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";
import { optional } from "../_shared/request/validation.ts";
import { CaseStatus, Ground, SafetyCase } from "../_shared/safety/contract.ts";

export const GetAdminReportsQuery = z.strictObject({ ...pageQuery, status: z.optional(CaseStatus) });
export type GetAdminReportsQuery = z.infer<typeof GetAdminReportsQuery>;

/** What a cursor holds: the last case that was shown. */
export const CasesPosition = z.strictObject({ opened_at: positionTime, id: z.uuid() });

/** A page as the database tells it, with where the next one begins; null at the end. */
export const CasesPage = z.object({ cases: z.array(SafetyCase), next: z.nullable(CasesPosition) });
export type CasesPage = z.infer<typeof CasesPage>;

export const GetAdminReportsResponse = z.object({
  cases: z.array(SafetyCase),
  next_cursor: z.nullable(z.string()),
});
export type GetAdminReportsResponse = z.infer<typeof GetAdminReportsResponse>;

export const PatchAdminReportsRequest = z.strictObject({
  case_id: z.guid().check(z.toLowerCase()),
  /** Of a case the first three, of an appeal the others. */
  decision: z.enum(["keep", "remove", "suspend", "grant", "reject"]),
  /** What its user is told, of what is removed. */
  ground: optional(Ground),
  reason: Reason,
}).check(
  z.refine(
    ({ decision, ground }) => (decision === "remove" || decision === "suspend") === (ground !== undefined),
    { path: ["ground"], error: "Must be there where a video is removed, and nowhere else" },
  ),
);
export type PatchAdminReportsRequest = z.infer<typeof PatchAdminReportsRequest>;
