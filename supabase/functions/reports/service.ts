import { actor, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { Report } from "../_shared/safety/contract.ts";
import type { ReportsRequest } from "./schema.ts";

/** Notes what a user says about a video, once; a second call answers the first. Throws ERR_4007 where there is none. */
export async function reportVideo(
  request: ReportsRequest,
  context: Context<"user"> & { database: Database },
): Promise<Answer<Report>> {
  const args = { ...fields(request), ...actor(context) };
  return { status: 202, body: await context.database.call("reports", args, Report) };
}
