import assert from "node:assert/strict";
import { AppError } from "../app-error.ts";
import type { GenerationDatabase, PollTask, Task } from "../database/generation.ts";
import type { Provider } from "../providers/provider.ts";
import type { Storage } from "../storage.ts";
import { settableClock } from "../testing/clock.ts";
import { testConfig } from "../testing/config.ts";
import { fakeGeneration } from "../testing/generation.ts";
import { recordingLogger } from "../testing/log.ts";
import { mp4 } from "../testing/mp4.ts";
import { fakeProvider, fakeProviders } from "../testing/provider.ts";
import { fakeStorage } from "../testing/storage.ts";
import {
  cancelTask,
  deleteFilesTask,
  eraseAccountTask,
  jobId,
  pollTask,
  storeTask,
  submission,
  submitTask,
} from "../testing/tasks.ts";
import { work, type WorkerContext } from "./worker.ts";

/** A database that hands out these batches in turn, and what a worker told it. */
function setting(batches: readonly (readonly Task[])[], given: {
  provider?: Partial<Provider>;
  database?: Partial<GenerationDatabase>;
  storage?: Partial<Storage>;
} = {}) {
  const clock = settableClock();
  const { log, lines } = recordingLogger(clock.now);
  const claims: [number, string | undefined][] = [];
  const told: unknown[][] = [];
  const waiting = batches.map((batch) => [...batch]);
  const tell = <const Result>(name: string, result: Result) => (...args: unknown[]) => {
    told.push([name, ...args]);
    return Promise.resolve(result);
  };
  const generation = fakeGeneration({
    claimTasks: (limit, jobId) => {
      claims.push([limit, jobId]);
      return Promise.resolve(waiting.shift() ?? []);
    },
    claimSubmission: tell("claimSubmission", null),
    retryTask: tell("retryTask", { state: "waiting" }),
    recordPoll: tell("recordPoll", { status: "processing" }),
    recordCancel: tell("recordCancel", { status: "cancelled" }),
    recordStored: tell("recordStored", { status: "completed" }),
    recordFilesDeleted: tell("recordFilesDeleted", { deleted: 1 }),
    eraseAccount: tell("eraseAccount", { state: "erased" }),
    ...given.database,
  });
  const storage = fakeStorage(given.storage);
  const context: WorkerContext = {
    generation,
    moderation: null,
    providers: fakeProviders(fakeProvider(given.provider)),
    storage,
    config: testConfig({ WEBHOOK_SECRET: "a secret of thirty-two characters" }),
    log,
    fetch: () => Promise.resolve(new Response(mp4())),
    now: clock.now,
  };
  return { clock, lines, claims, told, storage, run: (jobId?: string) => work(context, jobId) };
}

/** Why the first attempt went back. */
function reasonOf(told: readonly unknown[][]): string {
  const error = told[0]?.[2];
  return typeof error === "object" && error !== null && "reason" in error ? String(error.reason) : "";
}

Deno.test("a worker goes on until nothing is due", async () => {
  const { run, claims, told } = setting([[submitTask], [{ ...submitTask, task_id: 5 }]]);
  await run();
  assert.deepEqual(claims, [[10, undefined], [10, undefined], [10, undefined]]);
  assert.equal(told.length, 2);
});

Deno.test("a worker for one job claims that job's tasks alone", async () => {
  const { run, claims } = setting([[submitTask]]);
  await run(jobId);
  assert.deepEqual(claims, [[10, jobId], [10, jobId]]);
});

Deno.test("a worker claims nothing more when its time is up, and finishes what it has", async () => {
  const { run, claims, told, clock } = setting([[pollTask], [pollTask]], {
    provider: {
      poll: () => {
        clock.advance(25_000);
        return Promise.resolve({ state: "queued" });
      },
    },
  });
  await run();
  assert.equal(claims.length, 1);
  assert.deepEqual(told.map(([name]) => name), ["recordPoll"]);
});

Deno.test("the tasks of a batch are done at the same time", async () => {
  const { promise: bothRun, resolve: release } = Promise.withResolvers<void>();
  let running = 0;
  const { run, told } = setting([[pollTask, { ...pollTask, task_id: 5 }]], {
    provider: {
      poll: async () => {
        running += 1;
        if (running === 2) release();
        await bothRun;
        return { state: "queued" };
      },
    },
  });
  await run();
  assert.equal(told.length, 2);
});

Deno.test("a submit task submits its job", async () => {
  const { run, told } = setting([[submitTask]]);
  await run();
  assert.deepEqual(told, [["claimSubmission", jobId, { providers: ["fal"], moderates: false }]]);
});

Deno.test("a store task brings the video into storage", async () => {
  const { run, told } = setting([[storeTask]]);
  await run();
  assert.deepEqual(told.map(([name, task]) => [name, task]), [["recordStored", storeTask]]);
});

Deno.test("a poll asks for the request that is recorded, and records the provider's word", async () => {
  const asked: unknown[] = [];
  const { run, told } = setting([[pollTask]], {
    provider: {
      poll: (...args) => {
        asked.push(args);
        return Promise.resolve({ state: "running", percent: 40 });
      },
    },
  });
  await run();
  assert.deepEqual(asked, [["request-1", submission.references, "fal-ai/veo3/fast"]]);
  const { submission_id: submissionId } = submission;
  const word = { requestId: "request-1", state: { state: "running", percent: 40 }, intervalSeconds: 2 };
  assert.deepEqual(told, [["recordPoll", pollTask, { submissionId, ...word }]]);
});

Deno.test("the id that an event named is asked for only where we never learned one", async () => {
  const payload = { request_id: "request-9" };
  const lost = { ...submission, request_id: null, references: null };
  const cases: [PollTask, unknown[]][] = [
    [{ ...pollTask, payload, submission: lost }, ["request-9", {}]],
    [{ ...pollTask, payload }, ["request-1", submission.references]],
  ];
  for (const [task, expected] of cases) {
    const asked: unknown[] = [];
    const { run, told } = setting([[task]], {
      provider: {
        poll: (requestId, references) => {
          asked.push(requestId, references);
          return Promise.resolve({ state: "queued" });
        },
      },
    });
    await run();
    assert.deepEqual(asked, expected);
    assert.deepEqual(told.map(([name]) => name), ["recordPoll"]);
  }
});

Deno.test("a cancel asks the provider where it has the job, and records its word", async () => {
  const asked: unknown[] = [];
  const { run, told } = setting([[cancelTask]], {
    provider: {
      cancel: (...args) => {
        asked.push(args);
        return Promise.resolve({ outcome: "requested" });
      },
    },
  });
  await run();
  assert.deepEqual(asked, [["request-1", submission.references, "fal-ai/veo3/fast"]]);
  assert.deepEqual(told, [["recordCancel", cancelTask, { outcome: "requested" }]]);
});

Deno.test("a cancel without anybody to ask says so", async () => {
  for (
    const unasked of [
      null,
      { ...submission, request_id: null },
      { ...submission, provider: "runway" },
    ]
  ) {
    const task = { ...cancelTask, submission: unasked };
    const { run, told } = setting([[task]]);
    await run();
    assert.deepEqual(told, [["recordCancel", task, { outcome: "no_request_id" }]]);
  }
});

Deno.test("the files of a deleted job are removed from storage before that is recorded", async () => {
  const { run, told, storage } = setting([[deleteFilesTask]]);
  const file = { content: new Uint8Array(1), contentType: "video/mp4" };
  for (const path of [...deleteFilesTask.paths, "another"]) storage.files.set(path, file);
  await run();
  assert.deepEqual([...storage.files.keys()], ["another"]);
  assert.deepEqual(told, [["recordFilesDeleted", deleteFilesTask]]);

  const away = { remove: () => Promise.reject(new AppError("ERR_6002")) };
  const failing = setting([[deleteFilesTask]], { storage: away });
  await failing.run();
  assert.deepEqual(failing.told.map(([name]) => name), ["retryTask"]);
});

Deno.test("of a job that ended without assets, whatever an attempt to store it left is removed", async () => {
  const { run, told, storage } = setting([[{ ...deleteFilesTask, paths: [] }]]);
  const file = { content: new Uint8Array(1), contentType: "video/mp4" };
  for (const path of [...deleteFilesTask.paths, "another"]) storage.files.set(path, file);
  await run();
  assert.deepEqual([...storage.files.keys()], ["another"]);
  assert.deepEqual(told.map(([name]) => name), ["recordFilesDeleted"]);
});

Deno.test("where a closed account has no file left, storage is not asked", async () => {
  const { run, told } = setting([[{ ...eraseAccountTask, paths: [] }]], {
    storage: { remove: () => Promise.reject(new Error("Storage refuses an empty list")) },
  });
  await run();
  assert.deepEqual(told.map(([name]) => name), ["eraseAccount"]);
});

Deno.test("the files of a closed account are removed from storage before its rows are erased", async () => {
  const { run, told, storage, lines } = setting([[eraseAccountTask]]);
  const file = { content: new Uint8Array(1), contentType: "video/mp4" };
  for (const path of [...eraseAccountTask.paths, "another"]) storage.files.set(path, file);
  await run();
  assert.deepEqual([...storage.files.keys()], ["another"]);
  assert.deepEqual(told, [["eraseAccount", eraseAccountTask]]);
  const line = lines.find(({ event }) => event === "account_erasure");
  assert.deepEqual([line?.user_id, line?.state, line?.files], [eraseAccountTask.subject, "erased", 2]);

  const away = { remove: () => Promise.reject(new AppError("ERR_6002")) };
  const failing = setting([[eraseAccountTask]], { storage: away });
  await failing.run();
  assert.deepEqual(failing.told.map(([name]) => name), ["retryTask"]);
});

Deno.test("an attempt that fails goes back with its reason and that of its cause, without secrets", async () => {
  const cause = new Error("fetch of https://a.example.com/?token=abcdef failed", { cause: "not an error" });
  const { run, told, lines } = setting([[pollTask]], {
    provider: { poll: () => Promise.reject(new AppError("ERR_6002", { cause })) },
  });
  await run();
  assert.deepEqual(told, [[
    "retryTask",
    pollTask,
    {
      code: "ERR_6002",
      reason: "AppError: ERR_6002 < Error: fetch of https://a.example.com/?token=[redacted] failed",
    },
  ]]);
  const line = lines.find(({ event }) => event === "task_failed");
  assert.deepEqual([line?.level, line?.kind, line?.subject, line?.attempt], ["warn", "poll", jobId, 1]);
});

Deno.test("what failed has a code of ours: its own, the storage's where a result cannot be fetched, else a bug's", async () => {
  const failing = (error: Error) => () => Promise.reject(error);
  const queued = { poll: () => Promise.resolve({ state: "queued" } as const) };
  const database = (error: Error) => ({ provider: queued, database: { recordPoll: failing(error) } });
  const cases: [Task, Parameters<typeof setting>[1], string][] = [
    [deleteFilesTask, { storage: { remove: failing(new AppError("ERR_6002")) } }, "ERR_6002"],
    [storeTask, { storage: { upload: failing(new Error("away")) } }, "ERR_6002"],
    [pollTask, database(new AppError("ERR_6001")), "ERR_6001"],
    [pollTask, database(new AppError("ERR_4007")), "ERR_6003"],
    [pollTask, { provider: { poll: failing(new Error("a bug")) } }, "ERR_6003"],
  ];
  for (const [task, given, code] of cases) {
    const { run, told } = setting([[task]], given);
    await run();
    const [[name, , error] = []] = told.slice(-1);
    assert.equal(name, "retryTask");
    assert(typeof error === "object" && error !== null && "code" in error);
    assert.equal(error.code, code);
  }
});

Deno.test("a reason is short, and there is always one", async () => {
  for (
    const [thrown, reason] of [
      [new Error("it failed ".repeat(1000)), /^Error: .{493}$/],
      ["a text", /^a text$/],
      [undefined, /^undefined$/],
    ] as const
  ) {
    const { run, told } = setting([[pollTask]], { provider: { poll: () => Promise.reject(thrown) } });
    await run();
    assert.match(reasonOf(told), reason);
  }
});

Deno.test("a task that cannot be done here goes back: no provider, no request, a kind from the future", async () => {
  const elsewhere = { ...submission, provider: "runway" };
  const future: Task = JSON.parse(JSON.stringify({ ...submitTask, kind: "upscale" }));
  const cases: [Task, RegExp][] = [
    [{ ...pollTask, submission: elsewhere }, /runway/],
    [{ ...storeTask, submission: elsewhere }, /runway/],
    [{ ...pollTask, submission: null }, /no submission/],
    [{ ...pollTask, submission: { ...submission, request_id: null } }, /no request/],
    [future, /upscale/],
  ];
  for (const [task, reason] of cases) {
    const { run, told } = setting([[task]]);
    await run();
    const [name, returned] = told[0] ?? [];
    assert.deepEqual([told.length, name, returned], [1, "retryTask", task]);
    assert.match(reasonOf(told), reason);
  }
});

Deno.test("a task that cannot even be given back does not stop the others", async () => {
  const { promise: failed, resolve: fail } = Promise.withResolvers<void>();
  let isFirst = true;
  const { run, told, lines } = setting([[pollTask, { ...pollTask, task_id: 5 }], [submitTask]], {
    provider: {
      poll: async () => {
        if (isFirst) {
          isFirst = false;
          throw new Error("provider is away");
        }
        await failed;
        return { state: "queued" };
      },
    },
    database: {
      retryTask: () => {
        fail();
        return Promise.reject(new AppError("ERR_6001"));
      },
    },
  });
  await run();
  assert.deepEqual(told.map(([name]) => name), ["recordPoll", "claimSubmission"]);
  assert(lines.some(({ event }) => event === "task_not_returned"));
});

Deno.test("a worker that cannot claim says so to whoever keeps the background work", async () => {
  const { run } = setting([], {
    database: { claimTasks: () => Promise.reject(new AppError("ERR_6001")) },
  });
  await assert.rejects(run(), { code: "ERR_6001" });
});
