import assert from "node:assert/strict";
import { DirectoryInUseError, isInUse, openDirectory } from "./directory.ts";

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("one process at a time holds a folder, which stays when it is let go", async () => {
  const path = await Deno.makeTempDir();
  try {
    {
      await using _directory = await openDirectory(path);
      assert.equal(await isInUse(path), true);
      await assert.rejects(openDirectory(path), DirectoryInUseError);
    }
    assert.equal(await isInUse(path), false);
    assert.equal(await exists(path), true);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("a folder that nobody has made is not in use", async () => {
  assert.equal(await isInUse("/nonexistent/folder"), false);
});

Deno.test("a temporary folder goes with its owner", async () => {
  let path: string;
  {
    await using directory = await openDirectory();
    path = directory.path;
    assert.equal(await exists(path), true);
  }
  assert.equal(await exists(path), false);
});

Deno.test("the next start removes a temporary folder whose owner was killed, and no other", async () => {
  const open = `
    const { openDirectory } = await import(${JSON.stringify(new URL("directory.ts", import.meta.url).href)});
    console.log((await openDirectory()).path);
    Deno.kill(Deno.pid, "SIGKILL");`;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", open], stderr: "null" })
    .output();
  const abandoned = new TextDecoder().decode(stdout).trim();
  assert.equal(await exists(abandoned), true);

  await using first = await openDirectory();
  assert.equal(await exists(abandoned), false);
  await using _second = await openDirectory();
  assert.equal(await exists(first.path), true);
});
