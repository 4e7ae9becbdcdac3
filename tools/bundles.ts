/** The functions as they are deployed: one file each, with all that it imports but Deno's own `node:` modules. */
import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";
import { parse } from "smol-toml";

const root = new URL("../", import.meta.url);

interface ProjectConfiguration {
  readonly project_id: string;
  readonly functions: Readonly<Record<string, { readonly verify_jwt: boolean }>>;
}

async function readConfiguration(): Promise<ProjectConfiguration> {
  return parse(
    await Deno.readTextFile(new URL("supabase/config.toml", root)),
  ) as unknown as ProjectConfiguration;
}

/** Of the functions that are deployed: those that supabase/config.toml lists. */
export async function functionNames(): Promise<string[]> {
  return Object.keys((await readConfiguration()).functions).sort();
}

/**
 * Writes `<directory>/<name>/index.js` for each function that supabase/config.toml lists, from the packages of deno.lock
 * and no others: a lock file that does not fit is an error. `flags` are further ones of `deno bundle`. Gives the names.
 */
export async function bundleFunctions(directory: string, flags: readonly string[] = []): Promise<string[]> {
  const names = await functionNames();
  const sources = names.map((name) => `supabase/functions/${name}/index.ts`);
  // By itself Deno takes what is in node_modules; in this mode it takes what the lock file says.
  const lockOnly = ["--node-modules-dir=auto", "--frozen"];
  const args = ["bundle", "--quiet", ...lockOnly, ...flags, `--outdir=${directory}`, ...sources];
  await promisify(execFile)(Deno.execPath(), args, { cwd: root });
  return names;
}

/**
 * Writes into `directory`, anew, a project that the Supabase CLI can deploy: the functions' bundles, readable, and a
 * configuration that says of them what supabase/config.toml says. Gives the folder of the functions.
 */
export async function buildDeployment(directory: string): Promise<string> {
  const { project_id, functions } = await readConfiguration();
  const folder = `${directory}/supabase/functions`;
  // A function of an earlier build would be deployed as well, and the CLI notes which project it deployed to last.
  await rm(`${directory}/supabase`, { recursive: true, force: true });
  await Deno.mkdir(folder, { recursive: true });
  await bundleFunctions(folder);
  const blocks = Object.entries(functions).map(([name, { verify_jwt }]) =>
    `[functions.${name}]\nverify_jwt = ${verify_jwt}\nentrypoint = "./functions/${name}/index.js"\n`
  );
  await Deno.writeTextFile(
    `${directory}/supabase/config.toml`,
    [`# Written by tools/bundles.ts.\nproject_id = "${project_id}"\n`, ...blocks].join("\n"),
  );
  return folder;
}
