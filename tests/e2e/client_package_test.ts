/** The package for apps as npm has it: its tarball in an empty project, on the Nodes that it names and in a browser's bundle. */
import assert from "node:assert/strict";
import { packClient } from "../../tools/client-package.ts";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { patience } from "../../local/testing/patience.ts";
import { fences, readDocument } from "../contract/documents.ts";
import { cases, runs } from "../runs.ts";
import { shared } from "../shared.ts";
import { startBackend } from "./support/backend.ts";

const backend = shared(startBackend);
let project: string;
let tarball: string;

async function run(command: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: project,
    env: { NO_COLOR: "1", ...env },
    signal: AbortSignal.timeout(patience),
  }).output();
  const [said, wrong] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(success, `${command} ${args.join(" ")}\n${said}\n${wrong}`);
  return said ?? "";
}

/** The versions that the repository has. */
const { imports } = JSON.parse(await Deno.readTextFile(new URL("../../import_map.json", import.meta.url)));
const versionOf = (name: string): string => imports[name].replace("npm:", "");

Deno.test.beforeAll(async () => {
  project = await Deno.makeTempDir();
  await Deno.mkdir(`${project}/built`);
  tarball = await packClient(`${project}/built`);
  const examples = fences(await readDocument("client/README.md"), "ts");
  const isAdmins = (example: string) => example.includes("@kinora/client/admin");
  const lines = examples.filter((example) => !isAdmins(example)).join("\n");
  await Deno.writeTextFile(`${project}/package.json`, JSON.stringify({ type: "module", private: true }));
  await Deno.writeTextFile(
    `${project}/journey.ts`,
    `import ws from "ws";
import { KinoraError } from "@kinora/client";
declare const process: { env: Record<string, string> };
const { URL: url = "", KEY: publishableKey = "", TOKEN: token = "", MODEL: model_id = "" } = process.env;
const newDeviceToken = () => Promise.resolve(token);
const show = (stage: string) => console.log(stage);
// Node 20 has no WebSocket, which createClient wants.
if (!("WebSocket" in globalThis)) Object.assign(globalThis, { WebSocket: ws });
${lines}
console.log(video.size, (await kinora.credits()).credits_remaining);
try {
  await kinora.generate({ model_id: crypto.randomUUID(), prompt: "No such model" });
} catch (error) {
  if (error instanceof KinoraError && error.code === "ERR_4002") {
    const refused: string = error.details.model_id;
    console.log(error.status, refused.length);
  }
}
// @ts-expect-error: a request has a prompt
void (() => kinora.generate({ model_id }));
`,
  );
  await Deno.writeTextFile(
    `${project}/operator.ts`,
    `import type { Supabase } from "@kinora/client/admin";
declare const supabase: Supabase, user_id: string, webhook_id: string;
declare function list(rows: { status: string }[]): void;
${examples.filter(isAdmins).join("\n")}`,
  );
  await run("npm", [
    ...["install", "--no-audit", "--no-fund", "--prefer-offline", "--silent"],
    ...[
      tarball,
      versionOf("@supabase/supabase-js"),
      versionOf("typescript"),
      "ws@8",
      "@types/ws@8",
      "@types/node@20",
    ],
  ]);
});
Deno.test.afterAll(async () => {
  await Deno.remove(project, { recursive: true });
});

Deno.test("the tarball has programs, types, maps with their sources, README and licence, and nothing else", async () => {
  const files = (await run("tar", ["-tzf", tarball])).trim().split("\n").sort();
  const modules = [...Deno.readDirSync(new URL("../../client/src", import.meta.url))]
    .filter(({ name }) => !name.endsWith("_test.ts") && name !== "openapi.ts")
    .map(({ name }) => name.replace(/\.ts$/, ""));
  assert.deepEqual(
    files,
    [
      "package/LICENSE",
      "package/README.md",
      "package/package.json",
      "package/dist/openapi.d.ts",
      ...modules.flatMap((name) => [".d.ts", ".js", ".js.map"].map((end) => `package/dist/${name}${end}`)),
    ].sort(),
  );
  for (const name of modules) {
    const installed = `${project}/node_modules/@kinora/client/dist/${name}.js`;
    assert.match(await Deno.readTextFile(installed), new RegExp(`sourceMappingURL=${name}\\.js\\.map`));
    const { sourcesContent } = JSON.parse(await Deno.readTextFile(`${installed}.map`));
    const source = new URL(`../../client/src/${name}.ts`, import.meta.url);
    assert.deepEqual(sourcesContent, [await Deno.readTextFile(source)]);
  }
});

// Programs of many packages, which npm fetches, and a compiler for each resolution.
const inFull = { ignore: runs(0, 1) === 0 };

Deno.test("publint and Are The Types Wrong find nothing", inFull, async () => {
  const publint = await run("npx", ["-y", "publint@0.3.25", "run", tarball, "--strict"]);
  assert.match(publint, /All good!/);
  // It fails where there is a problem. The package is ESM alone.
  await run("npx", ["-y", "@arethetypeswrong/cli@0.18.5", tarball, "--profile", "esm-only"]);
});

for (
  const [module, moduleResolution] of [
    ["esnext", "bundler"],
    ["node16", "node16"],
    ["nodenext", "nodenext"],
  ] as const
) {
  Deno.test(`a strict project has its types with moduleResolution ${moduleResolution}`, inFull, async () => {
    const strict = [
      "--strict",
      "--exactOptionalPropertyTypes",
      "--noUncheckedIndexedAccess",
      "--target",
      "es2022",
    ];
    const resolution = ["--module", module, "--moduleResolution", moduleResolution];
    await run("npx", ["tsc", "--noEmit", ...strict, ...resolution, "journey.ts", "operator.ts"]);
  });
}

for (const node of cases(1, ["20", "22"])) {
  Deno.test(`a guest makes a video by the README's lines on Node ${node}`, async () => {
    // Its types are the long tests'.
    await run("npx", ["tsc", "--noCheck", "--module", "nodenext", "--target", "es2022", "journey.ts"]);
    const { url, publishableKey } = backend.stack;
    const said = await run("npx", ["-y", `node@${node}`, "journey.js"], {
      URL: url,
      KEY: publishableKey,
      TOKEN: deviceToken(`a phone with Node ${node}`),
      MODEL: "0190a000-0000-7000-8000-000000000001",
    });
    const lines = said.trim().split("\n");
    assert.match(lines.at(-2) ?? "", /^[1-9]\d* 6$/, said);
    assert.equal(lines.at(-1), "422 36");
    assert(lines.includes("done"), said);
  });
}

Deno.test("a browser's bundle has no part of Node, and the package's own part is small", async () => {
  await Deno.writeTextFile(`${project}/own.js`, 'export * from "@kinora/client";');
  await run(Deno.execPath(), [
    ...["bundle", "--quiet", "--no-config", "--platform=browser", "--minify", "--node-modules-dir=manual"],
    ...["--output=own.min.js", "own.js"],
  ]);
  const bundle = await Deno.readTextFile(`${project}/own.min.js`);
  assert.doesNotMatch(bundle, /node:|require\(|\bBuffer\b|\bDeno\b/);
  const gzip = new Response(bundle).body?.pipeThrough(new CompressionStream("gzip"));
  const { byteLength } = await new Response(gzip).arrayBuffer();
  console.log(`${(bundle.length / 1000).toFixed(1)} kB, ${(byteLength / 1000).toFixed(1)} kB compressed`);
  // It is 20 kB; what makes it twice that is a mistake.
  assert(bundle.length < 40_000, `${bundle.length} bytes`);
});
