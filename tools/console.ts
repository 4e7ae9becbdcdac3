/** `deno task console`: builds the console as any static host can have it. */
import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readArguments } from "../local/arguments.ts";

const root = new URL("../", import.meta.url);

/** Where the task builds it, and `deno task dev` serves it from. */
export const builtConsole = fileURLToPath(new URL("console/dist", root));

/** Builds it into `folder`, anew: a page, a program, and a style sheet, without the project's `settings.json`. */
export async function buildConsole(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await Deno.mkdir(folder, { recursive: true });
  const flags = ["--quiet", "--frozen", "--platform=browser", "--minify", `--outdir=${folder}`];
  await promisify(execFile)(Deno.execPath(), ["bundle", ...flags, "console/main.tsx"], {
    cwd: fileURLToPath(root),
  });
  await Deno.copyFile(new URL("console/index.html", root), `${folder}/index.html`);
}

async function compressedBytes(path: string): Promise<number> {
  const { readable } = await Deno.open(path);
  return (await new Response(readable.pipeThrough(new CompressionStream("gzip"))).arrayBuffer()).byteLength;
}

if (import.meta.main) {
  readArguments(
    `deno task console

Builds the console into console/dist. With a settings.json beside it (docs/deploying.md) any static host can serve it.`,
    {},
  );
  const started = performance.now();
  await buildConsole(builtConsole);
  const files = await Promise.all(
    Array.from(Deno.readDirSync(builtConsole), ({ name }) => compressedBytes(`${builtConsole}/${name}`)),
  );
  const kilobytes = files.reduce((sum, bytes) => sum + bytes, 0) / 1000;
  const seconds = (performance.now() - started) / 1000;
  console.log(`${builtConsole}: ${kilobytes.toFixed(1)} kB compressed, in ${seconds.toFixed(1)} s`);
}
