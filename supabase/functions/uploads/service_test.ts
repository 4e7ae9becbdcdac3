import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { fakeStorage } from "../_shared/testing/storage.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { exampleUpload } from "../_shared/videos/contract.ts";
import { PatchUploadsRequest, PostUploadsRequest } from "./schema.ts";
import { deleteUploads, getUploads, patchUploads, postUploads } from "./service.ts";

const picture = await Deno.readFile(
  new URL("../_shared/videos/images/fixtures/orientation-6.jpg", import.meta.url),
);
const upload = { ...exampleUpload(), content_type: "image/jpeg" as const };
const { upload_id } = upload;
const folder = "reference/upload";
const incoming = `${folder}/incoming`;
const expires_at = "2026-11-21T13:57:00.000Z";
const actor = { p_user_id: userId, p_session_id: sessionId };
const away = () => Promise.reject(new AppError("ERR_6002"));

/** An upload whose file is in storage, and what the database says when it is told of the copy. */
function completing(recorded: () => object | Promise<never>, given: Parameters<typeof fakeStorage>[0] = {}) {
  const uploads = fakeStorage(given);
  uploads.files.set(incoming, { content: picture, contentType: "image/jpeg" });
  const { database, calls } = fakeDatabase({
    load_upload: () => ({ folder, content_type: "image/jpeg", bytes: 100_000, upload: null }),
    patch_uploads: recorded,
  });
  const context = testContext("user", { database, uploads });
  const bytesOf = (path: string) => uploads.files.get(path)?.content.length;
  return { context, calls, bytesOf, files: () => [...uploads.files.keys()] };
}

Deno.test("an upload gets room first, then the URL that its file goes to", async () => {
  const { database, calls } = fakeDatabase({ post_uploads: () => ({ upload_id, folder, expires_at }) });
  const context = testContext("user", { database, uploads: fakeStorage() });
  const answer = await postUploads({ content_type: "image/png", bytes: 7 }, context);
  assert.deepEqual(answer, {
    status: 201,
    body: {
      upload_id,
      status: "pending",
      upload_url: `https://storage.example.com/upload/${incoming}?token=1`,
      expires_at,
    },
  });
  assert.deepEqual(calls, [{
    name: "post_uploads",
    args: { p_content_type: "image/png", p_bytes: 7, ...actor },
  }]);
});

Deno.test("where Storage signs nothing, the room is given back", async () => {
  const { database, calls } = fakeDatabase({
    post_uploads: () => ({ upload_id, folder, expires_at }),
    delete_uploads: () => ({}),
  });
  const context = testContext("user", { database, uploads: fakeStorage({ signUpload: away }) });
  await assert.rejects(postUploads({ content_type: "image/png", bytes: 7 }, context), { code: "ERR_6002" });
  await context.settled();
  assert.deepEqual(calls.at(-1), { name: "delete_uploads", args: { p_upload_id: upload_id, ...actor } });
});

Deno.test("a copy of the picture is kept where nobody was told of, and the file that came is removed", async () => {
  const { context, calls, bytesOf, files } = completing(() => ({ ...upload, is_first: true }));
  assert.deepEqual(await patchUploads({ upload_id, status: "completed" }, context), {
    status: 200,
    body: upload,
  });
  const { p_path, ...facts } = calls.at(-1)?.args as { p_path: string };
  assert.match(p_path, /^reference\/upload\/[0-9a-f-]{36}\.jpg$/);
  assert.deepEqual(facts, {
    p_user_id: userId,
    p_upload_id: upload_id,
    p_content_type: "image/jpeg",
    p_bytes: bytesOf(p_path),
    p_width: 72,
    p_height: 96,
  });
  await context.settled();
  assert.deepEqual(files(), [p_path]);
});

Deno.test("a copy that came second, or for an upload that was deleted meanwhile, does not stay", async () => {
  const second = completing(() => ({ ...upload, is_first: false }));
  await patchUploads({ upload_id, status: "completed" }, second.context);
  const deleted = completing(() => Promise.reject(new AppError("ERR_4007")));
  await assert.rejects(patchUploads({ upload_id, status: "completed" }, deleted.context), {
    code: "ERR_4007",
  });
  for (const { context, files } of [second, deleted]) {
    await context.settled();
    assert.deepEqual(files(), []);
  }
});

Deno.test("a copy stays where the database did not say what became of it", async () => {
  const { context, files } = completing(() => Promise.reject(new AppError("ERR_6001")));
  await assert.rejects(patchUploads({ upload_id, status: "completed" }, context), { code: "ERR_6001" });
  await context.settled();
  assert.equal(files().length, 1);
});

Deno.test("what is ready is not looked at again", async () => {
  const { database, calls } = fakeDatabase({
    load_upload: () => ({ folder, content_type: "image/jpeg", bytes: 7, upload }),
  });
  const nobody = () => assert.fail("Storage is not asked");
  const uploads = fakeStorage({ download: nobody, upload: nobody, remove: nobody });
  const context = testContext("user", { database, uploads });
  assert.deepEqual((await patchUploads({ upload_id, status: "completed" }, context)).body, upload);
  assert.equal(calls.length, 1);
});

Deno.test("a storage that is away, or full, completes nothing", async () => {
  for (const given of [{ download: away }, { upload: away }]) {
    const { context, calls } = completing(() => assert.fail("There is no copy"), given);
    await assert.rejects(patchUploads({ upload_id, status: "completed" }, context), { code: "ERR_6002" });
    assert.deepEqual(calls.map(({ name }) => name), ["load_upload"]);
  }
});

Deno.test("a page of the caller's leads to the next, and what is deleted is the caller's", async () => {
  const next = { created_at: "2026-11-20T11:59:00.123456+00:00", id: upload_id };
  const { database, calls } = fakeDatabase({
    get_uploads: () => ({ uploads: [upload], next }),
    delete_uploads: () => ({ deleted_at: expires_at }),
  });
  const context = testContext("user", { database });
  const { body } = await getUploads({ limit: 1 }, context);
  assert(body?.next_cursor);
  await getUploads({ limit: 1, cursor: body.next_cursor }, context);
  assert.deepEqual(await deleteUploads({ upload_id }, context), { status: 204 });
  assert.deepEqual(calls.map(({ args }) => args), [
    { p_limit: 1, p_after: null, ...actor },
    { p_limit: 1, p_after: next, ...actor },
    { p_upload_id: upload_id, ...actor },
  ]);
});

Deno.test("an upload is begun for three types and 10 MB, and completed by no other word", () => {
  const begins = (request: unknown) => PostUploadsRequest.safeParse(request).success;
  assert(begins({ content_type: "image/webp", bytes: 10_485_760 }));
  for (
    const request of [
      { content_type: "image/webp", bytes: 10_485_761 },
      { content_type: "image/webp", bytes: 0 },
      { content_type: "image/webp", bytes: 1.5 },
      { content_type: "image/webp", bytes: "7" },
      { content_type: "image/gif", bytes: 7 },
      { content_type: "IMAGE/PNG", bytes: 7 },
      { content_type: "image/png", bytes: 7, path: "x" },
      { bytes: 7 },
    ]
  ) assert(!begins(request), JSON.stringify(request));
  assert(!PatchUploadsRequest.safeParse({ upload_id, status: "ready" }).success);
});
