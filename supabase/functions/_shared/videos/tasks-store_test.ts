import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { attemptOf, NeedsOperator, type Task } from "../queue/task.ts";
import { work } from "../queue/worker.ts";
import { settableClock } from "../testing/clock.ts";
import { testConfig } from "../testing/config.ts";
import { fakeDatabase } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import { box, mp4 } from "../testing/mp4.ts";
import { fakeProvider, fakeProviders } from "../testing/provider.ts";
import { fakeStorage } from "../testing/storage.ts";
import { fakeWeb } from "../testing/web.ts";
import { deleteFilesTask, facts, filePaths, jobId, storeTask } from "../testing/tasks.ts";
import { type VideoTaskPorts, videoTasks } from "./tasks.ts";
import { file, setting } from "../testing/video-tasks.ts";

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

Deno.test("an isolate stores one video at a time, and after a large one none for a while, whoever wakes it", async () => {
  const clock = settableClock();
  const { log } = recordingLogger(clock.now);
  const due = Array.from({ length: 5 }, (_, index): Task => ({ ...storeTask, task_id: index, facts }));
  let storing = 0;
  let most = 0;
  const stored: number[] = [];
  const ports: VideoTaskPorts = {
    ...fakeDatabase({
      claim_tasks: ({ p_without }) => p_without?.includes("store") ? [] : due.splice(0, 1),
      renew_tasks: ({ p_task_ids }) => ({ kept: p_task_ids?.map(() => true) }),
      record_stored: ({ p_task_id }) => {
        stored.push(p_task_id ?? -1);
        return { status: "completed" };
      },
    }),
    moderation: null,
    providers: fakeProviders(fakeProvider()),
    uploads: fakeStorage(),
    web: fakeWeb(),
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
