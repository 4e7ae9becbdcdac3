/** Hands a job to a provider: claim, send, record. Whoever gets there first does it; nobody does it twice. */
import type { Config } from "../platform/config.ts";
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import { AppError } from "../errors/app-error.ts";
import { codes } from "../errors/error-codes.ts";
import { sleep } from "../platform/sleep.ts";
import type { Logger } from "../platform/logger.ts";
import type { PublicWeb } from "../platform/public-web.ts";
import type { UploadStorage } from "../platform/storage.ts";
import { fetchImage } from "./images/fetched.ts";
import type { Moderation, Verdict } from "./moderation/moderation.ts";
import { Claim, type ClaimedSubmission, ImageToDo, inSql, RecordedSubmission } from "./procedures.ts";
import type { Provider, SubmitOutcome } from "./providers/provider.ts";
import type { Providers } from "./providers/registry.ts";
import { webhookUrl } from "./providers/webhook-token.ts";

export interface SubmitContext {
  readonly database: Database;
  /** Null where there is no service to ask. */
  readonly moderation: Moderation | null;
  readonly providers: Providers;
  readonly uploads: Pick<UploadStorage, "sign" | "upload">;
  /** Where the pictures are that jobs name by their addresses. */
  readonly web: PublicWeb;
  readonly config: Pick<Config, "publicFunctionsUrl" | "webhookSecret">;
  readonly log: Logger;
}

/** A provider that did not take the job is followed by the next at once; not after so long, or the lease is over. */
const maxSubmittingMilliseconds = 25_000;

/**
 * Submits the job, unless it is submitted already, its prompt is not let pass, or no provider is to be had now. A provider
 * that does not take it is followed by the next one, each asked once. Once the claim is committed the request is sent at
 * most once; an answer that cannot be recorded leaves the submission to its webhook or deadline. `prompt` is the job's, where
 * the caller knows it: the moderation service is then asked before the database. `pause` waits so many milliseconds.
 */
export async function submitVideo(
  jobId: string,
  context: SubmitContext,
  { prompt, pause = sleep }: { prompt?: string | undefined; pause?: typeof sleep } = {},
): Promise<void> {
  const { config, providers } = context;
  const startedAt = performance.now();
  // Without the secret no webhook could be believed, so nothing is sent.
  let left = config.webhookSecret === null ? [] : providers.names;
  let known = prompt;
  while (true) {
    const claim = await claimModerated(jobId, left, known, context);
    // It was let pass, which is remembered.
    known = undefined;
    const provider = claim === null ? null : providers.get(claim.provider);
    if (claim === null || provider === null) return;
    const { has_others } = await sendTo(provider, jobId, claim, context, pause);
    left = left.filter((name) => name !== provider.name);
    if (!has_others || left.length === 0 || performance.now() - startedAt > maxSubmittingMilliseconds) return;
  }
}

/** Sends a claimed submission and records what became of it. */
async function sendTo(
  provider: Provider,
  jobId: string,
  claim: Moderated,
  { database, providers, config, log }: SubmitContext,
  pause: typeof sleep,
): Promise<RecordedSubmission> {
  const { webhook, pollIntervalSeconds, reportsStart } = provider.capabilities;
  const { publicFunctionsUrl, webhookSecret } = config;
  const startedAt = performance.now();
  let outcome: SubmitOutcome;
  try {
    outcome = await provider.submit({
      providerModel: claim.provider_model,
      prompt: claim.prompt,
      durationSeconds: claim.settings.duration_seconds,
      resolution: claim.settings.resolution,
      aspectRatio: claim.settings.aspect_ratio,
      imageUrl: claim.imageUrl,
      webhookUrl: webhook && webhookSecret !== null
        ? webhookUrl({ publicFunctionsUrl, webhookSecret }, {
          ownerReference: claim.owner_reference,
          provider: provider.name,
          submissionId: claim.submission_id,
        })
        : null,
    });
  } catch (error) {
    // An adapter does not throw; where one does all the same, nothing proves that the request did not leave.
    outcome = { outcome: "unknown", cause: error instanceof Error ? error.message : String(error) };
  }
  log[outcome.outcome === "accepted" ? "info" : "warn"]("submission", {
    job_id: jobId,
    submission_id: claim.submission_id,
    provider: provider.name,
    outcome: outcome.outcome,
    ...("cause" in outcome ? { cause: outcome.cause } : {}),
    ...("failure" in outcome ? { code: outcome.failure.code, cause: outcome.failure.cause } : {}),
    duration_ms: Math.round(performance.now() - startedAt),
  });
  const record = () =>
    database.call("record_submission", {
      p_submission_id: claim.submission_id,
      p_outcome: inSql({ ...outcome, reportsStart }),
      p_poll_seconds: pollIntervalSeconds,
      // All that are configured.
      p_providers: providers.names,
    }, RecordedSubmission);
  return await whileDatabaseIsAway(record, pause);
}

/** A claim, with a URL of the picture as it was judged; null for a job without one. */
type Moderated = ClaimedSubmission & { readonly imageUrl: string | null };

/** The claim of a job whose prompt, and whose picture, the moderation service let pass, where there is one. */
async function claimModerated(
  jobId: string,
  providers: readonly string[],
  known: string | undefined,
  context: SubmitContext,
): Promise<Moderated | null> {
  const { database, moderation } = context;
  const args = { p_job_id: jobId, p_providers: providers, p_moderates: moderation !== null };
  let prompt = moderation === null ? undefined : known;
  let imageUrl: string | null = null;
  if (prompt === undefined) {
    const claim = await database.call("claim_submission", args, Claim);
    if (claim.claimed) return { ...claim, imageUrl };
    imageUrl = await signImage(await keptImage(jobId, claim, context), context);
    // There is none to be had now, or it ended the job.
    if (imageUrl === null && claim.image_url !== undefined) return null;
    if (claim.prompt === undefined && imageUrl === null) return null;
    prompt = claim.prompt;
  }
  const judged = prompt === undefined
    ? {}
    : { p_verdict: inSql(await judge(jobId, prompt, imageUrl, context)) };
  const signed = imageUrl === null ? {} : { p_has_image: true };
  const claim = await database.call("claim_submission", { ...args, ...judged, ...signed }, Claim);
  return claim.claimed ? { ...claim, imageUrl } : null;
}

/** Fetches the picture where that is to be done, and says what is to be done then. Throws ERR_6002. */
async function keptImage(jobId: string, image: ImageToDo, context: SubmitContext): Promise<ImageToDo> {
  const { image_url, image_folder, image_upload_id } = image;
  if (image_url === undefined || image_folder === undefined || image_upload_id === undefined) return image;
  const startedAt = performance.now();
  const outcome = await fetchImage({ url: image_url, folder: image_folder }, context);
  context.log[outcome.outcome === "unavailable" ? "warn" : "info"]("image", {
    job_id: jobId,
    outcome: outcome.outcome,
    ...("reason" in outcome ? { reason: outcome.reason } : {}),
    ...("cause" in outcome ? { cause: outcome.cause } : {}),
    duration_ms: Math.round(performance.now() - startedAt),
  });
  const args = { p_job_id: jobId, p_upload_id: image_upload_id, p_outcome: inSql(outcome) };
  return await context.database.call("record_image", args, ImageToDo);
}

/**
 * A URL of the cleaned copy, which nobody but us can write: what is judged is what the provider gets. Null for a job without
 * an upload. Throws ERR_6002.
 */
async function signImage(
  { image_path, image_seconds = 0 }: ImageToDo,
  { uploads }: SubmitContext,
): Promise<string | null> {
  if (image_path === undefined) return null;
  const [url] = await uploads.sign([image_path], image_seconds);
  if (!url) throw new AppError(codes["storage/failed"], { cause: `${image_path} is not in storage` });
  return url;
}

async function judge(
  jobId: string,
  prompt: string,
  imageUrl: string | null,
  { moderation, log }: SubmitContext,
): Promise<Verdict> {
  if (moderation === null) throw new Error("Nobody is there to moderate a prompt");
  const startedAt = performance.now();
  const verdict = await moderation.judge(prompt, imageUrl);
  log[verdict.verdict === "unavailable" ? "warn" : "info"]("moderation", {
    job_id: jobId,
    verdict: verdict.verdict,
    ...("categories" in verdict ? { categories: verdict.categories } : {}),
    ...("cause" in verdict ? { cause: verdict.cause } : {}),
    duration_ms: Math.round(performance.now() - startedAt),
  });
  return verdict;
}
