import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { buildDeployment } from "./bundles.ts";

Deno.test("a deployment is built anew: neither a function that is gone nor the project of the last one is left", async () => {
  const directory = await Deno.makeTempDir();
  try {
    for (const left of ["functions/gone/index.js", "functions/health/more.js", ".temp/linked-project.json"]) {
      const file = `${directory}/supabase/${left}`;
      await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(file, "{}");
    }
    const folder = await buildDeployment(directory);
    const found = Array.from(Deno.readDirSync(`${directory}/supabase`), ({ name }) => name).sort();
    assert.deepEqual(found, ["config.toml", "functions"]);
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
    assert(!names.includes("gone") && names.includes("health"));
    assert.deepEqual(Array.from(Deno.readDirSync(`${folder}/health`), ({ name }) => name), ["index.js"]);

    const { functions } = parse(await Deno.readTextFile(`${directory}/supabase/config.toml`));
    assert.deepEqual(Object.keys(Object(functions)).sort(), names);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
