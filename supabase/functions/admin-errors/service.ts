import { type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { errorCodes } from "../_shared/errors/error-codes.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import {
  ErrorsPage,
  ErrorsPosition,
  type GetAdminErrorsQuery,
  type GetAdminErrorsResponse,
} from "./schema.ts";

/** A page of the error log. */
export async function listErrors(
  { cursor, code, status, ...list }: GetAdminErrorsQuery,
  { caller, database }: Context<"admin"> & { database: Database },
): Promise<Answer<GetAdminErrorsResponse>> {
  const args = {
    ...fields(list),
    p_admin_id: caller.userId,
    p_session_id: caller.sessionId,
    p_codes: codesOf(code, status),
    p_after: readCursor(ErrorsPosition, cursor),
  };
  const { errors, next } = await database.call("admin_errors", args, ErrorsPage);
  return { status: 200, body: { errors, next_cursor: writeCursor(next) } };
}

/** The codes that are asked for; null for all. The log knows codes, and no status of an answer. */
function codesOf(code: string | undefined, status: string | undefined): string[] | null {
  if (status === undefined) return code === undefined ? null : [code];
  const codes = Object.entries(errorCodes).filter(([, error]) => String(error.status) === status).map((
    [name],
  ) => name);
  return code === undefined ? codes : codes.filter((name) => name === code);
}
