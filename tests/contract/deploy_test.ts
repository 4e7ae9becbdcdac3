/**
 * What `deno task deploy` uploads is what was tested: the real CLI deploys to a stand-in of the Management API, and what came
 * there, with nothing else, is looked into and played on the platform's Deno.
 */
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import {
  deployedVariable,
  platformDeno,
  platformDenoVariable,
} from "../../local/functions/functions-source.ts";
import {
  type ManagementApi,
  startManagementApi,
  type UploadedFunction,
} from "../../local/simulators/management-api.ts";
import { bundleFunctions } from "../../tools/bundles.ts";
import { endpointNames } from "../../tools/generate/endpoint-names.ts";

const root = new URL("../../", import.meta.url);
const decoder = new TextDecoder();

/**
 * Bytes. The platform takes 20 MB, but a start reads and compiles all of it; the largest has 560 kB. Twice as much says that a
 * package has come in that nobody meant to.
 */
const maxBundleBytes = 1_000_000;

const ref = "abcdefghijklmnopqrst";

let api: ManagementApi;
let uploads: ReadonlyMap<string, UploadedFunction>;
let cliOutput: string;
let directory: string;

/** Runs a task that calls the CLI, which takes the stand-in for the platform. Gives what it said beside its result. */
async function runTask(...args: string[]): Promise<string> {
  const profile = `${directory}/profile.yaml`;
  await Deno.writeTextFile(
    profile,
    `name: stand-in\napi_url: "${api.url}"\ndashboard_url: "${api.url}"\nproject_host: "127.0.0.1"\n`,
  );
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...args, `--remote=${ref}`, "--yes"],
    cwd: root,
    env: {
      SUPABASE_PROFILE: profile,
      SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
      SUPABASE_HOME: `${directory}/home`,
      SUPABASE_NO_KEYRING: "1",
      SUPABASE_TELEMETRY_DISABLED: "1",
    },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.equal(code, 0, decoder.decode(stderr));
  return decoder.decode(stderr);
}

Deno.test.beforeAll(async () => {
  directory = await Deno.makeTempDir();
  api = await startManagementApi(ref);
  cliOutput = await runTask("deploy");
  uploads = api.functions;
  for (const { files } of uploads.values()) {
    for (const [path, text] of files) {
      const file = `${directory}/uploaded/${path}`;
      await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(file, text);
    }
  }
});

Deno.test.afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await Deno.remove(directory, { recursive: true });
});

/** Each function with the text of its bundle. */
function bundles(): [name: string, text: string][] {
  return Array.from(uploads, ([name, { entryPoint, files }]) => [name, files.get(entryPoint) ?? ""]);
}

/** The files that a bundle was made from: before the code of each it names its path, from the project's root. */
function sourcesOf(text: string): string[] {
  return Array.from(text.matchAll(/^\/\/ (\S+\.(?:[cm]?[jt]s|json))$/gm), ([, path = ""]) => path);
}

Deno.test("every endpoint is deployed, as one file, without an import map, and checks its callers itself", async () => {
  assert.deepEqual([...uploads.keys()].sort(), await endpointNames());
  for (const [name, { verifyJwt, entryPoint, importMap, files }] of uploads) {
    assert.equal(verifyJwt, false, name);
    assert.equal(entryPoint, `supabase/functions/${name}/index.js`);
    assert.equal(importMap, "", name);
    assert.deepEqual([...files.keys()], [entryPoint]);
  }
});

Deno.test("the CLI has nothing to warn of", () => {
  assert.match(cliOutput, /Deploying Function/);
  assert.doesNotMatch(cliOutput, /warn|deprecat/i);
});

Deno.test("a bundle imports nothing but Deno's own modules, statically or not", () => {
  for (const [name, text] of bundles()) {
    const imports = Array.from(
      text.matchAll(/^\s*(?:import|export)\b[^;'"`]*?\bfrom\s*["']([^"']+)|^import\s*["']([^"']+)/gm),
      ([, from, plain]) => from ?? plain ?? "",
    );
    assert.deepEqual(imports.filter((specifier) => !specifier.startsWith("node:")), [], name);
    assert.doesNotMatch(text, /\b(import|require)\(["'`](?!node:)/, name);
  }
});

Deno.test("packages have the versions of deno.lock, each one version, and no other package is in a bundle", async () => {
  const { npm }: { npm: Record<string, unknown> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.lock", root)),
  );
  const locked = Object.keys(npm);
  const versions = new Map<string, Set<string>>();
  for (const [name, text] of bundles()) {
    for (const path of sourcesOf(text).filter((path) => path.includes("node_modules/"))) {
      // Deno keeps a package in a folder that is named after it and its version, with + for /.
      const [, folder = "", packageName = ""] =
        /^node_modules\/\.deno\/([^/]+)\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
      const [, version = ""] = /^@?[^@]+@([^_]+)/.exec(folder) ?? [];
      const key = `${packageName}@${version}`;
      assert(
        locked.some((entry) => entry === key || entry.startsWith(`${key}_`)),
        `${name} holds ${path}, which deno.lock does not have`,
      );
      versions.set(packageName, (versions.get(packageName) ?? new Set()).add(version));
    }
  }
  assert(["zod", "jose", "@supabase/server", "@supabase/storage-js"].every((name) => versions.has(name)));
  for (const [name, { size }] of versions) assert.equal(size, 1, name);
});

Deno.test("nothing is bundled that the lock file does not hold", async () => {
  const lock = JSON.parse(await Deno.readTextFile(new URL("deno.lock", root)));
  const jose = Object.keys(lock.npm).find((key) => key.startsWith("jose@")) ?? "";
  const specifier = Object.keys(lock.specifiers).find((key) => /:jose@/.test(key)) ?? "";
  const changes: Record<string, (copy: typeof lock) => void> = {
    "without a package": (copy) => delete copy.npm[jose],
    "without a specifier": (copy) => delete copy.specifiers[specifier],
  };
  for (const [name, change] of Object.entries(changes)) {
    const copy = structuredClone(lock);
    change(copy);
    const file = `${directory}/deno.lock`;
    await Deno.writeTextFile(file, JSON.stringify(copy));
    await assert.rejects(bundleFunctions(`${directory}/refused`, [`--lock=${file}`]), /lock/i, name);
  }
});

Deno.test("tests, fakes, documentation, words for documents and environments stay at home", () => {
  const unwanted = /_test\.|\/testing\/|\/documentation\.ts$|\/config-variables\.ts$|fixtures|\.env|\.json$/;
  for (const [name, text] of bundles()) {
    const own = sourcesOf(text).filter((path) => !path.startsWith("node_modules/"));
    assert(own.includes(`supabase/functions/${name}/service.ts`), `${name} does not name its sources`);
    assert.deepEqual(own.filter((path) => !path.startsWith("supabase/functions/")), [], name);
    assert.deepEqual(own.filter((path) => unwanted.test(path)), [], name);
    // Nor what only this machine knows.
    assert(!text.includes(fileURLToPath(root)), name);
  }
});

Deno.test("a bundle can be read: names and lines are the sources'", () => {
  const [, text = ""] = bundles().find(([name]) => name === "generate-video") ?? [];
  assert.match(text, /^async function generateVideo\(/m);
  const longest = Math.max(...text.split("\n").map((line) => line.length));
  // zod's regular expressions are the longest.
  assert(longest < 3_000, `a line has ${longest} characters`);
});

Deno.test("no bundle is larger than a quick start allows", () => {
  for (const [name, text] of bundles()) {
    const { byteLength } = new TextEncoder().encode(text);
    assert(byteLength > 100_000 && byteLength < maxBundleBytes, `${name} has ${byteLength} bytes`);
  }
});

Deno.test("a secret in quotes reaches the platform whole, as docs/deploying.md has it, and one without does not", async () => {
  const file = `${directory}/secrets.env`;
  const pem = "-----BEGIN PRIVATE KEY-----\\nMIGH#AgEA\\n-----END PRIVATE KEY-----";
  await Deno.writeTextFile(file, `BARE=ab#cd\nQUOTED='ab#cd$HOME'\nPEM="${pem}"\n`);
  // In a folder of its own, where the CLI may note which project it spoke to.
  await runTask("supabase", "secrets", "set", "--env-file", file, "--workdir", directory);
  assert.deepEqual(Object.fromEntries(api.secrets), {
    BARE: "ab",
    QUOTED: "ab#cd$HOME",
    PEM: pem.replaceAll("\\n", "\n"),
  });
});

Deno.test("what was uploaded, alone, plays the demo on the platform's Deno", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "demo"],
    cwd: root,
    env: {
      [deployedVariable]: `${directory}/uploaded/supabase/functions`,
      [platformDenoVariable]: await platformDeno(),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  assert.equal(code, 0, decoder.decode(stdout) + decoder.decode(stderr));
  assert.match(decoder.decode(stdout), /no violation/);
});
