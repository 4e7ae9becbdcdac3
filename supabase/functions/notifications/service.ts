import { actor, type Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { notificationIn } from "../_shared/notify/contract.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import {
  type MarkReadRequest,
  NotificationsPage,
  NotificationsPosition,
  type NotificationsQuery,
  type NotificationsResponse,
  Unread,
} from "./schema.ts";

type NotificationsContext = Context<"user"> & { database: Database };

/** A page of the caller's inbox, in the language of the answer. */
export async function listNotifications(
  { limit, cursor, unread }: NotificationsQuery,
  context: NotificationsContext,
): Promise<Answer<NotificationsResponse>> {
  const args = {
    ...actor(context),
    p_limit: limit,
    p_after: readCursor(NotificationsPosition, cursor),
    p_unread: unread === "true",
  };
  const page = await context.database.call("get_notifications", args, NotificationsPage);
  const language = context.answerLanguage();
  return {
    status: 200,
    body: {
      notifications: page.notifications.map((notification) => notificationIn(language, notification)),
      unread: page.unread,
      next_cursor: writeCursor(page.next),
    },
  };
}

/** Marks some of the caller's inbox as read, or all of it. */
export async function markRead(
  { ids }: MarkReadRequest,
  context: NotificationsContext,
): Promise<Answer<Unread>> {
  const args = { ...actor(context), p_ids: ids ?? null };
  return { status: 200, body: await context.database.call("patch_notifications", args, Unread) };
}
