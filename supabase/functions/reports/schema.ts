import * as z from "zod/mini";
import { optional } from "../_shared/request/validation.ts";
import { Ground, ReportedJobId, Statement } from "../_shared/safety/contract.ts";

export const ReportsRequest = z.strictObject({
  job_id: ReportedJobId,
  reason: Ground,
  details: optional(Statement),
});
export type ReportsRequest = z.infer<typeof ReportsRequest>;
