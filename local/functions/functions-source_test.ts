import assert from "node:assert/strict";
import { startFunctions } from "./functions.ts";
import {
  defaultFunctions,
  deployedVariable,
  platformDeno,
  platformDenoVariable,
} from "./functions-source.ts";

Deno.test("the sources are served on our own Deno, unless the environment names a folder and a Deno", async () => {
  const directory = await Deno.makeTempDir();
  await Deno.mkdir(`${directory}/version`);
  await Deno.writeTextFile(
    `${directory}/version/index.js`,
    "export default { fetch: () => new Response(Deno.version.deno) };",
  );
  try {
    const sources = defaultFunctions();
    assert.match(sources.directory.href, /\/supabase\/functions\/$/);
    assert.equal(sources.deno, undefined);

    Deno.env.set(deployedVariable, directory);
    Deno.env.set(platformDenoVariable, await platformDeno());
    let url = "";
    await using _functions = await startFunctions({
      source: defaultFunctions(),
      environment: {},
      log: () => {},
      onPort: (port) => {
        url = `http://127.0.0.1:${port}/version`;
        return Promise.resolve();
      },
      watch: false,
    });
    const version = await (await fetch(url)).text();
    const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
    assert.equal(version, /deno@([\d.]+)/.exec(tasks["platform-deno"].command)?.[1]);
    assert.notEqual(version, Deno.version.deno);
  } finally {
    Deno.env.delete(deployedVariable);
    Deno.env.delete(platformDenoVariable);
    await Deno.remove(directory, { recursive: true });
  }
});
