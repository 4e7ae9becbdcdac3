/** Hands a job to a provider: claim, send, record. Whoever gets there first does it; nobody does it twice. */
import type { Config } from "../platform/config.ts";
import type { ClaimedSubmission, GenerationDatabase } from "../database/generation.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import { sleep } from "../platform/fetch-with-retry.ts";
import type { Logger } from "../platform/logger.ts";
import type { Moderation } from "./moderation/moderation.ts";
import type { Provider, SubmitOutcome } from "./providers/provider.ts";
import type { Providers } from "./providers/registry.ts";
import { webhookUrl } from "./providers/webhook-token.ts";

export interface SubmitContext {
  readonly generation: Pick<GenerationDatabase, "claimSubmission" | "recordModeration" | "recordSubmission">;
  /** Null where there is no service to ask. */
  readonly moderation: Moderation | null;
  readonly providers: Providers;
  readonly config: Pick<Config, "publicFunctionsUrl" | "webhookSecret">;
  readonly log: Logger;
}

/** A provider that did not take the job is followed by the next at once; not after so long, or the lease is over. */
const longestSubmitting = 25_000;

/**
 * Submits the job, unless it is submitted already, its prompt is not let pass, or no provider is to be had now. A provider
 * that does not take it is followed by the next one, each asked once. Once the claim is committed the request is sent at
 * most once; an answer that cannot be recorded leaves the submission to its webhook or deadline. `pause` waits so many
 * milliseconds.
 */
export async function submitVideo(jobId: string, context: SubmitContext, pause = sleep): Promise<void> {
  const { config, providers } = context;
  const startedAt = performance.now();
  // Without the secret no webhook could be believed, so nothing is sent.
  let left = config.webhookSecret === null ? [] : providers.names;
  while (true) {
    const claim = await claimModerated(jobId, left, context);
    const provider = claim === null ? null : providers.get(claim.provider);
    if (claim === null || provider === null) return;
    const { has_others } = await sendTo(provider, jobId, claim, context, pause);
    left = left.filter((name) => name !== provider.name);
    if (!has_others || left.length === 0 || performance.now() - startedAt > longestSubmitting) return;
  }
}

/** Sends a claimed submission and records what became of it. */
async function sendTo(
  provider: Provider,
  jobId: string,
  claim: ClaimedSubmission,
  { generation, providers, config, log }: SubmitContext,
  pause: typeof sleep,
): Promise<{ has_others: boolean }> {
  const { webhook, pollIntervalSeconds, reportsStart } = provider.capabilities;
  const { publicFunctionsUrl, webhookSecret } = config;
  const startedAt = performance.now();
  let outcome: SubmitOutcome;
  try {
    outcome = await provider.submit({
      ...claim.generation,
      webhookUrl: webhook && webhookSecret !== null
        ? await webhookUrl({ publicFunctionsUrl, webhookSecret }, { ...claim, provider: provider.name })
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
  const record = () =>
    generation.recordSubmission(claim.submissionId, outcome, {
      reportsStart,
      pollSeconds: pollIntervalSeconds,
      providers: providers.names,
    });
  return await whileDatabaseIsAway(record, pause);
}

/** The claim of a job whose prompt the moderation service let pass, where there is one. */
async function claimModerated(
  jobId: string,
  providers: readonly string[],
  { generation, moderation, log }: SubmitContext,
): Promise<ClaimedSubmission | null> {
  const claim = () => generation.claimSubmission(jobId, { providers, moderates: moderation !== null });
  const claimed = await claim();
  if (claimed === null || "provider" in claimed) return claimed;
  if (moderation === null) throw new Error("Nobody is there to moderate a prompt");

  const startedAt = performance.now();
  const verdict = await moderation.judge(claimed.prompt);
  log[verdict.verdict === "unavailable" ? "warn" : "info"]("moderation", {
    job_id: jobId,
    verdict: verdict.verdict,
    ...("categories" in verdict ? { categories: verdict.categories } : {}),
    ...("cause" in verdict ? { cause: verdict.cause } : {}),
    duration_ms: Math.round(performance.now() - startedAt),
  });
  await generation.recordModeration(jobId, verdict);
  if (verdict.verdict !== "passed") return null;
  const again = await claim();
  return again !== null && "provider" in again ? again : null;
}
