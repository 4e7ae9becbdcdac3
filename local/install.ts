/**
 * `deno task install`: puts the packages of deno.lock into node_modules. Every task that needs them begins with it, so it
 * says beforehand what a first start costs, and takes no time later. It imports no package.
 */
import { fileURLToPath } from "node:url";
import { readArguments, refuse } from "./arguments.ts";

readArguments(
  `deno task install

Installs the packages of deno.lock, if they are not there. Every task that needs them does it first.`,
  {},
);

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}node_modules`;
/** What node_modules was made from, written when it is whole. */
const stamp = `${folder}/.installed-from`;

/** What decides what is installed. */
async function wanted(): Promise<string> {
  const files = await Promise.all(
    ["deno.json", "deno.lock", "import_map.json"].map((name) => Deno.readTextFile(`${root}${name}`)),
  );
  const bytes = new TextEncoder().encode([...files, Deno.build.os, Deno.build.arch].join("\0"));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

const installed = await Deno.readTextFile(stamp).catch(() => "");
if (installed !== await wanted()) {
  const isFirst = await Deno.stat(folder).then(() => false, () => true);
  // The package for macOS holds the programs for both of its processors.
  const size = Deno.build.os === "darwin" ? "75 MB (260 MB on disk)" : "45 MB (190 MB on disk)";
  if (isFirst) console.error(`Downloading packages into node_modules, once: ${size}, about half a minute.`);
  const { success } = await new Deno.Command(Deno.execPath(), {
    // It has a line for each of the packages, twice, which say nothing to whoever waits.
    args: ["install", "--frozen", "--quiet"],
    cwd: root,
    stdin: "null",
    stdout: "null",
  }).spawn().status;
  if (!success) {
    refuse(
      "The packages were not installed, for the reason above. Where you have changed import_map.json, `npx -y deno@2.9.6 install` writes deno.lock.",
    );
  }
  await Deno.writeTextFile(stamp, await wanted());
}
