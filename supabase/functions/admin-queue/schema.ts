import * as z from "zod/mini";
import { Reason } from "../_shared/ops/contract.ts";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";

export const GetAdminQueueQuery = z.strictObject({
  ...pageQuery,
  kind: z.optional(z.string().check(z.regex(/^[a-z_]{1,50}$/, "Must be a name of lower-case letters and _"))),
});
export type GetAdminQueueQuery = z.infer<typeof GetAdminQueueQuery>;

const count = z.int().check(z.nonnegative());
const timestamp = z.iso.datetime({ precision: 3 });

/** What the queue has of a kind of task. */
export const QueueKind = z.object({
  kind: z.string(),
  /** What may be worked now. */
  due: count,
  /** What a worker has. */
  running: count,
  dead: count,
  oldest_due_seconds: z.number(),
});
export type QueueKind = z.infer<typeof QueueKind>;

export const QueueTask = z.object({
  task_id: z.int().check(z.positive()),
  kind: z.string(),
  /** What it is about: a job, a user. */
  subject: z.guid(),
  /** Null for the platform itself. */
  owner_id: z.nullable(z.guid()),
  /** The request that it goes back to. */
  request_id: z.nullable(z.string()),
  attempts: count,
  last_error: z.nullable(z.string()),
  run_at: timestamp,
  /** Null for one that is not dead. */
  failed_at: z.nullable(timestamp),
  created_at: timestamp,
});
export type QueueTask = z.infer<typeof QueueTask>;

/** What a cursor holds: the last dead letter that was shown. */
export const QueuePosition = z.strictObject({ failed_at: positionTime, id: z.int().check(z.positive()) });

/** A page as the database tells it, with where the next one begins; null at the end. */
export const QueuePage = z.object({
  kinds: z.array(QueueKind),
  tasks: z.array(QueueTask),
  next: z.nullable(QueuePosition),
});
export type QueuePage = z.infer<typeof QueuePage>;

export const GetAdminQueueResponse = z.extend(z.omit(QueuePage, { next: true }), {
  next_cursor: z.nullable(z.string()),
});
export type GetAdminQueueResponse = z.infer<typeof GetAdminQueueResponse>;

export const PostAdminQueueRequest = z.strictObject({
  task_id: z.int().check(z.positive()),
  reason: Reason,
});
export type PostAdminQueueRequest = z.infer<typeof PostAdminQueueRequest>;

export const PostAdminQueueResponse = z.object({ task: QueueTask });
export type PostAdminQueueResponse = z.infer<typeof PostAdminQueueResponse>;
