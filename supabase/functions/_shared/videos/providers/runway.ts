/** The adapter to Runway's tasks. Runway has no webhook: what becomes of a task is learned by asking. */
import type { RunwayConfig } from "../../platform/config.ts";
import { type ExchangeEnvironment, exchanges, unreachableBy, unreachableFor } from "./exchanges.ts";
import { misconfigured } from "./failures.ts";
import type { CancelOutcome, Generation, Provider, ProviderState, SubmitOutcome } from "./provider.ts";
import { isNotFound, readSubmission, readTask } from "./runway-answer.ts";
import { runwayInput } from "./runway-input.ts";

/** The version of the API that the answers are read by. */
const apiVersion = "2024-11-06";

/** The provider `runway`. It needs no references: a task's id is part of every URL. */
export function runwayProvider(
  { config, ...environment }: { config: RunwayConfig } & ExchangeEnvironment,
): Provider {
  const { now = Date.now } = environment;
  const { submit: send, ask } = exchanges({
    authorization: `Bearer ${config.secret}`,
    "x-runway-version": apiVersion,
  }, environment);
  const urlOf = (path: string) => `${config.apiUrl}/v1/${path}`;
  const taskUrl = (requestId: string) => urlOf(`tasks/${encodeURIComponent(requestId)}`);

  async function submit(generation: Generation): Promise<SubmitOutcome> {
    const input = runwayInput(generation);
    if (input === null) return misconfigured(`no input for ${generation.providerModel}`);
    return await send(urlOf(input.endpoint), { body: input.body }, (answer) => readSubmission(answer, now()));
  }

  async function poll(requestId: string): Promise<ProviderState> {
    try {
      return readTask(await ask("GET", taskUrl(requestId)));
    } catch (error) {
      return { state: "unreachable", ...unreachableFor(error) };
    }
  }

  /** The same request that cancels a task deletes one that has ended, and its video with it: so it is asked for first. */
  async function cancel(requestId: string): Promise<CancelOutcome> {
    const task = await poll(requestId);
    switch (task.state) {
      case "queued":
      case "running":
        return await deleteTask(requestId);
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

  async function deleteTask(requestId: string): Promise<CancelOutcome> {
    try {
      const answer = await ask("DELETE", taskUrl(requestId));
      // From here on nobody can fetch the task, so that nothing can come of it. Asked twice, it is gone the second time.
      if (answer.status >= 200 && answer.status < 300 || isNotFound(answer)) return { outcome: "cancelled" };
      return {
        outcome: "unreachable",
        ...unreachableBy(answer, `Runway answered ${answer.status} to the cancellation`),
      };
    } catch (error) {
      return { outcome: "unreachable", ...unreachableFor(error) };
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
    submit,
    poll,
    cancel,
    verifyWebhook: () => Promise.resolve({ valid: false, reason: "Runway has no webhooks" }),
  };
}
