import * as z from "zod/mini";
import { Notification, StoredNotification } from "../_shared/notify/contract.ts";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";
import { optional } from "../_shared/request/validation.ts";

export const NotificationsQuery = z.strictObject({
  ...pageQuery,
  unread: z.optional(z.enum(["true", "false"])),
});
export type NotificationsQuery = z.infer<typeof NotificationsQuery>;

/** What a cursor holds: the last notification that was shown. */
export const NotificationsPosition = z.strictObject({ created_at: positionTime, id: z.uuid() });

const unread = z.int().check(z.nonnegative());

/** A page as the database tells it, with where the next one begins; null at the end. */
export const NotificationsPage = z.object({
  notifications: z.array(StoredNotification),
  unread,
  next: z.nullable(NotificationsPosition),
});
export type NotificationsPage = z.infer<typeof NotificationsPage>;

export const NotificationsResponse = z.object({
  notifications: z.array(Notification),
  /** Of all of them, whatever the page shows. */
  unread,
  next_cursor: z.nullable(z.string()),
});
export type NotificationsResponse = z.infer<typeof NotificationsResponse>;

export const MarkReadRequest = z.strictObject({
  /** A page has no more. */
  ids: optional(z.array(z.guid().check(z.toLowerCase())).check(z.minLength(1), z.maxLength(100))),
  all: optional(z.literal(true)),
}).check(
  z.refine(({ ids, all }) => (ids === undefined) !== (all === undefined), "Must have either ids or all"),
  z.meta({ minProperties: 1 }),
);
export type MarkReadRequest = z.infer<typeof MarkReadRequest>;

export const Unread = z.object({ unread });
export type Unread = z.infer<typeof Unread>;
