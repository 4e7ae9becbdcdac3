/** What is done for a job after it was accepted, a handler for each kind of task. */
import { codes } from "../errors/error-codes.ts";
import * as z from "zod/mini";
import { AppError } from "../errors/app-error.ts";
import type { Config } from "../platform/config.ts";
import { type Database, database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import type { Logger } from "../platform/logger.ts";
import { type Moderation, promptModeration } from "./moderation/moderation.ts";
import { type PublicWeb, publicWeb } from "../platform/public-web.ts";
import { platformFetch } from "../platform/platform-fetch.ts";
import { fetchImage } from "./images/fetched.ts";
import { DeletionFacts, inSql, JobState, VideoTaskFacts } from "./procedures.ts";
import type { Provider } from "./providers/provider.ts";
import { type Providers, videoProviders } from "./providers/registry.ts";
import {
  type Attempt,
  attemptOf,
  factsOf,
  type Handlers,
  lastOfSubject,
  NeedsOperator,
  payloadOf,
  type Task,
} from "../queue/task.ts";
import { type Storage, storage, type UploadStorage, uploadStorage } from "../platform/storage.ts";
import { fingerprintVideo } from "./fingerprint.ts";
import { readProviderAccounts } from "./accounts.ts";
import { storeRoom } from "./store-room.ts";
import { filesIn, storeVideo } from "./store.ts";
import { submitVideo } from "./submit.ts";

/** For the declarations of endpoints that go on with a job after their answer. */
export const videoTaskPorts = {
  database,
  moderation: promptModeration,
  providers: videoProviders,
  storage,
  uploads: uploadStorage,
  web: publicWeb,
  fetch: platformFetch,
};

export interface VideoTaskPorts {
  readonly database: Database;
  readonly moderation: Moderation | null;
  readonly providers: Providers;
  readonly storage: Storage;
  readonly uploads: UploadStorage;
  readonly web: PublicWeb;
  readonly config: Config;
  readonly log: Logger;
  readonly fetch: typeof fetch;
  now(): number;
}

const room = storeRoom();

export const videoTasks: Handlers<VideoTaskPorts> = {
  submit: (task, ports) =>
    submitVideo(task.subject, { ...ports, fetchImage: (image) => fetchImage(image, ports) }),
  poll,
  cancel,
  store: Object.assign(storeInRoom, { room }),
  // It reads as much as a store, and costs as much CPU with the hash as one with TLS to both sides.
  fingerprint: Object.assign(fingerprintInRoom, { room }),
  delete_files: deleteFiles,
  tidy_upload: tidyUpload,
  read_provider_accounts: readProviderAccounts,
};

/** An id that an event named, where we never learned one. */
const PollPayload = z.object({ request_id: z.optional(z.string()) });
const StorePayload = z.object({ video_url: z.string(), thumbnail_url: z.nullable(z.string()) });

function providerOf({ kind }: Task, { submission }: VideoTaskFacts, { providers }: VideoTaskPorts): Provider {
  const provider = submission === null ? null : providers.get(submission.provider);
  if (provider !== null) return provider;
  if (submission === null) throw new Error(`No submission to ${kind}`);
  // Its keys were there when it took the job.
  throw new AppError(codes["internal/error"], {
    cause: new NeedsOperator(`${submission.provider} is not configured`, {
      rule: "provider_not_configured",
      subject: submission.provider,
      details: {},
    }),
  });
}

async function poll(task: Task, ports: VideoTaskPorts): Promise<void> {
  const facts = factsOf(task, VideoTaskFacts);
  const provider = providerOf(task, facts, ports);
  const { submission } = facts;
  const requestId = submission?.request_id ?? payloadOf(task, PollPayload).request_id;
  if (submission === null || requestId === undefined) throw new Error("There is no request to ask for");
  const state = await provider.poll(requestId, submission.references ?? {}, submission.provider_model);
  await whileDatabaseIsAway(() =>
    ports.database.call("record_poll", {
      ...attemptOf(task),
      p_submission_id: submission.submission_id,
      p_request_id: requestId,
      p_state: inSql(state),
      p_interval_seconds: provider.capabilities.pollIntervalSeconds,
    }, JobState)
  );
}

async function cancel(task: Task, ports: VideoTaskPorts): Promise<void> {
  const { submission } = factsOf(task, VideoTaskFacts);
  const provider = submission === null ? null : ports.providers.get(submission.provider);
  const outcome = submission === null || submission.request_id === null || provider === null
    // No provider could be asked.
    ? { outcome: "no_request_id" }
    : await provider.cancel(submission.request_id, submission.references ?? {}, submission.provider_model);
  const args = { ...attemptOf(task), p_job_id: task.subject, p_outcome: inSql(outcome) };
  await whileDatabaseIsAway(() => ports.database.call("record_cancel", args, JobState));
}

/** One at a time, and only so much, for each isolate. */
async function storeInRoom(task: Task, ports: VideoTaskPorts, attempt: Attempt) {
  const { count, leave } = room.enter();
  try {
    // Of a completed job nothing is left to do; one that was cancelled meanwhile has files to be deleted.
    if (await store(task, ports, attempt, count)) return lastOfSubject;
  } finally {
    leave(ports.now());
  }
}

async function fingerprintInRoom(task: Task, ports: VideoTaskPorts, { signal }: Attempt): Promise<void> {
  const { count, leave } = room.enter();
  try {
    await fingerprintVideo(task, ports, signal, count);
  } finally {
    leave(ports.now());
  }
}

async function store(
  task: Task,
  ports: VideoTaskPorts,
  { signal }: Attempt,
  count: (bytes: number) => void,
): Promise<boolean> {
  const facts = factsOf(task, VideoTaskFacts);
  const { video_url, thumbnail_url } = payloadOf(task, StorePayload);
  const source = {
    provider: providerOf(task, facts, ports),
    videoUrl: video_url,
    thumbnailUrl: thumbnail_url,
  };
  try {
    return await storeVideo(task, source, facts.folder, ports, signal, count);
  } catch (error) {
    if (error instanceof AppError) throw error;
    // The host of a result may be away as our own storage may, and both end the job alike.
    throw new AppError(codes["storage/failed"], { cause: error });
  }
}

async function deleteFiles(task: Task, ports: VideoTaskPorts): Promise<void> {
  const { paths, folder, is_held } = factsOf(task, DeletionFacts);
  // Of a job that ended without assets, an attempt to store it may have left any file.
  if (!is_held) await ports.storage.remove(paths.length > 0 ? paths : Object.values(filesIn(folder)));
  const args = { ...attemptOf(task), p_job_id: task.subject };
  await whileDatabaseIsAway(() => ports.database.call("record_files_deleted", args, z.unknown()));
}

/** What storage has of an upload and nobody needs. */
const UploadFiles = z.object({ paths: z.array(z.string()) });

async function tidyUpload(task: Task, { database, uploads }: VideoTaskPorts): Promise<void> {
  const { paths } = await database.call("load_upload_files", { p_upload_id: task.subject }, UploadFiles);
  if (paths.length > 0) await uploads.remove(paths);
  const args = { ...attemptOf(task), p_upload_id: task.subject };
  await whileDatabaseIsAway(() => database.call("record_upload_tidied", args, z.unknown()));
}
