import assert from "node:assert/strict";
import { mp4 } from "../testing/mp4.ts";
import { fakeStorage } from "../testing/storage.ts";
import { jpeg, pieces, type Scene, setting, thumbnailUrl, videoPath } from "../testing/store.ts";

Deno.test("what may be better later is thrown for another try, for what it is", async () => {
  const away = () => Promise.reject(new Error("storage is away"));
  const cases: [Scene, RegExp][] = [
    [{ video: () => Promise.reject(new TypeError("no connection")) }, /no connection/],
    [{ video: () => new Response("", { status: 503 }) }, /answered 503/],
    [{ video: () => new Response(pieces([mp4().subarray(0, 200)], new Error("cut off"))) }, /^cut off$/],
    [{ storage: fakeStorage({ upload: away }) }, /storage is away/],
    [{ storage: fakeStorage({ sign: away }) }, /storage is away/],
    [{ stored: () => Promise.reject(new Error("database is away")) }, /database is away/],
  ];
  for (const [scene, message] of cases) {
    const { run, causes } = setting(scene);
    await assert.rejects(run(), (error: Error) => message.test(error.message), `${message}`);
    assert.deepEqual(causes, []);
  }
});

Deno.test("what may be tried again keeps its files, which the next try overwrites", async () => {
  const storage = fakeStorage();
  const failing = setting({ storage, stored: () => Promise.reject(new Error("database is away")) });
  await assert.rejects(failing.run());
  assert.deepEqual([...storage.files.keys()], [videoPath]);
  await setting({ storage }).run();
  assert.deepEqual(storage.files.get(videoPath)?.content, mp4());
});

Deno.test("an attempt that lost its lease leaves the files to the one that has it, or has completed the job", async () => {
  for (const unusable of ["processing", "completed"] as const) {
    const { run, storage } = setting({ video: () => new Response("<html>"), unusable });
    storage.files.set(videoPath, { content: mp4(), contentType: "video/mp4" });
    await run();
    assert.deepEqual([...storage.files.keys()], [videoPath]);
  }
});

Deno.test("no stream outlives its attempt", async () => {
  for (const video of [() => new Response(mp4()), () => new Response("<html>")]) {
    const inner = fakeStorage();
    const uploads: AbortSignal[] = [];
    const storage = fakeStorage({
      ...inner,
      upload: (path, content, contentType, signal) => {
        uploads.push(signal);
        return inner.upload(path, content, contentType, signal);
      },
    });
    const { run, signals } = setting({ video, thumbnail: () => new Response(jpeg), storage });
    await run({ thumbnailUrl });
    assert.deepEqual([uploads.length > 0, uploads.length], [true, signals.length]);
    for (const signal of [...signals, ...uploads]) assert(signal.aborted);
  }
});

Deno.test("an attempt that is told to stop while the video comes reads no further, and ends nothing", async () => {
  const abort = new AbortController();
  const reason = new Error("another has the task");
  let cancelled: unknown = null;
  const { run, recorded, causes, signals } = setting({
    video: () => {
      // As a real body ends when the signal of its fetch is aborted.
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          controller.enqueue(mp4().subarray(0, 200));
          signals[0]?.addEventListener("abort", () => {
            cancelled = signals[0]?.reason;
            controller.error(cancelled);
          });
        },
        pull: () => abort.abort(reason),
      });
      return new Response(body);
    },
  });
  await assert.rejects(run({}, abort.signal), reason);
  assert.equal(cancelled, reason);
  assert.deepEqual([recorded, causes], [[], []]);
});

Deno.test("an attempt that is told to stop while the thumbnail comes throws, and completes nothing", async () => {
  const abort = new AbortController();
  const reason = new Error("another has the task");
  const { run, recorded, causes, lines } = setting({
    thumbnail: () => {
      abort.abort(reason);
      return Promise.reject(reason);
    },
  });
  await assert.rejects(run({ thumbnailUrl }, abort.signal), reason);
  assert.deepEqual([recorded, causes, lines], [[], [], []]);
});

Deno.test("a thumbnail for which no time is left does not keep its video from being completed", async () => {
  const { timeout } = AbortSignal;
  const time = new AbortController();
  AbortSignal.timeout = () => time.signal;
  try {
    const { run, recorded } = setting({
      thumbnail: () => {
        time.abort(new DOMException("The time is up", "TimeoutError"));
        return Promise.reject(time.signal.reason);
      },
    });
    await run({ thumbnailUrl });
    assert.deepEqual(recorded.map(({ assets }) => assets.map(({ kind }) => kind)), [["video"]]);
  } finally {
    AbortSignal.timeout = timeout;
  }
});
