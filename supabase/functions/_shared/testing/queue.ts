import type { QueueDatabase } from "../database/queue.ts";

const unexpected = () => Promise.reject(new Error("This test does not ask the queue for that"));

/** The procedures of the queue, of which a test gives those that it is about. Without others no task is due. */
export function fakeQueue(given: Partial<QueueDatabase> = {}): QueueDatabase {
  return {
    claimTasks: () => Promise.resolve([]),
    renewTasks: unexpected,
    retryTask: unexpected,
    ...given,
  };
}
