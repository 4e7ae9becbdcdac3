/** `deno task client`: builds `@kinora/client` as npm has it, and packs it. */
import ts from "typescript";
import { readArguments } from "../local/arguments.ts";
import { defaultDirectory } from "../local/served.ts";

const root = new URL("../", import.meta.url);

/** What `exports` of client/package.json names. */
const entryPoints = ["kinora.ts", "admin.ts"];

/**
 * Builds the package into an empty folder: ESM, types, source maps with the sources in them, README and licence. Gives the
 * path of the tarball that `npm pack` makes of it, in the same folder. Throws what the compiler finds.
 */
export async function packClient(folder: string): Promise<string> {
  const program = ts.createProgram(entryPoints.map((name) => new URL(`client/src/${name}`, root).pathname), {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    types: [],
    skipLibCheck: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    rewriteRelativeImportExtensions: true,
    declaration: true,
    sourceMap: true,
    inlineSources: true,
    outDir: `${folder}/dist`,
    rootDir: new URL("client/src", root).pathname,
  });
  const { diagnostics } = program.emit(undefined, (path, text) => {
    // Of types alone, no program is left.
    if (/\/openapi\.js(\.map)?$/.test(path)) return;
    // The compiler rewrites these in programs alone.
    ts.sys.writeFile(path, path.endsWith(".d.ts") ? text.replace(/(from "\.\/.+)\.ts"/g, '$1.js"') : text);
  });
  const found = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
  if (found.length > 0) {
    throw new Error(ts.formatDiagnostics(found, {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: () => folder,
      getNewLine: () => "\n",
    }));
  }
  for (const name of ["client/package.json", "client/README.md", "LICENSE"]) {
    await Deno.copyFile(new URL(name, root), `${folder}/${name.split("/").at(-1)}`);
  }
  const { success, stdout, stderr } = await new Deno.Command("npm", {
    args: ["pack", "--json", "--silent"],
    cwd: folder,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const [{ filename }]: [{ filename: string }] = JSON.parse(new TextDecoder().decode(stdout));
  return `${folder}/${filename}`;
}

if (import.meta.main) {
  readArguments(
    `deno task client

Builds the package for apps, @kinora/client, and leaves its tarball in .kinora, from where npm publishes or installs it.`,
    {},
  );
  const folder = await Deno.makeTempDir();
  try {
    const tarball = await packClient(folder);
    const output = `${defaultDirectory}/${tarball.split("/").at(-1)}`;
    await Deno.mkdir(defaultDirectory, { recursive: true });
    await Deno.copyFile(tarball, output);
    console.log(output);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
