import * as z from "zod/mini";
import { ReportedJobId, Statement } from "../_shared/safety/contract.ts";

export const AppealsRequest = z.strictObject({ job_id: ReportedJobId, statement: Statement });
export type AppealsRequest = z.infer<typeof AppealsRequest>;
