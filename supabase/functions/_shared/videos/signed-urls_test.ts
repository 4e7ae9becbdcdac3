import assert from "node:assert/strict";
import { storedJob } from "../testing/jobs.ts";
import type { Video } from "./contract.ts";
import { renewUrls, signUrls } from "./signed-urls.ts";

const now = Date.parse("2026-11-20T12:00:00.000Z");
const inAnHour = "2026-11-20T13:00:00.000Z";

/** Storage that signs each path, and what it was asked for. */
function fakeStorage(sign = (path: string): string | null => `https://storage.example.com/${path}?token=t`) {
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

/** A completed job whose kept URLs expire then. */
function video(
  id: string,
  expiresAt: string | null,
  paths: Video["paths"] = { video: `${id}/video.mp4` },
): Video {
  return {
    job: storedJob({
      job_id: id,
      status: "completed",
      video_url: expiresAt && "https://storage.example.com/kept",
      video_url_expires_at: expiresAt,
    }),
    paths,
  };
}

Deno.test("video and thumbnail are signed in one call, for an hour from when it was asked", async () => {
  const { storage, asked } = fakeStorage();
  assert.deepEqual(await signUrls(storage, { video: "u/j/video.mp4", thumbnail: "u/j/thumbnail" }, now), {
    video_url: "https://storage.example.com/u/j/video.mp4?token=t",
    thumbnail_url: "https://storage.example.com/u/j/thumbnail?token=t",
    video_url_expires_at: inAnHour,
  });
  assert.deepEqual(asked, [[["u/j/video.mp4", "u/j/thumbnail"], 3600]]);
});

Deno.test("a video without a thumbnail has none signed", async () => {
  const { storage, asked } = fakeStorage();
  const urls = await signUrls(storage, { video: "v" }, now);
  assert.equal(urls.thumbnail_url, null);
  assert.deepEqual(asked, [[["v"], 3600]]);
});

Deno.test("a video that is not in storage is ERR_6002, and one whose thumbnail is not has none", async () => {
  const gone = (missing: string) => fakeStorage((path) => path === missing ? null : path).storage;
  const paths = { video: "v", thumbnail: "t" };
  await assert.rejects(signUrls(gone("v"), paths, now), { code: "ERR_6002" });
  await assert.rejects(signUrls({ sign: () => Promise.resolve([]) }, paths, now), { code: "ERR_6002" });
  assert.deepEqual(await signUrls(gone("t"), paths, now), {
    video_url: "v",
    thumbnail_url: null,
    video_url_expires_at: inAnHour,
  });
});

Deno.test("URLs are given to clients while they have ten minutes left, and renewed after that, in one call", async () => {
  const { storage, asked } = fakeStorage((path) => path);
  const videos = [
    video("fresh", "2026-11-20T12:10:00.000Z"),
    video("stale", "2026-11-20T12:09:59.999Z"),
    video("running", null, {}),
    video("expired", "2026-11-20T11:00:00.000Z", {
      video: "expired/video.mp4",
      thumbnail: "expired/thumbnail",
    }),
    video("unsigned", null),
  ];
  const urls = (id: string, thumbnail: string | null = null) => ({
    video_url: `${id}/video.mp4`,
    thumbnail_url: thumbnail,
    video_url_expires_at: inAnHour,
  });
  assert.deepEqual([...await renewUrls(storage, videos, now)], [
    ["stale", urls("stale")],
    ["expired", urls("expired", "expired/thumbnail")],
    ["unsigned", urls("unsigned")],
  ]);
  const paths = ["stale/video.mp4", "expired/video.mp4", "expired/thumbnail", "unsigned/video.mp4"];
  assert.deepEqual(asked, [[paths, 3600]]);
});

Deno.test("a video that is lost leaves the others theirs", async () => {
  const { storage } = fakeStorage((path) => path.startsWith("lost") ? null : path);
  const renewed = await renewUrls(storage, [video("lost", null), video("there", null)], now);
  assert.equal(renewed.get("lost"), null);
  assert.equal(renewed.get("there")?.video_url, "there/video.mp4");
});

Deno.test("where nothing is stale, storage is not asked", async () => {
  const { storage, asked } = fakeStorage();
  const renewed = await renewUrls(storage, [video("fresh", inAnHour), video("running", null, {})], now);
  assert.deepEqual([renewed.size, asked], [0, []]);
  await renewUrls(storage, [], now);
  assert.deepEqual(asked, []);
});
