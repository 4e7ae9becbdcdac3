/** What is done to tell users when nobody waits: the inbox is written, and devices are told. */
import * as z from "zod/mini";
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import { type Attempt, attemptOf, type Handlers, type Task } from "../queue/task.ts";
import { deliverPush, type PushTaskPorts } from "./push.ts";

export interface NotifyTaskPorts extends PushTaskPorts {
  readonly database: Database;
}

export const notifyTasks: Handlers<NotifyTaskPorts> = {
  deliver_inbox: deliverInbox,
  deliver_push: deliverPush,
};

/** Null where the delivery is gone. */
const Delivered = z.object({ outcome: z.nullable(z.enum(["delivered", "dropped"])) });

/** Writes a notification into its user's inbox, and ends the task with it. */
async function deliverInbox(
  task: Task,
  { database }: NotifyTaskPorts,
  { log }: Attempt,
): Promise<void> {
  const args = { ...attemptOf(task), p_delivery_id: task.subject };
  const { outcome } = await whileDatabaseIsAway(() => database.call("deliver_inbox", args, Delivered));
  log.info("inbox_delivery", { delivery_id: task.subject, outcome });
}
