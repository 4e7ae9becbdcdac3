import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import type { Submission, VideoTaskFacts } from "./procedures.ts";
import type { Provider, ProviderState } from "./providers/provider.ts";
import { attemptOf, NeedsOperator, type Task } from "../queue/task.ts";
import { work } from "../queue/worker.ts";
import type { Storage } from "../platform/storage.ts";
import { settableClock } from "../testing/clock.ts";
import { testConfig } from "../testing/config.ts";
import { fakeDatabase, type FakeProcedures } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import { box, mp4 } from "../testing/mp4.ts";
import { withoutPauses } from "../testing/pauses.ts";
import { fakeProvider, fakeProviders } from "../testing/provider.ts";
import { fakeStorage } from "../testing/storage.ts";
import {
  cancelTask,
  deleteFilesTask,
  facts,
  filePaths,
  jobId,
  pollTask,
  storeTask,
  submission,
  submitTask,
} from "../testing/tasks.ts";
import { type VideoTaskPorts, videoTasks } from "./tasks.ts";

/** A job of which the database knows these facts, whoever does a task of it, and what the database was told. */
function setting(given: {
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
  const loaded: unknown[] = [];
  let failures = given.away ?? 0;
  const tell = (name: string, result: object) => (args: object) => {
    failures -= 1;
    if (failures >= 0) throw new AppError("ERR_6001");
    told.push([name, args]);
    return result;
  };
  const { database } = fakeDatabase({
    load_video_task: (args) => {
      loaded.push(args);
      return { ...facts, ...given.facts };
    },
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
    config: testConfig({ WEBHOOK_SECRET: "a secret of thirty-two characters" }),
    log,
    fetch: given.fetch ?? (() => Promise.resolve(new Response(mp4()))),
    now: clock.now,
  };
  const run = async (task: Task, signal = new AbortController().signal) => {
    const handler = videoTasks[task.kind];
    assert(handler, task.kind);
    await handler(task, ports, { log, signal });
  };
  return { told, loaded, storage, run };
}

const queued = { poll: () => Promise.resolve({ state: "queued" } as const) };
const lost: Submission = { ...submission, request_id: null, references: null };
const elsewhere: Submission = { ...submission, provider: "runway" };
const file = { content: new Uint8Array(1), contentType: "video/mp4" };

Deno.test("there is a handler for each kind of task that a job has", () => {
  assert.deepEqual(Object.keys(videoTasks).sort(), ["cancel", "delete_files", "poll", "store", "submit"]);
});

Deno.test("a submit task submits its job, and needs nothing else of it", async () => {
  const { run, told, loaded } = setting();
  await run(submitTask);
  assert.deepEqual(told, [["claim_submission", {
    p_job_id: jobId,
    p_providers: ["fal"],
    p_moderates: false,
  }]]);
  assert.deepEqual(loaded, []);
});

Deno.test("every other task begins with what the database knows of its job now", async () => {
  for (const task of [pollTask, cancelTask, storeTask, deleteFilesTask]) {
    const { run, loaded } = setting({
      provider: { ...queued, cancel: () => Promise.resolve({ outcome: "requested" }) },
    });
    await run(task);
    assert.deepEqual(loaded, [{ p_job_id: jobId }]);

    const away = new AppError("ERR_6001");
    const failing = setting({ database: { load_video_task: () => Promise.reject(away) } });
    await assert.rejects(failing.run(task), away);
    assert.deepEqual(failing.told, []);
  }
});

Deno.test("a store task brings the video into the job's folder of storage", async () => {
  const fetched: string[] = [];
  const { run, told, storage } = setting({
    fetch: (input) => {
      fetched.push(String(input));
      return Promise.resolve(new Response(mp4()));
    },
  });
  await run(storeTask);
  assert.deepEqual(fetched, [storeTask.payload.video_url]);
  assert.deepEqual([...storage.files.keys()], [`${facts.folder}/video.mp4`]);
  assert.deepEqual(told.map(([name]) => name), ["record_stored"]);
});

Deno.test("a result is fetched from nowhere but its provider's hosts; at another one it waits for the operator", async () => {
  const { run, told } = setting({
    provider: { capabilities: { ...fakeProvider().capabilities, resultHosts: ["media.example.com"] } },
    fetch: () => assert.fail("nobody is asked"),
  });
  await assert.rejects(run(storeTask), (error: Error) => {
    assert(error.cause instanceof NeedsOperator);
    assert.deepEqual([error.cause.alert.rule, error.cause.alert.subject], [
      "result_host",
      "fal v3.fal.media",
    ]);
    return true;
  });
  assert.deepEqual(told, [], "the job does not end");
});

Deno.test("a thumbnail that the payload names is stored beside its video", async () => {
  const payload = { ...storeTask.payload, thumbnail_url: "https://v3.fal.media/thumbnail" };
  const jpeg = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 1, 2, 3);
  const { run, storage } = setting({
    fetch: (input) => Promise.resolve(new Response(String(input).endsWith("thumbnail") ? jpeg : mp4())),
  });
  await run({ ...storeTask, payload });
  assert.deepEqual([...storage.files.keys()], filePaths);
});

Deno.test("where a result cannot be fetched or kept, that is the storage's failure, by its code", async () => {
  const failing = (error: Error) => () => Promise.reject(error);
  const bug = new AppError("ERR_6003", { cause: new Error("a bug") });
  const cases: [Parameters<typeof setting>[0], string, RegExp][] = [
    [{ fetch: failing(new TypeError("no connection")) }, "ERR_6002", /no connection/],
    [{ storage: { upload: failing(new Error("away")) } }, "ERR_6002", /away/],
    [{ database: { record_stored: failing(bug) } }, "ERR_6003", /a bug/],
  ];
  for (const [given, code, reason] of cases) {
    await assert.rejects(setting(given).run(storeTask), (error: AppError) => {
      assert.equal(error.code, code);
      assert.match(error.cause instanceof Error ? error.cause.message : String(error.cause), reason);
      return true;
    });
  }
});

Deno.test("an attempt to store that is told to stop gives up its streams", async () => {
  const abort = new AbortController();
  const { run, told } = setting({
    // A host that sends nothing more.
    fetch: (_input, init) => {
      const signal = init?.signal;
      assert(signal);
      const { promise, reject } = Promise.withResolvers<Response>();
      signal.addEventListener("abort", () => reject(signal.reason));
      abort.abort(new Error("another has the task"));
      return promise;
    },
  });
  await assert.rejects(run(storeTask, abort.signal), (error: AppError) => {
    assert.equal(error.code, "ERR_6002");
    assert.equal(error.cause, abort.signal.reason);
    return true;
  });
  assert.deepEqual(told, []);
});

Deno.test("a poll asks for the request that is recorded, and records the provider's word with the names that SQL reads", async () => {
  const words: [ProviderState, object][] = [
    [{ state: "running", percent: 40 }, { state: "running", percent: 40 }],
    [
      { state: "succeeded", videoUrl: "v", thumbnailUrl: null },
      { state: "succeeded", video_url: "v", thumbnail_url: null },
    ],
    [
      { state: "unreachable", cause: "401", needsOperator: true },
      { state: "unreachable", cause: "401", needs_operator: true },
    ],
  ];
  for (const [state, written] of words) {
    const asked: unknown[] = [];
    const { run, told } = setting({
      provider: {
        poll: (...args) => {
          asked.push(args);
          return Promise.resolve(state);
        },
      },
    });
    await run(pollTask);
    assert.deepEqual(asked, [["request-1", submission.references, "fal-ai/veo3/fast"]]);
    assert.deepEqual(told, [["record_poll", {
      ...attemptOf(pollTask),
      p_submission_id: submission.submission_id,
      p_request_id: "request-1",
      p_state: written,
      p_interval_seconds: 2,
    }]]);
  }
});

Deno.test("the id that an event named is asked for only where we never learned one", async () => {
  const task = { ...pollTask, payload: { request_id: "request-9" } };
  const cases: [Submission, unknown[]][] = [
    [lost, ["request-9", {}]],
    [submission, ["request-1", submission.references]],
  ];
  for (const [submission, expected] of cases) {
    const asked: unknown[] = [];
    const { run, told } = setting({
      facts: { submission },
      provider: {
        poll: (requestId, references) => {
          asked.push(requestId, references);
          return Promise.resolve({ state: "queued" });
        },
      },
    });
    await run(task);
    assert.deepEqual(asked, expected);
    assert.deepEqual(told.map(([name]) => name), ["record_poll"]);
  }
});

/** What is recorded of a cancel task. */
const ofCancel = (outcome: object) => ({ ...attemptOf(cancelTask), p_job_id: jobId, p_outcome: outcome });

Deno.test("a cancel asks the provider where it has the job, and records its word", async () => {
  const asked: unknown[] = [];
  const { run, told } = setting({
    provider: {
      cancel: (...args) => {
        asked.push(args);
        return Promise.resolve({ outcome: "requested" });
      },
    },
  });
  await run(cancelTask);
  assert.deepEqual(asked, [["request-1", submission.references, "fal-ai/veo3/fast"]]);
  assert.deepEqual(told, [["record_cancel", ofCancel({ outcome: "requested" })]]);
});

Deno.test("a cancel without anybody to ask says so", async () => {
  for (const submission of [null, lost, elsewhere]) {
    const { run, told } = setting({ facts: { submission } });
    await run(cancelTask);
    assert.deepEqual(told, [["record_cancel", ofCancel({ outcome: "no_request_id" })]]);
  }
});

Deno.test("the files of a deleted job are removed from storage before that is recorded", async () => {
  const paths = ["elsewhere/video.mp4", "elsewhere/thumbnail"];
  const { run, told, storage } = setting({ facts: { paths } });
  for (const path of [...paths, ...filePaths]) storage.files.set(path, file);
  await run(deleteFilesTask);
  assert.deepEqual([...storage.files.keys()], filePaths, "those go that the database knows");
  assert.deepEqual(told, [["record_files_deleted", { ...attemptOf(deleteFilesTask), p_job_id: jobId }]]);

  const away = new AppError("ERR_6002");
  const failing = setting({ facts: { paths }, storage: { remove: () => Promise.reject(away) } });
  await assert.rejects(failing.run(deleteFilesTask), away);
  assert.deepEqual(failing.told, []);
});

Deno.test("of a job that ended without assets, whatever an attempt to store it left is removed", async () => {
  const { run, told, storage } = setting({ facts: { paths: [] } });
  for (const path of [...filePaths, "another"]) storage.files.set(path, file);
  await run(deleteFilesTask);
  assert.deepEqual([...storage.files.keys()], ["another"]);
  assert.deepEqual(told.map(([name]) => name), ["record_files_deleted"]);
});

Deno.test("a task that cannot be done here fails: no submission, no request, no payload that its makers promise", async () => {
  const cases: [Task, Submission | null, RegExp][] = [
    [pollTask, null, /No submission to poll/],
    [storeTask, null, /No submission to store/],
    [pollTask, lost, /There is no request to ask for/],
    [{ ...pollTask, payload: { request_id: 9 } }, lost, /request_id/],
    [{ ...storeTask, payload: {} }, submission, /video_url/],
    [{ ...storeTask, payload: null }, submission, /object/],
  ];
  for (const [task, submission, reason] of cases) {
    const { run, told } = setting({ facts: { submission } });
    // What is no AppError is a bug by its code.
    await assert.rejects(run(task), (error: unknown) => {
      assert(error instanceof Error && !(error instanceof AppError));
      assert.match(error.message, reason);
      return true;
    });
    assert.deepEqual(told, []);
  }
});

Deno.test("a provider whose keys are gone is the operator's to bring back, and the job waits", async () => {
  for (const task of [pollTask, storeTask]) {
    const { run, told } = setting({ facts: { submission: elsewhere } });
    await assert.rejects(run(task), (error: Error) => {
      assert(error.cause instanceof NeedsOperator);
      assert.deepEqual(error.cause.alert, {
        rule: "provider_not_configured",
        subject: "runway",
        details: {},
      });
      return true;
    });
    assert.deepEqual(told, []);
  }
});

Deno.test("what was done is recorded when the database is back, and not done again", async () => {
  const cases: [Task, string][] = [
    [pollTask, "record_poll"],
    [cancelTask, "record_cancel"],
    [storeTask, "record_stored"],
    [deleteFilesTask, "record_files_deleted"],
  ];
  for (const [task, recorded] of cases) {
    let done = 0;
    const once = <const Result>(result: Result) => () => {
      done += 1;
      return Promise.resolve(result);
    };
    const { run, told } = setting({
      away: 2,
      provider: { poll: once({ state: "queued" }), cancel: once({ outcome: "requested" }) },
      storage: { remove: once(undefined) },
      fetch: once(new Response(mp4())),
    });
    const pauses = await withoutPauses(() => run(task));
    assert.deepEqual(told.map(([name]) => name), [recorded]);
    const [, args] = told[0] ?? [];
    assert.deepEqual(
      { ...args, ...attemptOf(task) },
      args,
      "with its attempt, which fences off a late worker",
    );
    assert.deepEqual([done, pauses.slice(0, 2)], [1, [500, 1_000]], recorded);
  }
});

Deno.test("an isolate stores one video at a time, and after a large one none for a while, whoever wakes it", async () => {
  const clock = settableClock();
  const { log } = recordingLogger(clock.now);
  const due = Array.from({ length: 5 }, (_, index): Task => ({ ...storeTask, task_id: index }));
  let storing = 0;
  let most = 0;
  const stored: number[] = [];
  const ports: VideoTaskPorts = {
    ...fakeDatabase({
      claim_tasks: ({ p_without }) => p_without?.includes("store") ? [] : due.splice(0, 1),
      renew_tasks: ({ p_task_ids }) => ({ kept: p_task_ids?.map(() => true) }),
      load_video_task: () => facts,
      record_stored: ({ p_task_id }) => {
        stored.push(p_task_id ?? -1);
        return { status: "completed" };
      },
    }),
    moderation: null,
    providers: fakeProviders(fakeProvider()),
    storage: fakeStorage({
      upload: async (_path, content) => {
        storing += 1;
        most = Math.max(most, storing);
        for await (const _ of content);
        storing -= 1;
      },
      sign: (paths) => Promise.resolve(paths.map((path) => `https://storage.example.com/${path}`)),
    }),
    config: testConfig({}),
    log,
    // The second is the large one.
    fetch: () => Promise.resolve(new Response(stored.length === 1 ? largeVideo() : mp4())),
    now: clock.now,
  };
  await Promise.all(Array.from({ length: 4 }, () => work(ports, videoTasks)));
  assert.deepEqual([stored, most], [[0, 1], 1]);
  clock.advance(24_999);
  await work(ports, videoTasks);
  assert.deepEqual(stored, [0, 1]);
  clock.advance(1);
  await work(ports, videoTasks);
  assert.deepEqual([stored, most], [[0, 1, 2, 3, 4], 1]);
});

/** A video with 50 MB of nothing at its end, made as it is read. */
function largeVideo(): ReadableStream<Uint8Array> {
  const nothing = new Uint8Array(1024 * 1024);
  const free = box("free", new Uint8Array(), 8 + 50 * nothing.length);
  return ReadableStream.from([mp4(), free, ...Array<Uint8Array>(50).fill(nothing)]);
}
