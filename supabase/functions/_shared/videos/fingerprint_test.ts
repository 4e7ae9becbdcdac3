import assert from "node:assert/strict";
import { fakeDatabase } from "../testing/database.ts";
import { fakeStorage } from "../testing/storage.ts";
import { jobId } from "../testing/tasks.ts";
import { fingerprintVideo } from "./fingerprint.ts";

const task = {
  task_id: 3,
  kind: "fingerprint",
  subject: jobId,
  owner_id: null,
  attempt: 2,
  payload: {},
  facts: { folder: "folder", paths: [], submission: null },
};

Deno.test("a video is hashed as it is read, whatever pieces it comes in, and each is counted", async () => {
  const content = crypto.getRandomValues(new Uint8Array(50_000));
  const digest = Array.from(
    new Uint8Array(await crypto.subtle.digest("SHA-256", content)),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
  for (const size of [1_000, 7_919, 50_000]) {
    const { database, calls } = fakeDatabase({ record_fingerprint: () => ({ status: "completed" }) });
    const opened: string[] = [];
    let counted = 0;
    const storage = fakeStorage({
      open: (path) => {
        opened.push(path);
        const pieces = Array.from(
          { length: Math.ceil(content.length / size) },
          (_, index) => content.subarray(index * size, (index + 1) * size),
        );
        return Promise.resolve(ReadableStream.from(pieces));
      },
    });
    await fingerprintVideo(
      task,
      { database, storage },
      new AbortController().signal,
      (bytes) => counted += bytes,
    );
    assert.deepEqual([opened, counted], [["folder/video.mp4"], content.length]);
    assert.deepEqual(calls, [{
      name: "record_fingerprint",
      args: { p_task_id: 3, p_attempt: 2, p_job_id: jobId, p_sha256: digest },
    }]);
  }
});

Deno.test("a file that is gone has no hash, and one that breaks off is no file", async () => {
  const { database, calls } = fakeDatabase({ record_fingerprint: () => ({ status: "completed" }) });
  const { signal } = new AbortController();
  await fingerprintVideo(task, { database, storage: fakeStorage() }, signal, () => {});
  assert.deepEqual(calls.map(({ args }) => args), [{ p_task_id: 3, p_attempt: 2, p_job_id: jobId }]);
  const storage = fakeStorage({
    open: () =>
      Promise.resolve(
        new ReadableStream({
          pull: (controller) => controller.error(new Error("cut off")),
        }),
      ),
  });
  await assert.rejects(fingerprintVideo(task, { database, storage }, signal, () => {}), /cut off/);
  assert.equal(calls.length, 1);
});
