import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import type { JobStatus } from "../videos/job-status.ts";
import { settableClock } from "../testing/clock.ts";
import { fakeDatabase } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import { box, fileType, join, movie, mp4 } from "../testing/mp4.ts";
import { withoutPauses } from "../testing/pauses.ts";
import { fakeProvider } from "../testing/provider.ts";
import { type FakeStorage, fakeStorage } from "../testing/storage.ts";
import { facts, jobId, storeTask } from "../testing/tasks.ts";
import type { SignedUrls } from "./signed-urls.ts";
import { filesIn, maxVideoBytes, type StoredAsset, storeVideo } from "./store.ts";

const videoUrl = "https://v3.fal.media/video.mp4";
const thumbnailUrl = "https://v3.fal.media/thumbnail";
const videoPath = `${facts.folder}/video.mp4`;
const thumbnailPath = `${facts.folder}/thumbnail`;
const jpeg = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 1, 2, 3);

/** Which attempt speaks: it fences off a late worker. */
const attempt = { p_task_id: storeTask.task_id, p_attempt: 3, p_job_id: jobId };

/** An argument that is JSON for Postgres. */
function given<Value>(argument: unknown): Value {
  return JSON.parse(JSON.stringify(argument));
}

interface Scene {
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
function setting(
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
function pieces(content: readonly Uint8Array[], error?: Error): ReadableStream<Uint8Array> {
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

Deno.test("a video is stored whole before its job is completed, with what it is and a URL for an hour", async () => {
  const { run, storage, recorded, causes } = setting({});
  await run();
  const content = mp4();
  assert.deepEqual(storage.files.get(videoPath), { content, contentType: "video/mp4" });
  assert.deepEqual(recorded, [{
    files: [videoPath],
    assets: [{
      kind: "video",
      path: videoPath,
      bytes: content.length,
      content_type: "video/mp4",
      duration_milliseconds: 5000,
      width: 1280,
      height: 720,
    }],
    urls: {
      video_url: `https://storage.example.com/${videoPath}?expires=3600`,
      thumbnail_url: null,
      video_url_expires_at: "2026-11-20T13:00:00.000Z",
    },
  }]);
  assert.deepEqual(causes, []);
});

Deno.test("a thumbnail is stored beside its video, by the type of its bytes", async () => {
  const text = (start: string) => new TextEncoder().encode(start);
  const images: [Uint8Array<ArrayBuffer>, string][] = [
    [jpeg, "image/jpeg"],
    [join(Uint8Array.of(0x89), text("PNG\r\n\x1a\n"), new Uint8Array(9)), "image/png"],
    [join(text("RIFF"), new Uint8Array(4), text("WEBP"), new Uint8Array(9)), "image/webp"],
  ];
  for (const [content, contentType] of images) {
    const headers = { "content-type": "text/html" };
    const { run, storage, recorded } = setting({ thumbnail: () => new Response(content, { headers }) });
    await run({ thumbnailUrl });
    assert.deepEqual(storage.files.get(thumbnailPath), { content, contentType });
    const { assets, urls } = recorded[0] ?? {};
    assert.deepEqual(assets?.map(({ kind, path }) => [kind, path]), [
      ["video", videoPath],
      ["thumbnail", thumbnailPath],
    ]);
    assert.equal(assets?.[1]?.bytes, content.length);
    assert.equal(urls?.thumbnail_url, `https://storage.example.com/${thumbnailPath}?expires=3600`);
  }
});

Deno.test("nothing about a thumbnail fails a job", async () => {
  const failures: (() => Response | Promise<Response>)[] = [
    () => new Response("<html>"),
    () => new Response("RIFF....WAVE"),
    () => new Response(null, { status: 404 }),
    () => new Response("", { status: 500 }),
    () => Promise.reject(new TypeError("no connection")),
    () => new Response(pieces([jpeg], new Error("cut off"))),
    () => new Response(pieces([jpeg, new Uint8Array(5 * 1024 * 1024)])),
  ];
  for (const thumbnail of failures) {
    const { run, storage, recorded, lines } = setting({ thumbnail });
    await run({ thumbnailUrl });
    assert.deepEqual([...storage.files.keys()], [videoPath]);
    assert.deepEqual([recorded[0]?.assets.length, recorded[0]?.urls.thumbnail_url], [1, null]);
    assert(lines.some(({ event }) => event === "no_thumbnail"));
  }
});

Deno.test("what can be no video fails the job at once, which has whatever was kept of it removed", async () => {
  const page = new TextEncoder().encode("<!doctype html><title>Not found</title>");
  const cases: [() => Response, RegExp][] = [
    [() => new Response(page), /not a playable MP4/],
    [() => new Response(join(fileType, movie())), /not a playable MP4/],
    [() => new Response(mp4().subarray(0, 300)), /not a playable MP4/],
    [
      () => new Response(null, { status: 302, headers: { location: "https://v3.fal.media/v" } }),
      /answered 302/,
    ],
    [() => new Response("", { headers: { "content-length": `${maxVideoBytes + 1}` } }), /too large/],
  ];
  for (const [video, cause] of cases) {
    const { run, recorded, causes } = setting({ video });
    await run();
    assert.match(causes.join(), cause);
    assert.equal(causes.length, 1);
    assert.equal(recorded.length, 0);
  }
});

Deno.test("that a result can be no video is recorded when the database is back", async () => {
  const { run, causes } = setting({ video: () => new Response("<html>"), away: 2 });
  assert.deepEqual((await withoutPauses(run)).slice(0, 2), [500, 1_000]);
  assert.equal(causes.length, 3);
});

Deno.test("a stream that turns out not to be a video is read no further", async () => {
  let pulled = 0;
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulled += 1;
      controller.enqueue(pulled === 1 ? box("moov", new Uint8Array(9)) : new Uint8Array(1000));
    },
    cancel: () => {
      cancelled = true;
    },
  });
  const { run, causes } = setting({ video: () => new Response(endless) });
  await run();
  assert.deepEqual([causes.length, cancelled], [1, true]);
  assert(pulled < 5);
});

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

Deno.test("the files of a job are in its folder", () => {
  assert.deepEqual(filesIn("folder"), { video: "folder/video.mp4", thumbnail: "folder/thumbnail" });
});
