import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { Policy } from "../_shared/ops/contract.ts";
import { type GetAdminLimitsQuery, GetAdminLimitsResponse, type PatchAdminLimitsRequest } from "./schema.ts";

type AdminContext = Context<"admin"> & { database: Database };

/** Every rate limit, by name. */
export async function listLimits(
  _query: GetAdminLimitsQuery,
  { caller, database }: AdminContext,
): Promise<Answer<GetAdminLimitsResponse>> {
  const args = { p_admin_id: caller.userId, p_session_id: caller.sessionId };
  return { status: 200, body: await database.call("get_admin_limits", args, GetAdminLimitsResponse) };
}

/**
 * Changes a limit, from the next request on. Throws ERR_4007 for one that is none, ERR_4006 for those that bound admins, and
 * ERR_4008 for what it cannot be.
 */
export async function changeLimit(
  request: PatchAdminLimitsRequest,
  context: AdminContext,
): Promise<Answer<Policy>> {
  const args = { ...fields(request), ...admin(context) };
  return { status: 200, body: await context.database.call("patch_admin_limits", args, Policy) };
}
