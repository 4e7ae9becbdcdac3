import assert from "node:assert/strict";
import { createObjectStore, objectPath } from "./objects.ts";

const text = (value: string) => new TextEncoder().encode(value);

async function filesBelow(directory: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    found.push(...(isDirectory ? await filesBelow(`${directory}/${name}`) : [`${directory}/${name}`]));
  }
  return found;
}

Deno.test("an upload that breaks off leaves the old version, and nothing of the new one", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const store = createObjectStore(directory);
    await store.uploadObject("videos", "a", undefined, text("old"), "video/mp4", "no-cache");
    const broken = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(text("half of the new one")),
      pull: (controller) => controller.error(new Error("broken on purpose")),
    });
    await assert.rejects(
      store.uploadObject("videos", "a", undefined, broken, "video/mp4", "no-cache"),
      /on purpose/,
    );
    const file = objectPath(directory, "videos", "a");
    assert.deepEqual(await filesBelow(directory), [file]);
    assert.equal(await Deno.readTextFile(file), "old");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("no key leads out of the store's folder", () => {
  for (const key of ["..", "../up", "a/../../up", "a/%2e%2e/up", ".", "a//b", "", "a\0b"]) {
    assert.throws(() => objectPath("/store", "videos", key), /Invalid object key/, key);
  }
  assert.throws(() => objectPath("/store", "..", "a"), /Invalid object key/);
});

Deno.test("an object may have the name of another's folder", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const store = createObjectStore(directory);
    for (const key of ["a", "a/b"]) {
      await store.uploadObject("videos", key, undefined, text(key), "text/plain", "no-cache");
    }
    for (const key of ["a", "a/b"]) {
      assert.equal(await Deno.readTextFile(objectPath(directory, "videos", key)), key);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
