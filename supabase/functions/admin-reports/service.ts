import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import { SafetyCase } from "../_shared/safety/contract.ts";
import {
  CasesPage,
  CasesPosition,
  type GetAdminReportsQuery,
  type GetAdminReportsResponse,
  type PatchAdminReportsRequest,
} from "./schema.ts";

type AdminContext = Context<"admin"> & { database: Database };

/** A page of the cases. */
export async function listCases(
  { cursor, ...list }: GetAdminReportsQuery,
  { caller, database }: AdminContext,
): Promise<Answer<GetAdminReportsResponse>> {
  const args = {
    ...fields(list),
    p_admin_id: caller.userId,
    p_session_id: caller.sessionId,
    p_after: readCursor(CasesPosition, cursor),
  };
  const { cases, next } = await database.call("get_admin_reports", args, CasesPage);
  return { status: 200, body: { cases, next_cursor: writeCursor(next) } };
}

/** Decides once. Throws ERR_4007 where there is no such case, and ERR_4009 for what its state does not allow. */
export async function decideCase(
  request: PatchAdminReportsRequest,
  context: AdminContext,
): Promise<Answer<SafetyCase>> {
  const args = { ...fields(request), ...admin(context) };
  return { status: 200, body: await context.database.call("patch_admin_reports", args, SafetyCase) };
}
