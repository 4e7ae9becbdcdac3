import * as z from "zod/mini";
import { userText } from "../_shared/request/user-text.ts";
import { ReportedJobId } from "../_shared/safety/contract.ts";

export const TakedownNoticesRequest = z.strictObject({
  job_id: ReportedJobId,
  /** How whoever objects can be reached. */
  contact: userText(200, { lines: "one", minCharacters: 3 }),
  statement: userText(4_000, { lines: "several" }),
});
export type TakedownNoticesRequest = z.infer<typeof TakedownNoticesRequest>;
