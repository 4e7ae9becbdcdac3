import assert from "node:assert/strict";
import { box, fileType, join, movie, mp4 } from "../testing/mp4.ts";
import { withoutPauses } from "../testing/pauses.ts";
import { filesIn, maxVideoBytes } from "./store.ts";
import { jpeg, pieces, setting, thumbnailPath, thumbnailUrl, videoPath } from "../testing/store.ts";

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
      codec: "avc1",
      frames: 120,
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

Deno.test("the files of a job are in its folder", () => {
  assert.deepEqual(filesIn("folder"), { video: "folder/video.mp4", thumbnail: "folder/thumbnail" });
});
