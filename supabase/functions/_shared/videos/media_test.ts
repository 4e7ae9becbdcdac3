import assert from "node:assert/strict";
import { NeedsOperator } from "../queue/task.ts";
import { openMedia, UnusableResult } from "./media.ts";

const url = "https://v3.fal.media/files/video.mp4";
const hosts = ["fal.media", "*.fal.media", "127.0.0.1:4010"];
const { signal } = new AbortController();
const limits = { provider: "fal", hosts, maxBytes: 10, signal };

function answering(answer: () => Response) {
  const asked: { url: string; redirect: unknown; signal: unknown }[] = [];
  const fetch: typeof globalThis.fetch = (input, init) => {
    asked.push({ url: String(input), redirect: init?.redirect, signal: init?.signal });
    return Promise.resolve(answer());
  };
  return { fetch, asked };
}

async function read(media: AsyncIterable<Uint8Array>): Promise<string> {
  return await new Response(ReadableStream.from(media)).text();
}

Deno.test("a file is streamed from its provider's host, without following redirects", async () => {
  const { fetch, asked } = answering(() => new Response("0123456789"));
  assert.equal(await read(await openMedia(fetch, url, limits)), "0123456789");
  assert.deepEqual(asked, [{ url, redirect: "manual", signal }]);
});

Deno.test("only the named hosts are asked, over TLS and their own port", async () => {
  const { fetch, asked } = answering(() => new Response(""));
  const allowed = [
    "https://fal.media/v",
    "https://FAL.media:443/v",
    "https://a.b.fal.media/v",
    "http://127.0.0.1:4010/v",
  ];
  for (const location of allowed) await openMedia(fetch, location, limits);
  assert.equal(asked.length, allowed.length);
  const refused = [
    "http://fal.media/v",
    "https://fal.media:8443/v",
    "https://notfal.media/v",
    "https://fal.media.example.com/v",
    "https://fal.media./v",
    "https://example.com/fal.media",
    "https://127.0.0.1/v",
    "http://127.0.0.1:4011/v",
    "http://127.0.0.1/v",
    "http://169.254.169.254/latest/meta-data",
    "https://[::1]/v",
    "https://[::ffff:127.0.0.1]:4010/v",
    "https://2130706433/v",
    "file:///etc/passwd",
    "data:video/mp4;base64,AAAA",
  ];
  for (const location of refused) {
    await assert.rejects(openMedia(fetch, location, limits), NeedsOperator, location);
  }
  const malformed = [
    "https://fal.media@example.com/v",
    "https://user:password@fal.media/v",
    "https://user@fal.media/v",
    "https://:password@fal.media/v",
    "//fal.media/v",
    "",
  ];
  for (const location of malformed) {
    await assert.rejects(openMedia(fetch, location, limits), UnusableResult, location);
  }
  assert.equal(asked.length, allowed.length);
});

Deno.test("a host that is not configured is for the operator, who is told which, and not what the URL says else", async () => {
  const { fetch } = answering(() => new Response(""));
  await assert.rejects(openMedia(fetch, "https://cdn.fal.ai/v.mp4?token=secret", limits), {
    name: "NeedsOperator",
    alert: {
      rule: "result_host",
      subject: "fal cdn.fal.ai",
      details: { provider: "fal", host: "cdn.fal.ai", protocol: "https:" },
    },
  });
});

Deno.test("a redirect is no result, wherever it leads", async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    const { fetch, asked } = answering(() => new Response(null, { status, headers: { location: url } }));
    await assert.rejects(openMedia(fetch, url, limits), UnusableResult);
    assert.equal(asked.length, 1);
  }
});

Deno.test("part of a file is no result, and a host that has no file yet may be asked again", async () => {
  for (const status of [204, 206]) {
    const { fetch } = answering(() => new Response(status === 204 ? null : "", { status }));
    await assert.rejects(openMedia(fetch, url, limits), UnusableResult, `${status}`);
  }
  for (const status of [401, 403, 404, 408, 410, 425, 429, 500, 502, 503, 504]) {
    const { fetch } = answering(() => new Response("", { status }));
    await assert.rejects(
      openMedia(fetch, url, limits),
      (error: Error) => !(error instanceof UnusableResult) && error.message.includes(`${status}`),
    );
  }
  const away: typeof globalThis.fetch = () => Promise.reject(new TypeError("no connection"));
  await assert.rejects(openMedia(away, url, limits), TypeError);
});

Deno.test("a file that says that it is too large is not read", async () => {
  let cancelled = false;
  const { fetch } = answering(() =>
    new Response(
      new ReadableStream({
        cancel: () => {
          cancelled = true;
        },
      }),
      { headers: { "content-length": "11" } },
    )
  );
  await assert.rejects(openMedia(fetch, url, limits), { name: "UnusableResult", message: /too large/ });
  assert(cancelled);
});

Deno.test("a file that does not say how large it is ends at the limit, and its stream is let go", async () => {
  let cancelled = false;
  let pulled = 0;
  const { fetch } = answering(() =>
    new Response(
      new ReadableStream({
        pull: (controller) => {
          pulled += 1;
          controller.enqueue(new Uint8Array(4));
        },
        cancel: () => {
          cancelled = true;
        },
      }),
    )
  );
  const media = await openMedia(fetch, url, limits);
  await assert.rejects(read(media), { name: "UnusableResult", message: /too large/ });
  assert(cancelled);
  assert(pulled <= 5, "the rest is not read");
});
