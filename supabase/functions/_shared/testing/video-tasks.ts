/** A task of a job, done with ports that are the test's. */
import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import type { Submission, VideoTaskFacts } from "../videos/procedures.ts";
import type { Provider } from "../videos/providers/provider.ts";
import type { Task } from "../queue/task.ts";
import type { Storage } from "../platform/storage.ts";
import { settableClock } from "./clock.ts";
import { testConfig } from "./config.ts";
import { fakeDatabase, type FakeProcedures } from "./database.ts";
import { recordingLogger } from "./log.ts";
import { mp4 } from "./mp4.ts";
import { fakeProvider, fakeProviders } from "./provider.ts";
import { fakeStorage } from "./storage.ts";
import { fakeWeb } from "./web.ts";
import { facts, submission, webhookSecret } from "./tasks.ts";
import { type VideoTaskPorts, videoTasks } from "../videos/tasks.ts";

/** A job of which the database knows these facts, whoever does a task of it, and what the database was told. */
export function setting(given: {
  facts?: Partial<VideoTaskFacts>;
  provider?: Partial<Provider>;
  database?: FakeProcedures;
  storage?: Partial<Storage>;
  fetch?: typeof fetch;
  /** How often the database is away for what it is told. */
  away?: number;
} = {}) {
  const clock = settableClock();
  const { log } = recordingLogger(clock.now);
  const told: [string, object][] = [];
  let failures = given.away ?? 0;
  const tell = (name: string, result: object) => (args: object) => {
    failures -= 1;
    if (failures >= 0) throw new AppError("ERR_6001");
    told.push([name, args]);
    return result;
  };
  const { database } = fakeDatabase({
    claim_submission: tell("claim_submission", { claimed: false }),
    record_poll: tell("record_poll", { status: "processing" }),
    record_cancel: tell("record_cancel", { status: "cancelled" }),
    record_stored: tell("record_stored", { status: "completed" }),
    record_files_deleted: tell("record_files_deleted", { deleted: 1 }),
    ...given.database,
  });
  const storage = fakeStorage(given.storage);
  const ports: VideoTaskPorts = {
    database,
    moderation: null,
    providers: fakeProviders(fakeProvider(given.provider)),
    storage,
    uploads: fakeStorage(),
    web: fakeWeb(),
    config: testConfig({ WEBHOOK_SECRET: webhookSecret }),
    log,
    fetch: given.fetch ?? (() => Promise.resolve(new Response(mp4()))),
    now: clock.now,
  };
  const run = async (task: Task, signal = new AbortController().signal) => {
    const handler = videoTasks[task.kind];
    assert(handler, task.kind);
    await handler({ facts: { ...facts, ...given.facts }, ...task }, ports, { log, signal });
  };
  return { told, storage, run };
}

export const queued = { poll: () => Promise.resolve({ state: "queued" } as const) };
export const lost: Submission = { ...submission, request_id: null, references: null };
export const elsewhere: Submission = { ...submission, provider: "runway" };
export const file = { content: new Uint8Array(1), contentType: "video/mp4" };
