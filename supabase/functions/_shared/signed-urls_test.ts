import assert from "node:assert/strict";
import { isStale, signUrls } from "./signed-urls.ts";

const now = Date.parse("2026-11-20T12:00:00.000Z");

/** Storage that signs each path, and what it was asked for. */
function fakeStorage(sign = (path: string) => `https://storage.example.com/${path}?token=t`) {
  const asked: [readonly string[], number][] = [];
  return {
    asked,
    storage: {
      sign: (paths: readonly string[], seconds: number) => {
        asked.push([paths, seconds]);
        return Promise.resolve(paths.map(sign));
      },
    },
  };
}

Deno.test("video and thumbnail are signed in one call, for an hour from when it was asked", async () => {
  const { storage, asked } = fakeStorage();
  assert.deepEqual(await signUrls(storage, { video: "u/j/video.mp4", thumbnail: "u/j/thumbnail" }, now), {
    video_url: "https://storage.example.com/u/j/video.mp4?token=t",
    thumbnail_url: "https://storage.example.com/u/j/thumbnail?token=t",
    expires_at: "2026-11-20T13:00:00.000Z",
  });
  assert.deepEqual(asked, [[["u/j/video.mp4", "u/j/thumbnail"], 3600]]);
});

Deno.test("a video without a thumbnail has none signed", async () => {
  const { storage, asked } = fakeStorage();
  const urls = await signUrls(storage, { video: "v" }, now);
  assert.equal(urls.thumbnail_url, null);
  assert.deepEqual(asked, [[["v"], 3600]]);
});

Deno.test("a missing URL is an accident, and not a video without a URL", async () => {
  await assert.rejects(signUrls({ sign: () => Promise.resolve([]) }, { video: "v" }, now), /no URL/);
});

Deno.test("a URL is given to clients while it has ten minutes left, and renewed after that", () => {
  assert.equal(isStale("2026-11-20T12:10:00.000Z", now), false);
  assert.equal(isStale("2026-11-20T12:09:59.999Z", now), true);
  assert.equal(isStale("2026-11-20T11:00:00.000Z", now), true);
  assert.equal(isStale(null, now), true);
});
