/** Hands a job to a provider: claim, send, record. Whoever gets there first does it; nobody does it twice. */
import type { Config } from "../config.ts";
import type { GenerationDatabase } from "../database/generation.ts";
import type { Logger } from "../logger.ts";
import type { SubmitOutcome } from "../providers/provider.ts";
import type { Providers } from "../providers/registry.ts";
import { webhookUrl } from "../providers/webhook-token.ts";

export interface SubmitContext {
  readonly generation: Pick<GenerationDatabase, "claimSubmission" | "recordSubmission">;
  readonly providers: Providers;
  readonly config: Pick<Config, "publicFunctionsUrl" | "webhookSecret">;
  readonly log: Logger;
}

/**
 * Submits the job, unless it is submitted already or no provider is to be had now. Once the claim is committed the
 * request is sent at most once; an answer that cannot be recorded leaves the submission to its webhook or deadline.
 */
export async function submitVideo(jobId: string, context: SubmitContext): Promise<void> {
  const { generation, providers, config, log } = context;
  const { webhookSecret } = config;
  // Without the secret no webhook could be believed, so nothing is sent.
  const claim = await generation.claimSubmission(jobId, webhookSecret === null ? [] : providers.names);
  const provider = claim === null ? null : providers.get(claim.provider);
  if (claim === null || provider === null || webhookSecret === null) return;

  const { webhook, pollIntervalSeconds, reportsStart } = provider.capabilities;
  const startedAt = performance.now();
  let outcome: SubmitOutcome;
  try {
    outcome = await provider.submit({
      ...claim.generation,
      webhookUrl: webhook
        ? await webhookUrl({ ...config, webhookSecret }, provider.name, claim.submissionId)
        : null,
    });
  } catch (error) {
    // An adapter does not throw; where one does all the same, nothing proves that the request did not leave.
    outcome = { outcome: "unknown", cause: error instanceof Error ? error.message : String(error) };
  }
  log[outcome.outcome === "accepted" ? "info" : "warn"]("submission", {
    job_id: jobId,
    submission_id: claim.submissionId,
    provider: provider.name,
    outcome: outcome.outcome,
    ...("cause" in outcome ? { cause: outcome.cause } : {}),
    ...("failure" in outcome ? { code: outcome.failure.code, cause: outcome.failure.cause } : {}),
    duration_ms: Math.round(performance.now() - startedAt),
  });
  await generation.recordSubmission(claim.submissionId, outcome, {
    reportsStart,
    pollSeconds: pollIntervalSeconds,
  });
}
