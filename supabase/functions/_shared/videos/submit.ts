/** Hands a job to a provider: claim, send, record. Whoever gets there first does it; nobody does it twice. */
import type { Config } from "../platform/config.ts";
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import { AppError } from "../errors/app-error.ts";
import { codes } from "../errors/error-codes.ts";
import { sleep } from "../platform/sleep.ts";
import type { Logger } from "../platform/logger.ts";
import type { Storage } from "../platform/storage.ts";
import type { ImageOutcome } from "./images/fetched.ts";
import type { Moderation, Verdict } from "./moderation/moderation.ts";
import {
  Claim,
  type ClaimedSubmission,
  type FilesToSign,
  ImageToDo,
  inSql,
  RecordedSubmission,
} from "./procedures.ts";
import type { Provider, SubmitOutcome } from "./providers/provider.ts";
import type { Providers } from "./providers/registry.ts";
import { webhookUrl } from "./providers/webhook-token.ts";

export interface SubmitContext {
  readonly database: Database;
  /** Null where there is no service to ask. */
  readonly moderation: Moderation | null;
  readonly providers: Providers;
  readonly uploads: Pick<Storage, "sign">;
  /** Of videos. */
  readonly storage: Pick<Storage, "sign">;
  /**
   * Fetches the picture of a job that names its address, and writes its copy into the folder. Whoever answers users has none: it
   * is 28 kB of their bundle, and the CPU time of their isolate.
   */
  readonly fetchImage?: (image: { readonly url: string; readonly folder: string }) => Promise<ImageOutcome>;
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
  claim: SignedSubmission,
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
      videoUrl: claim.videoUrl,
      fields: claim.fields,
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

/** A claimed submission with URLs of the files that it is made from. */
type SignedSubmission = ClaimedSubmission & {
  readonly imageUrl: string | null;
  readonly videoUrl: string | null;
};

/** URLs of files of ours that a provider may read for as long as it may take to start. */
interface SignedFiles {
  readonly image: string | null;
  readonly video: string | null;
  /** By the ids of their uploads. */
  readonly pictures: ReadonlyMap<string, string>;
}

const noFiles: SignedFiles = { image: null, video: null, pictures: new Map() };

/** The claim of a job whose prompt, and whose pictures, the moderation service let pass, where there is one. */
async function claimModerated(
  jobId: string,
  providers: readonly string[],
  known: string | undefined,
  context: SubmitContext,
): Promise<SignedSubmission | null> {
  const { database, moderation } = context;
  const args = { p_job_id: jobId, p_providers: providers, p_moderates: moderation !== null };
  let prompt = moderation === null ? undefined : known;
  let files = noFiles;
  if (prompt === undefined) {
    const claim = await database.call("claim_submission", args, Claim);
    if (claim.claimed) return { ...claim, imageUrl: null, videoUrl: null };
    const image = await keptImage(jobId, claim, context);
    // There is none to be had now, or it ended the job.
    if (claim.image_url !== undefined && image.image_path === undefined) return null;
    files = await signFiles({ ...claim, ...image }, context);
    if (claim.prompt === undefined && files === noFiles) return null;
    prompt = claim.prompt;
  }
  const judged = prompt === undefined ? {} : { p_verdict: inSql(await judge(jobId, prompt, files, context)) };
  const signed = files === noFiles ? {} : { p_has_files: true };
  const claim = await database.call("claim_submission", { ...args, ...judged, ...signed }, Claim);
  if (!claim.claimed) return null;
  const urlOf = (value: string) => files.pictures.get(value) ?? value;
  const fields = Object.entries(claim.fields).map(([name, value]) => [
    name,
    typeof value === "string" ? urlOf(value) : Array.isArray(value) ? value.map(urlOf) : value,
  ]);
  return {
    ...claim,
    imageUrl: files.image,
    videoUrl: files.video,
    fields: Object.fromEntries(fields),
  };
}

/** Fetches the picture where that is to be done, and says what is to be done then. Throws ERR_6002. */
async function keptImage(jobId: string, image: ImageToDo, context: SubmitContext): Promise<ImageToDo> {
  const { image_url, image_folder, image_upload_id } = image;
  if (image_url === undefined || image_folder === undefined || image_upload_id === undefined) return image;
  // The worker fetches it, once this lease is over.
  if (context.fetchImage === undefined) return {};
  const startedAt = performance.now();
  const outcome = await context.fetchImage({ url: image_url, folder: image_folder });
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
 * URLs of cleaned copies and of stored videos, which nobody but us can write: what is judged is what the provider gets.
 * `noFiles` for a job that is made from none. Throws ERR_6002.
 */
async function signFiles(
  { image_path, image_seconds = 0, source_path, picture_paths = {}, files_seconds = 0 }:
    & ImageToDo
    & FilesToSign,
  { uploads, storage }: SubmitContext,
): Promise<SignedFiles> {
  const ids = Object.keys(picture_paths);
  if (image_path === undefined && source_path === undefined && ids.length === 0) return noFiles;
  async function sign(from: Pick<Storage, "sign">, path: string, seconds = files_seconds): Promise<string> {
    const [url] = await from.sign([path], seconds);
    if (!url) throw new AppError(codes["storage/failed"], { cause: `${path} is not in storage` });
    return url;
  }
  const [image, video, pictures] = await Promise.all([
    image_path === undefined ? null : sign(uploads, image_path, image_seconds),
    source_path === undefined ? null : sign(storage, source_path),
    Promise.all(
      Object.entries(picture_paths).map(async ([id, path]) => [id, await sign(uploads, path)] as const),
    ),
  ]);
  return { image, video, pictures: new Map(pictures) };
}

/** The service takes one picture at a time: of several verdicts the first that lets it not pass counts. */
async function judge(
  jobId: string,
  prompt: string,
  { image, pictures }: SignedFiles,
  context: SubmitContext,
): Promise<Verdict> {
  let verdict = await judgeOne(jobId, prompt, image, context);
  for (const picture of pictures.values()) {
    if (verdict.verdict !== "passed") break;
    verdict = await judgeOne(jobId, prompt, picture, context);
  }
  return verdict;
}

async function judgeOne(
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
