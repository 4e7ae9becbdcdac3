/** The adapter to Runway's tasks. Runway has no webhook: what becomes of a task is learned by asking. */
import type { RunwayConfig } from "../../../platform/config.ts";
import { type ExchangeEnvironment, exchanges, isSuccess } from "../exchanges.ts";
import type { CancelOutcome, Provider } from "../provider.ts";
import { readRunwayAccount } from "./account.ts";
import { isNotFound, readSubmission, readTask } from "./answer.ts";
import { runwayInput } from "./input.ts";

/** The version of the API that the answers are read by. */
const apiVersion = "2024-11-06";

/** The provider `runway`. It needs no references: a task's id is part of every URL. */
export function runwayProvider(
  { config, ...environment }: { config: RunwayConfig } & ExchangeEnvironment,
): Provider {
  const credentials = { authorization: `Bearer ${config.secret}`, "x-runway-version": apiVersion };
  const runway = exchanges("Runway", credentials, environment);
  const urlOf = (path: string) => `${config.apiUrl}/v1/${path}`;
  const taskUrl = (requestId: string) => urlOf(`tasks/${encodeURIComponent(requestId)}`);

  const poll = (requestId: string) => runway.poll(taskUrl(requestId), "task", readTask);

  /** The same request that cancels a task deletes one that has ended, and its video with it: so it is asked for first. */
  async function cancel(requestId: string): Promise<CancelOutcome> {
    const task = await poll(requestId);
    switch (task.state) {
      case "queued":
      case "running":
        // From here on nobody can fetch the task, so that nothing can come of it. Asked twice, it is gone the second time.
        return await runway.cancel(
          "DELETE",
          taskUrl(requestId),
          (answer) => isSuccess(answer) || isNotFound(answer) ? { outcome: "cancelled" } : null,
        );
      case "succeeded":
      case "failed":
        return { outcome: "too_late" };
      case "cancelled":
        return { outcome: "cancelled" };
      case "not_found":
        return { outcome: "not_found" };
      case "unreachable":
        return { ...task, outcome: "unreachable" };
    }
  }

  return {
    name: "runway",
    capabilities: {
      webhook: false,
      cancel: true,
      reportsStart: true,
      // Runway asks that a task is not fetched more often.
      pollIntervalSeconds: 5,
      resultHosts: config.resultHosts,
    },
    submit(generation) {
      const input = runwayInput(generation);
      return runway.submit(
        generation,
        input && { url: urlOf(input.endpoint), body: input.body },
        readSubmission,
      );
    },
    poll,
    cancel,
    verifyWebhook: () => Promise.resolve({ valid: false, reason: "Runway has no webhooks" }),
    account: (day) => readRunwayAccount(runway, config, day),
  };
}
