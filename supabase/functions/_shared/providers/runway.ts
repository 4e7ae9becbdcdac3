/** The adapter to Runway's tasks. Runway has no webhook: what becomes of a task is learned by asking. */
import { type BoundedAnswer, boundedFetch, describeFetchError } from "../bounded-fetch.ts";
import type { RunwayConfig } from "../config.ts";
import {
  maximumAnswerBytes,
  readTimeoutMilliseconds,
  submitTimeoutMilliseconds,
  withoutAnswer,
} from "./exchanges.ts";
import { rejected } from "./failures.ts";
import type { CancelOutcome, Generation, Provider, ProviderState, SubmitOutcome } from "./provider.ts";
import { readSubmission, readTask } from "./runway-answer.ts";
import { runwayInput } from "./runway-input.ts";

/** The version of the API that the answers are read by. */
const apiVersion = "2024-11-06";

/** The provider `runway`. It needs no references: a task's id is part of every URL. */
export function runwayProvider(
  { config, fetch, now = Date.now }: {
    config: RunwayConfig;
    fetch: typeof globalThis.fetch;
    now?: () => number;
  },
): Provider {
  function call(
    method: "GET" | "POST" | "DELETE",
    path: string,
    options: { timeoutMilliseconds: number; headers?: Record<string, string>; body?: string; once?: boolean },
  ): Promise<BoundedAnswer> {
    const headers = {
      ...options.headers,
      accept: "application/json",
      authorization: `Bearer ${config.secret}`,
      "x-runway-version": apiVersion,
    };
    const url = `${config.apiUrl}/v1/${path}`;
    return boundedFetch(fetch, url, { ...options, method, headers, maximumBytes: maximumAnswerBytes });
  }

  const pathOf = (requestId: string) => `tasks/${encodeURIComponent(requestId)}`;

  async function submit(generation: Generation): Promise<SubmitOutcome> {
    const input = runwayInput(generation);
    if (input === null) {
      return { outcome: "refused", failure: rejected(`no input for ${generation.providerModel}`) };
    }
    let answer: BoundedAnswer;
    try {
      answer = await call("POST", input.endpoint, {
        timeoutMilliseconds: submitTimeoutMilliseconds,
        headers: { "content-type": "application/json" },
        body: JSON.stringify(input.body),
        // Runway takes no idempotency key: a second request would be a second task, paid twice.
        once: true,
      });
    } catch (error) {
      return withoutAnswer(error);
    }
    return readSubmission(answer, now());
  }

  async function poll(requestId: string): Promise<ProviderState> {
    try {
      return readTask(await call("GET", pathOf(requestId), { timeoutMilliseconds: readTimeoutMilliseconds }));
    } catch (error) {
      return { state: "unreachable", cause: describeFetchError(error) };
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
        return { outcome: "unreachable", cause: task.cause };
    }
  }

  async function deleteTask(requestId: string): Promise<CancelOutcome> {
    try {
      const { status } = await call("DELETE", pathOf(requestId), {
        timeoutMilliseconds: readTimeoutMilliseconds,
      });
      // From here on nobody can fetch the task, so that nothing can come of it.
      if (status >= 200 && status < 300) return { outcome: "cancelled" };
      return { outcome: "unreachable", cause: `Runway answered ${status} to the cancellation` };
    } catch (error) {
      return { outcome: "unreachable", cause: describeFetchError(error) };
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
