import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { storage } from "./storage.ts";
import { StorageAway } from "./storage-away.ts";
import { withoutPauses } from "../testing/pauses.ts";
import { testRuntime } from "../testing/runtime.ts";
import { projectUrl, secretKey } from "../testing/tokens.ts";

const base = `${projectUrl}/storage/v1`;
const video = () => new Blob(["a video"]).stream();
const { signal } = new AbortController();

interface Sent {
  method: string;
  url: string;
  headers: Headers;
  text: string;
  signal: unknown;
}

/** The port, whose requests are all answered alike, and what it sent. */
function fakeStorage(answer: () => Response | Promise<Response>) {
  const sent: Sent[] = [];
  const port = storage(testRuntime(async (input, init) => {
    const request = new Request(input, init);
    const { method, url, headers } = request;
    sent.push({ method, url, headers, text: await request.text(), signal: init?.signal });
    return await answer();
  }));
  return { port, sent };
}

Deno.test("a file is streamed over one from an earlier attempt, with the secret key alone", async () => {
  const { port, sent } = fakeStorage(() => Response.json({ Id: "1", Key: "videos/u/j/video.mp4" }));
  await port.upload("u/j/video.mp4", video(), "video/mp4", signal);
  const [request] = sent;
  assert(request);
  assert.deepEqual([request.method, request.url], ["POST", `${base}/object/videos/u/j/video.mp4`]);
  assert.deepEqual(
    ["apikey", "authorization", "content-type", "x-upsert"].map((name) => request.headers.get(name)),
    [secretKey, null, "video/mp4", "true"],
  );
  assert.equal(request.text, "a video");
  assert.equal(request.signal, signal, "its caller ends it");
});

Deno.test("a single 401 of the platform is not seen: it says that nothing was done", async () => {
  let asked = 0;
  const { port } = fakeStorage(() => {
    asked += 1;
    return asked === 1
      ? Response.json({ message: "JWT issued at future" }, { status: 401 })
      : Response.json([{ error: null, path: "a", signedURL: "/object/sign/videos/a?token=1" }]);
  });
  await withoutPauses(async () => assert.equal((await port.sign(["a"], 60)).length, 1));
  assert.equal(asked, 2);
});

Deno.test("URLs are signed in one call, in the order of the paths", async () => {
  const { port, sent } = fakeStorage(() =>
    Response.json([
      { error: null, path: "a", signedURL: "/object/sign/videos/a?token=1" },
      { error: null, path: "b", signedURL: "/object/sign/videos/b?token=2" },
    ])
  );
  assert.deepEqual(await port.sign(["a", "b"], 3600), [
    `${base}/object/sign/videos/a?token=1`,
    `${base}/object/sign/videos/b?token=2`,
  ]);
  assert.equal(sent[0]?.url, `${base}/object/sign/videos`);
  assert.deepEqual(JSON.parse(sent[0]?.text ?? ""), { expiresIn: 3600, paths: ["a", "b"] });
});

Deno.test("a file that is not there has no URL, and the others have theirs", async () => {
  const { port } = fakeStorage(() =>
    Response.json([
      { error: null, path: "a", signedURL: "/object/sign/videos/a?token=1" },
      {
        error: "Either the object does not exist or you do not have access to it",
        path: "b",
        signedURL: null,
      },
    ])
  );
  assert.deepEqual(await port.sign(["a", "b"], 3600), [`${base}/object/sign/videos/a?token=1`, null]);
});

Deno.test("files are removed in one call", async () => {
  const { port, sent } = fakeStorage(() => Response.json([]));
  await port.remove(["a", "b"]);
  assert.deepEqual([sent[0]?.method, sent[0]?.url], ["DELETE", `${base}/object/videos`]);
  assert.deepEqual(JSON.parse(sent[0]?.text ?? ""), { prefixes: ["a", "b"] });
});

Deno.test("the check asks for the bucket", async () => {
  const { port, sent } = fakeStorage(() => Response.json({ id: "videos", name: "videos", public: false }));
  await port.check();
  assert.deepEqual([sent[0]?.method, sent[0]?.url], ["GET", `${base}/bucket/videos`]);
});

Deno.test("whatever storage refuses, or does not answer, is ERR_6002", async () => {
  const answers = [
    () => Promise.reject(new TypeError("error sending request")),
    () =>
      Response.json({ statusCode: "404", error: "not_found", message: "Bucket not found" }, { status: 400 }),
    () => new Response("<html>nginx</html>", { status: 502 }),
  ];
  for (const answer of answers) {
    const { port } = fakeStorage(answer);
    await assert.rejects(port.upload("p", video(), "video/mp4", signal), { code: "ERR_6002" });
    await assert.rejects(port.sign(["p"], 3600), { code: "ERR_6002" });
    await assert.rejects(port.remove(["p"]), { code: "ERR_6002" });
    await assert.rejects(port.check(), { code: "ERR_6002" });
  }
});

Deno.test("no short call waits for ever", async () => {
  const { port, sent } = fakeStorage(() => Response.json([]));
  await port.sign([], 3600);
  await port.remove(["p"]);
  await port.check();
  for (const { signal } of sent) assert(signal instanceof AbortSignal);
  assert.equal(sent.length, 3);
});

Deno.test("no answer, a broken server's and one that asks to wait say that Storage is away; a refusal and an abort do not", async () => {
  const answers: [boolean, () => Response | Promise<Response>][] = [
    [true, () => Promise.reject(new TypeError("connection refused"))],
    ...[429, 500, 502, 503, 504].map((status): [boolean, () => Response] => [
      true,
      () => Response.json({ message: "u/j/video.mp4", statusCode: String(status) }, { status }),
    ]),
    ...[400, 403, 404, 409, 413].map((status): [boolean, () => Response] => [
      false,
      () => Response.json({ message: "no", statusCode: String(status) }, { status }),
    ]),
  ];
  const failureOf = async (port: ReturnType<typeof storage>, signal: AbortSignal): Promise<AppError> => {
    const error: unknown = await port.upload("u/j/video.mp4", video(), "video/mp4", signal).catch((error) =>
      error
    );
    assert(error instanceof AppError);
    return error;
  };
  for (const [isAway, answer] of answers) {
    const { port } = fakeStorage(answer);
    await withoutPauses(async () => {
      const { code, cause } = await failureOf(port, signal);
      assert.equal(code, "ERR_6002");
      assert.equal(cause instanceof StorageAway, isAway);
      if (cause instanceof StorageAway) assert.doesNotMatch(cause.message, /video\.mp4/);
    });
  }
  const abort = new AbortController();
  abort.abort();
  const { port } = fakeStorage(() => Promise.reject(new DOMException("aborted", "AbortError")));
  assert(!((await failureOf(port, abort.signal)).cause instanceof StorageAway));
});
