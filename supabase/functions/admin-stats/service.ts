import { type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { type GetAdminStatsQuery, GetAdminStatsResponse } from "./schema.ts";

/** How the last hour, day or month went, and how things stand. */
export async function showStats(
  query: GetAdminStatsQuery,
  { caller, database }: Context<"admin"> & { database: Database },
): Promise<Answer<GetAdminStatsResponse>> {
  const args = { ...fields(query), p_admin_id: caller.userId, p_session_id: caller.sessionId };
  return { status: 200, body: await database.call("admin_stats", args, GetAdminStatsResponse) };
}
