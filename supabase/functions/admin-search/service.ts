import { type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { type AdminSearchQuery, AdminSearchResponse } from "./schema.ts";

/** Whom and what somebody's words may name. */
export async function search(
  query: AdminSearchQuery,
  { caller, database }: Context<"admin"> & { database: Database },
): Promise<Answer<AdminSearchResponse>> {
  const args = { ...fields(query), p_admin_id: caller.userId, p_session_id: caller.sessionId };
  return { status: 200, body: await database.call("admin_search", args, AdminSearchResponse) };
}
