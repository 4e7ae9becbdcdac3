import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { type AccountTaskPorts, accountTasks } from "../_shared/accounts/tasks.ts";
import { type NotifyTaskPorts, notifyTasks } from "../_shared/notify/tasks.ts";
import { type PurchaseTaskPorts, purchaseTasks } from "../_shared/purchases/tasks.ts";
import { work } from "../_shared/queue/worker.ts";
import { type WebhookTaskPorts, webhookTasks } from "../_shared/webhooks/tasks.ts";
import { type VideoTaskPorts, videoTasks } from "../_shared/videos/tasks.ts";
import type { ProcessJobsResponse } from "./schema.ts";

const handlers = { ...videoTasks, ...accountTasks, ...purchaseTasks, ...notifyTasks, ...webhookTasks };

/** Answers at once and works in the background. Several workers at once never do a task twice. */
export function processJobs(
  _input: unknown,
  context:
    & Context<"worker">
    & VideoTaskPorts
    & AccountTaskPorts
    & PurchaseTaskPorts
    & NotifyTaskPorts
    & WebhookTaskPorts,
): Promise<Answer<ProcessJobsResponse>> {
  context.waitUntil(() => work(context, handlers));
  return Promise.resolve({ status: 202, body: { accepted: true } });
}
