import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { AdministeredUser } from "../_shared/ops/contract.ts";
import type { AdminUserQuery, BanUserRequest } from "./schema.ts";

/** A user as the operator sees them. */
export async function readUser(
  query: AdminUserQuery,
  { caller, database }: Context<"admin"> & { database: Database },
): Promise<Answer<AdministeredUser>> {
  const args = { ...fields(query), p_admin_id: caller.userId, p_session_id: caller.sessionId };
  return { status: 200, body: await database.call("get_admin_users", args, AdministeredUser) };
}

/** Suspends a user, whose sessions end and whose tokens every procedure refuses, keeps their data, or lifts that. */
export async function banUser(
  request: BanUserRequest,
  context: Context<"admin"> & { database: Database },
): Promise<Answer<AdministeredUser>> {
  const args = { ...fields(request), ...admin(context) };
  return { status: 200, body: await context.database.call("post_admin_users", args, AdministeredUser) };
}
