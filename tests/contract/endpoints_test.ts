import assert from "node:assert/strict";
import { parse } from "smol-toml";
import * as z from "zod/mini";
import { operationKey } from "../../supabase/functions/_shared/endpoint/operation.ts";
import { policyNames } from "../../supabase/functions/_shared/endpoint/rate-limiter.ts";
import { configFile, functionsConfigOf } from "../../tools/generate/functions-config.ts";
import { listFiles } from "../files.ts";
import { endpointNames } from "../../tools/generate/endpoint-names.ts";
import { declaredOperations } from "./generate-openapi.ts";

const root = new URL("../../", import.meta.url);
const names = await endpointNames();
const endpoints = await declaredOperations();

/** The TypeScript under supabase/functions: path to text. */
const sources = new Map<string, string>();
for (const path of await listFiles(root)) {
  if (!/^supabase\/functions\/.*\.ts$/.test(path)) continue;
  sources.set(path, await Deno.readTextFile(new URL(path, root)));
}

const Config = z.object({
  functions: z.record(z.string(), z.object({ verify_jwt: z.boolean(), import_map: z.string() })),
});

const { imports } = JSON.parse(await Deno.readTextFile(new URL("import_map.json", root)));

/** The specifiers of a module's static and dynamic imports, types included. */
function importsOf(text: string): string[] {
  const statements =
    /^(?:import|export)\s+(?:[\w\s{},*]+\bfrom\s*)?["']([^"'\n]+)["']|\bimport\(\s*["']([^"'\n]+)["']/gm;
  return Array.from(text.matchAll(statements), ([, named, dynamic]) => named ?? dynamic ?? "");
}

Deno.test("the tests below see every form of import", () => {
  const text = [
    "import a, { type B,",
    '  c } from "./one.ts";',
    'import * as d from "two";',
    'import "./three.ts";',
    'import type { E } from "./four.ts";',
    'export { f } from "./five.ts";',
    'export * from "./six.ts";',
    'const g = await import("./seven.ts");',
    'export const h = "not.ts";',
  ].join("\n");
  assert.deepEqual(importsOf(text), [
    "./one.ts",
    "two",
    "./three.ts",
    "./four.ts",
    "./five.ts",
    "./six.ts",
    "./seven.ts",
  ]);
});

/** Where a relative import of a file leads, from the root of the project. */
function target(path: string, specifier: string): string {
  return new URL(specifier, new URL(path, "file:///")).pathname.slice(1);
}

const isTest = (path: string) => path.endsWith("_test.ts");
const isTesting = (path: string) => path.startsWith("supabase/functions/_shared/testing/");
const isDocumentation = (path: string) => path.endsWith("/documentation.ts");

Deno.test("every endpoint's folder has the same five files, and tests of the others where they have some", () => {
  assert(names.length > 0);
  for (const name of names) {
    const folder = `supabase/functions/${name}/`;
    assert.deepEqual(
      [...sources.keys()].filter((path) => path.startsWith(folder)).map((path) => path.slice(folder.length))
        .filter((file) => !["index_test.ts", "schema_test.ts"].includes(file)),
      ["documentation.ts", "index.ts", "schema.ts", "service.ts", "service_test.ts"],
      name,
    );
    assert.match(name, /^[a-z]+(-[a-z]+)*$/);
  }
});

Deno.test("config.toml has a block for each endpoint, which leaves authentication to the wrapper; `deno task generate` writes it", async () => {
  const text = await Deno.readTextFile(configFile);
  assert.equal(text, functionsConfigOf(text, names));
  const { functions } = z.parse(Config, parse(text));
  assert.deepEqual(Object.keys(functions), names);
  for (const block of Object.values(functions)) {
    assert.deepEqual({ ...block, import_map: target("supabase/config.toml", block.import_map) }, {
      verify_jwt: false,
      import_map: "import_map.json",
    });
  }
});

Deno.test("index.ts is one declaration, and nothing else", () => {
  for (const name of names) {
    const text = sources.get(`supabase/functions/${name}/index.ts`) ?? "";
    const statements = text.replace(/^import [^;]+;\n/gm, "").trim();
    assert.match(statements, /^export default endpoint\(/, name);
    assert.equal(statements.match(/^(export|const|let|function|class|async)\b/gm)?.length, 1, name);
    assert.doesNotMatch(statements, /=>|function/, `${name} decides something`);
  }
});

Deno.test("imports point one way: endpoint to _shared, and never out of supabase/functions", () => {
  for (const [path, text] of sources) {
    const folder = path.split("/")[2] ?? "";
    for (const specifier of importsOf(text)) {
      if (!/^\.{1,2}\//.test(specifier)) {
        const isKnown = Object.hasOwn(imports, specifier) || specifier.startsWith("node:");
        assert(isKnown, `${path} imports ${specifier}, which import_map.json does not have`);
        continue;
      }
      const imported = target(path, specifier);
      assert(
        sources.has(imported) || imported.startsWith("supabase/functions/"),
        `${path} imports ${imported}`,
      );
      const importedFolder = imported.split("/")[2];
      assert(importedFolder === "_shared" || importedFolder === folder, `${path} imports ${imported}`);
    }
  }
});

Deno.test("nothing that is deployed imports what is for tests or for documents", () => {
  for (const [path, text] of sources) {
    if (isTest(path) || isTesting(path) || isDocumentation(path)) continue;
    for (const specifier of importsOf(text)) {
      const imported = /^\./.test(specifier) ? target(path, specifier) : specifier;
      assert(
        !isTest(imported) && !isTesting(imported) && !isDocumentation(imported) && imported !== "fast-check",
        `${path} imports ${imported}`,
      );
    }
  }
});

Deno.test("only config.ts reads the environment, and only logger.ts writes to the console", () => {
  const rules: [RegExp, string][] = [
    [/\bDeno\s*\.\s*env\b|\bprocess\s*\.\s*env\b/, "supabase/functions/_shared/platform/config.ts"],
    [/\bconsole\s*[.[]/, "supabase/functions/_shared/platform/logger.ts"],
  ];
  for (const [pattern, allowed] of rules) {
    // A rule that its own file does not break would find nothing anywhere.
    assert.match(sources.get(allowed) ?? "", pattern);
    for (const [path, text] of sources) {
      if (path === allowed || isTest(path)) continue;
      // Comments may speak of both.
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      assert.doesNotMatch(code, pattern, path);
    }
  }
});

Deno.test("no field of a request stands in for who acts: its fields come before them among a procedure's arguments", () => {
  const misplaced = /\b(actor|admin|keyed)\(context\)[^;]*\.\.\.fields\(/;
  assert.match("{ ...actor(context), ...fields(request) }", misplaced);
  const services = [...sources].filter(([path]) => path.endsWith("/service.ts"));
  assert(services.filter(([, text]) => text.includes("...fields(")).length > 5);
  for (const [path, text] of services) {
    for (const statement of text.split(/;\n/)) assert.doesNotMatch(statement, misplaced, path);
  }
});

Deno.test("requests refuse unknown fields, and no service has to choose between body and query", () => {
  for (const [name, operations] of endpoints) {
    for (const { auth, query, request, rawBody } of operations) {
      assert([request, rawBody].filter(Boolean).length <= 1, `${name} has two bodies`);
      assert(!(query && request), `${name} has a query beside its body`);
      for (const schema of [query, request]) {
        // Whoever signs decides what comes with it.
        if (schema === undefined || auth === "signed") continue;
        assert.equal(z.toJSONSchema(schema, { io: "input" }).additionalProperties, false, name);
      }
    }
  }
});

/** Whose URL is the same for every sender: Apple is told one for an app, by hand, and has nothing else to prove itself with. */
const provedByBody = ["app-store-notifications", "apple-identity-notifications"];

Deno.test("what is signed proves something by its URL, before its body is read", () => {
  for (const [name, operations] of endpoints) {
    for (const { auth, admit } of operations) {
      assert.equal(admit !== undefined, auth === "signed" && !provedByBody.includes(name), name);
    }
  }
});

Deno.test("an endpoint declares each method and path once, and no policy or error twice", () => {
  for (const [name, operations] of endpoints) {
    const keys = operations.map(operationKey);
    assert.equal(new Set(keys).size, keys.length, name);
    for (const { summary, errors, policies = [] } of operations) {
      assert.equal(new Set(errors).size, errors.length, name);
      assert.equal(new Set(policies).size, policies.length, name);
      assert.match(summary, /^[A-Z].*[^.]$/, name);
    }
  }
});

Deno.test("a limit that an endpoint declares is one that the migrations seed", async () => {
  const migrations = (await listFiles(root)).filter((path) => /^supabase\/migrations\/.*\.sql$/.test(path));
  const texts = await Promise.all(migrations.map((path) => Deno.readTextFile(new URL(path, root))));
  const declared = new Set([...endpoints.values()].flat().flatMap(({ policies = [] }) => policies));
  for (const policy of declared) assert(texts.some((text) => text.includes(`'${policy}'`)), policy);
  for (const policy of policyNames) assert.match(policy, /^[a-z]+(_[a-z]+)*$/);
});
