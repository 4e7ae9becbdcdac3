import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";
import { deployArguments, linkedProject } from "./deploy.ts";

Deno.test("the linked project is the one that the CLI noted, and none where it noted none", async () => {
  const root = await Deno.makeTempDir();
  const url = pathToFileURL(`${root}/`);
  assert.equal(await linkedProject(url), undefined);
  await Deno.mkdir(`${root}/supabase/.temp`, { recursive: true });
  // As version 3.1.0 of the CLI writes it.
  await Deno.writeTextFile(
    `${root}/supabase/.temp/linked-project.json`,
    '{"ref":"abcdefghijklmnopqrst","name":"kinora","organization_id":"o","organization_slug":"o"}',
  );
  assert.equal(await linkedProject(url), "abcdefghijklmnopqrst");
  await Deno.remove(root, { recursive: true });
});

Deno.test("the project, the flags and the names of functions reach the CLI", () => {
  const given = deployArguments({ names: ["health", "models"], remote: "staging", flags: ["--prune"] });
  assert.deepEqual(given.slice(-4), ["--remote=staging", "--prune", "health", "models"]);
  const asking = deployArguments({ names: [], remote: undefined, flags: [] });
  assert(!asking.some((argument) => argument.startsWith("--remote")), "without a project, the CLI asks");
});
