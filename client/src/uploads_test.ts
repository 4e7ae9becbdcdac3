import assert from "node:assert/strict";
import { newSignedInApp, refusal } from "../testing/app.ts";
import { virtualTime } from "../testing/virtual-time.ts";

interface Begun {
  upload_id: string;
  status: "pending" | "ready";
  content_type: string;
  bytes: number;
}

const pictureOf = (bytes: number) => new Blob([new Uint8Array(bytes)], { type: "image/png" });
const lost = () => Promise.reject(new TypeError("No network"));

/**
 * An app, and the uploads that the backend has of its user, three of which may be pending. `answer` gives what the app hears
 * of a begun one.
 */
function uploading(
  answer: (response: Response) => Response | Promise<Response>,
  fetch = () => Promise.resolve(new Response()),
) {
  const uploads: Begun[] = [];
  const posts: number[] = [];
  const kinora = newSignedInApp(async (path, request) => {
    const { searchParams } = new URL(path, "https://project.example");
    if (request.method === "POST") {
      const { content_type, bytes } = await request.json();
      posts.push(bytes);
      if (uploads.filter(({ status }) => status === "pending").length >= 3) {
        return refusal(409, "ERR_4009", { status: "pending" });
      }
      const upload = {
        upload_id: `upload-${posts.length}`,
        status: "pending" as const,
        content_type,
        bytes,
      };
      uploads.push(upload);
      return await answer(
        Response.json({
          ...upload,
          upload_url: "https://storage.example/incoming",
        }),
      );
    }
    if (request.method === "GET") {
      return Response.json({ uploads, next_cursor: null });
    }
    if (request.method === "DELETE") {
      const index = uploads.findIndex(({ upload_id }) => upload_id === searchParams.get("upload_id"));
      if (index < 0) return refusal(404, "ERR_4007");
      uploads.splice(index, 1);
      return new Response(null, { status: 204 });
    }
    const { upload_id } = await request.json();
    const upload = uploads.find((one) => one.upload_id === upload_id);
    assert(upload);
    upload.status = "ready";
    return Response.json(upload);
  }, { fetch });
  return { kinora, uploads, posts };
}

Deno.test("one lost answer leaves one pending upload at most", async () => {
  using _ = virtualTime();
  for (
    const failure of [lost, () => refusal(503, "ERR_6001", { retry_after: 2 })]
  ) {
    const { kinora, uploads, posts } = uploading(failure);
    await assert.rejects(kinora.uploads.send(pictureOf(7)), {
      mayBeDone: true,
    });
    assert.deepEqual([uploads.length, posts.length], [1, 1]);
  }
});

Deno.test("an upload that was put off is begun later", async () => {
  using _ = virtualTime();
  let tries = 0;
  const kinora = newSignedInApp((_, { method }) => {
    if (method === "POST" && ++tries < 3) {
      return refusal(429, "ERR_4004", { policy: "writes", retry_after: 1 });
    }
    return Response.json({
      upload_id: "upload-1",
      upload_url: "https://storage.example/incoming",
    });
  }, { fetch: () => Promise.resolve(new Response()) });
  await kinora.uploads.send(pictureOf(7));
  assert.equal(tries, 3);
});

Deno.test("a picture whose sends lost their answers is sent all the same, and nothing else is taken back", async () => {
  using _ = virtualTime();
  let isLost = true;
  const { kinora, uploads } = uploading((response) => isLost ? lost() : response);
  await assert.rejects(kinora.uploads.send(pictureOf(8)), { code: null });
  await assert.rejects(kinora.uploads.send(pictureOf(7)), { code: null });
  await assert.rejects(kinora.uploads.send(pictureOf(7)), { code: null });
  assert.deepEqual(uploads.map(({ bytes }) => bytes), [8, 7, 7]);
  isLost = false;
  const { upload_id } = await kinora.uploads.send(pictureOf(7));
  assert.deepEqual(uploads.map(({ bytes, status }) => [bytes, status]), [[
    8,
    "pending",
  ], [7, "ready"]]);
  assert.equal(uploads[1]?.upload_id, upload_id);
});

Deno.test("pending uploads of other pictures, and those that are being sent, are left alone", async () => {
  const stored = Promise.withResolvers<Response>();
  const begun = Promise.withResolvers<void>();
  const { kinora, uploads, posts } = uploading((response) => response, () => {
    begun.resolve();
    return stored.promise;
  });
  const other = {
    upload_id: "another device's",
    status: "pending" as const,
    content_type: "image/png",
  };
  uploads.push({ ...other, bytes: 8 }, { ...other, bytes: 9 });
  const first = kinora.uploads.send(pictureOf(7));
  await begun.promise;
  await assert.rejects(kinora.uploads.send(pictureOf(7)), {
    code: "ERR_4009",
    details: { status: "pending" },
  });
  stored.resolve(new Response());
  assert.equal((await first).status, "ready");
  assert.deepEqual([uploads.length, posts.length], [3, 2]);
});

Deno.test("a send ends in its time, with all its steps", async () => {
  using time = virtualTime();
  const slow = async (response: Response) => {
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    return response;
  };
  const upload = {
    upload_id: "upload-1",
    upload_url: "https://storage.example/incoming",
  };
  const kinora = newSignedInApp(
    (_, { method }) =>
      method === "DELETE" ? new Response(null, { status: 204 }) : slow(Response.json(upload)),
    { fetch: () => slow(new Response()) },
  );
  await assert.rejects(kinora.uploads.send(pictureOf(7), { timeout: 60_000 }), {
    code: null,
  });
  assert(time.now() <= 60_000, `${time.now()} ms`);
  await kinora.uploads.send(pictureOf(7));
});
