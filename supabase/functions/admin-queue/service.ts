import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import {
  type GetAdminQueueQuery,
  type GetAdminQueueResponse,
  type PostAdminQueueRequest,
  PostAdminQueueResponse,
  QueuePage,
  QueuePosition,
} from "./schema.ts";

type AdminContext = Context<"admin"> & { database: Database };

/** What the queue has of each kind of task, and a page of its dead letters. */
export async function listDeadTasks(
  { cursor, ...list }: GetAdminQueueQuery,
  { caller, database }: AdminContext,
): Promise<Answer<GetAdminQueueResponse>> {
  const args = {
    ...fields(list),
    p_admin_id: caller.userId,
    p_session_id: caller.sessionId,
    p_after: readCursor(QueuePosition, cursor),
  };
  const { next, ...page } = await database.call("get_admin_queue", args, QueuePage);
  return { status: 200, body: { ...page, next_cursor: writeCursor(next) } };
}

/** Has a dead letter tried again. Throws ERR_4007 where there is no such task, and ERR_4009 for one that is not dead. */
export async function replayTask(
  request: PostAdminQueueRequest,
  context: AdminContext,
): Promise<Answer<PostAdminQueueResponse>> {
  const args = { ...fields(request), ...admin(context) };
  return { status: 200, body: await context.database.call("post_admin_queue", args, PostAdminQueueResponse) };
}
