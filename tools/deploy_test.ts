import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";
import { deployArguments, linkedProject } from "./deploy.ts";

Deno.test("a deployment goes to the linked project, unless it is told another", async () => {
  const root = await Deno.makeTempDir();
  const url = pathToFileURL(`${root}/`);
  assert.equal(await linkedProject(url), undefined);
  await Deno.mkdir(`${root}/supabase/.temp`, { recursive: true });
  // As version 3.1.0 of the CLI writes it.
  await Deno.writeTextFile(
    `${root}/supabase/.temp/linked-project.json`,
    '{"ref":"abcdefghijklmnopqrst","name":"kinora","organization_id":"o","organization_slug":"o"}',
  );
  const linked = await linkedProject(url);
  await Deno.remove(root, { recursive: true });

  assert(deployArguments([], linked).includes("--remote=abcdefghijklmnopqrst"));
  const others = [["--remote=staging"], ["--remote", "staging"], ["--project-ref", "staging"]];
  for (const given of others) {
    assert(!deployArguments(given, linked).some((argument) => argument.includes("abcdefghijklmnopqrst")));
  }
});

Deno.test("whatever else is given reaches the CLI", () => {
  const given = ["health", "models", "--prune", "--yes"];
  assert.deepEqual(deployArguments(given, undefined).slice(-given.length), given);
});
