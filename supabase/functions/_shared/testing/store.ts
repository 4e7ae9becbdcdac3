/** An attempt to store a video, with ports that are the test's. */
import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import type { JobStatus } from "../videos/job-status.ts";
import { settableClock } from "./clock.ts";
import { fakeDatabase } from "./database.ts";
import { recordingLogger } from "./log.ts";
import { mp4 } from "./mp4.ts";
import { fakeProvider } from "./provider.ts";
import { type FakeStorage, fakeStorage } from "./storage.ts";
import { facts, jobId, storeTask } from "./tasks.ts";
import type { SignedUrls } from "../videos/signed-urls.ts";
import { type StoredAsset, storeVideo } from "../videos/store.ts";

export const videoUrl = "https://v3.fal.media/video.mp4";
export const thumbnailUrl = "https://v3.fal.media/thumbnail";
export const videoPath = `${facts.folder}/video.mp4`;
export const thumbnailPath = `${facts.folder}/thumbnail`;
export const jpeg = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 1, 2, 3);

/** Which attempt speaks: it fences off a late worker. */
export const attempt = { p_task_id: storeTask.task_id, p_attempt: 3, p_job_id: jobId };

/** An argument that is JSON for Postgres. */
export function given<Value>(argument: unknown): Value {
  return JSON.parse(JSON.stringify(argument));
}

export interface Scene {
  /** What the provider's host answers for the video, and for the thumbnail. */
  video?: () => Response | Promise<Response>;
  thumbnail?: () => Response | Promise<Response>;
  /** How the job ends, or has ended already, in the database's eyes. */
  stored?: () => Promise<{ status: JobStatus }>;
  unusable?: JobStatus;
  /** How often the database is away for an unusable result. */
  away?: number;
  storage?: FakeStorage;
}

/** Everything that storing touches, and what came of it. */
export function setting(
  { video, thumbnail, stored, unusable = "failed", away = 0, storage = fakeStorage() }: Scene,
) {
  const { log, lines } = recordingLogger();
  const signals: AbortSignal[] = [];
  const recorded: { assets: StoredAsset[]; urls: SignedUrls; files: string[] }[] = [];
  const causes: string[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    if (init?.signal) signals.push(init.signal);
    const answer = String(input).endsWith("thumbnail") ? thumbnail : video;
    return await (answer?.() ?? new Response(mp4()));
  };
  const context = {
    storage,
    log,
    now: settableClock().now,
    fetch,
    ...fakeDatabase({
      record_stored: ({ p_assets, p_urls, ...ofTask }) => {
        assert.deepEqual(ofTask, attempt);
        recorded.push({ assets: given(p_assets), urls: given(p_urls), files: [...storage.files.keys()] });
        return stored?.() ?? { status: "completed" };
      },
      record_unusable_result: ({ p_cause, ...ofTask }) => {
        assert.deepEqual(ofTask, attempt);
        causes.push(p_cause ?? "");
        return causes.length <= away ? Promise.reject(new AppError("ERR_6001")) : { status: unusable };
      },
    }),
  };
  return {
    ...{ storage, lines, signals, recorded, causes },
    run: (result: { thumbnailUrl?: string } = {}, signal = new AbortController().signal) => {
      const source = { provider: fakeProvider(), videoUrl, thumbnailUrl: null, ...result };
      return storeVideo({ ...storeTask, attempt: 3 }, source, facts.folder, context, signal);
    },
  };
}

/** A body of these pieces, which then fails, or ends where there is no error. */
export function pieces(content: readonly Uint8Array[], error?: Error): ReadableStream<Uint8Array> {
  const left = [...content];
  return new ReadableStream({
    pull: (controller) => {
      const piece = left.shift();
      if (piece) controller.enqueue(piece);
      else if (error) controller.error(error);
      else controller.close();
    },
  });
}
