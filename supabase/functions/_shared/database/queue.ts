/** The procedures that hand out tasks and take them back. */
import type { Port } from "../endpoint/context.ts";
import type { ErrorCode } from "../errors/error-codes.ts";
import type { Alert, Task } from "../queue/task.ts";
import { procedures } from "./procedures.ts";

export interface QueueDatabase {
  /** Of one subject, if it is named, and of no kind in `without`. */
  claimTasks(limit: number, subject?: string, without?: readonly string[]): Promise<Task[]>;
  /** Renews the leases of these attempts, and tells of each whether it has its task still. */
  renewTasks(tasks: readonly Task[]): Promise<boolean[]>;
  /** `code` and `reason` go to the error log, `alert` to the operator, who alone can mend it. */
  retryTask(
    task: Task,
    error: { code: ErrorCode; reason: string; alert?: Alert },
  ): Promise<{ state: "waiting" | "dead" | "lost" }>;
}

export const queue: Port<QueueDatabase> = (runtime) => {
  const call = procedures(runtime);
  return {
    claimTasks: (limit, subject, without = []) =>
      call("claim_tasks", { p_limit: limit, p_subject: subject ?? null, p_without: [...without] }),
    renewTasks: async (tasks) => {
      const { kept } = await call<{ kept: boolean[] }, "renew_tasks">("renew_tasks", {
        p_task_ids: tasks.map(({ task_id }) => task_id),
        p_attempts: tasks.map(({ attempt }) => attempt),
      });
      return kept;
    },
    retryTask: (task, { code, reason, alert }) =>
      call("retry_task", {
        p_task_id: task.task_id,
        p_attempt: task.attempt,
        p_error: reason,
        p_code: code,
        ...(alert === undefined ? {} : { p_alert: { ...alert } }),
      }),
  };
};
