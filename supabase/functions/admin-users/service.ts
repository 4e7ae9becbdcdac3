import type { Answer, Context } from "../_shared/endpoint/context.ts";
import type { AdminDatabase } from "../_shared/database/admin.ts";
import type { AdminUserQuery, AdminUserResponse, BanUserRequest } from "./schema.ts";

/** A user as the operator sees them. */
export async function readUser(
  query: AdminUserQuery,
  context: Context<"admin"> & { database: Pick<AdminDatabase, "readUser"> },
): Promise<Answer<AdminUserResponse>> {
  return { status: 200, body: await context.database.readUser(context.caller.userId, query.user_id) };
}

/** Suspends a user, whose sessions end and whose tokens every procedure refuses, or lets them in again. */
export async function banUser(
  request: BanUserRequest,
  context: Context<"admin"> & { database: Pick<AdminDatabase, "banUser"> },
): Promise<Answer<AdminUserResponse>> {
  const user = await context.database.banUser({
    adminId: context.caller.userId,
    requestId: context.requestId,
    userId: request.user_id,
    isBanned: request.action === "ban",
    reason: request.reason,
  });
  return { status: 200, body: user };
}
