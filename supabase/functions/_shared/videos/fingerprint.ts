/** The SHA-256 of a video in storage, for what was removed and for what may be the same. */
import { createHash } from "node:crypto";
import * as z from "zod/mini";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import type { Database } from "../database/call.ts";
import type { Storage } from "../platform/storage.ts";
import { attemptOf, factsOf, type Task } from "../queue/task.ts";
import { VideoTaskFacts } from "./procedures.ts";
import { filesIn } from "./store.ts";

/** As long as a store may stream. */
const maxReadingMilliseconds = 100_000;

/**
 * Hashes the job's video and tells the database, which knows what that means. A file that is not there has no hash. `count` is
 * told the bytes of each piece. WebCrypto hashes whole files only, and a video does not fit into an isolate twice. Throws
 * what may be tried again, and when `signal` is aborted.
 */
export async function fingerprintVideo(
  task: Task,
  { database, storage }: { readonly database: Database; readonly storage: Pick<Storage, "open"> },
  signal: AbortSignal,
  count: (bytes: number) => void,
): Promise<void> {
  const { folder } = factsOf(task, VideoTaskFacts);
  const end = AbortSignal.any([signal, AbortSignal.timeout(maxReadingMilliseconds)]);
  const video = await storage.open(filesIn(folder).video, end);
  const args = {
    ...attemptOf(task),
    p_job_id: task.subject,
    ...(video === null ? {} : { p_sha256: await sha256(video, count) }),
  };
  await whileDatabaseIsAway(() => database.call("record_fingerprint", args, z.unknown()));
}

async function sha256(content: ReadableStream<Uint8Array>, count: (bytes: number) => void): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of content) {
    hash.update(piece);
    count(piece.byteLength);
  }
  return hash.digest("hex");
}
