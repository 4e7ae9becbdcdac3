import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import {
  AlertsPage,
  AlertsPosition,
  type GetAdminAlertsQuery,
  type GetAdminAlertsResponse,
  type PatchAdminAlertsRequest,
  PatchAdminAlertsResponse,
} from "./schema.ts";

type AdminContext = Context<"admin"> & { database: Database };

/** A page of the alerts, with the rules and what was away. */
export async function listAlerts(
  { cursor, ...list }: GetAdminAlertsQuery,
  { caller, database }: AdminContext,
): Promise<Answer<GetAdminAlertsResponse>> {
  const args = {
    ...fields(list),
    p_admin_id: caller.userId,
    p_session_id: caller.sessionId,
    p_after: readCursor(AlertsPosition, cursor),
  };
  const { next, ...page } = await database.call("get_admin_alerts", args, AlertsPage);
  return { status: 200, body: { ...page, next_cursor: writeCursor(next) } };
}

/** Acknowledges an alert or changes a rule. Throws ERR_4007 for what is not there, ERR_4008 for what a rule cannot be. */
export async function changeAlerts(
  request: PatchAdminAlertsRequest,
  context: AdminContext,
): Promise<Answer<PatchAdminAlertsResponse>> {
  const args = { ...fields(request), ...admin(context) };
  return {
    status: 200,
    body: await context.database.call("patch_admin_alerts", args, PatchAdminAlertsResponse),
  };
}
