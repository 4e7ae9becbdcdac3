/**
 * `deno task deploy`: builds one bundle a function into .kinora/deploy and has the Supabase CLI deploy that, to the linked
 * project, or to another.
 */
import { readArguments, refuse } from "../local/arguments.ts";
import { defaultDirectory } from "../local/served.ts";
import { buildDeployment, functionNames } from "./bundles.ts";

const usage = `deno task deploy [function]... [--remote=<ref>] [--prune] [--yes] [--build-only]

Builds one bundle a function into .kinora/deploy, and has the Supabase CLI deploy all of them, or those that are named.
  --remote=<ref>   to this project, instead of the linked one
  --prune          delete the functions of the project that are not here
  --yes            ask nothing
  --build-only     deploy nothing`;

const project = new URL("../", import.meta.url);
const directory = `${defaultDirectory}/deploy`;

/** The project that `supabase link` chose in the folder `root`. In the folder that is deployed nobody has run it. */
export async function linkedProject(root: URL): Promise<string | undefined> {
  try {
    const { ref }: { ref?: string } = JSON.parse(
      await Deno.readTextFile(new URL("supabase/.temp/linked-project.json", root)),
    );
    return ref;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What is deployed, and where to. */
export interface Deployment {
  /** Of functions; none for all of them. */
  readonly names: readonly string[];
  /** The project; without one, the CLI asks. */
  readonly remote: string | undefined;
  /** Of the CLI, as they are. */
  readonly flags: readonly string[];
}

/** The CLI's own arguments. */
export function deployArguments({ names, remote, flags }: Deployment): string[] {
  return [
    // The platform unpacks what it gets; nothing here needs Docker.
    ...["functions", "deploy", "--use-api", "--workdir", directory],
    ...(remote === undefined ? [] : [`--remote=${remote}`]),
    ...flags,
    ...names,
  ];
}

async function main(): Promise<number> {
  const { values, positionals } = readArguments(usage, {
    options: {
      remote: { type: "string" },
      prune: { type: "boolean", default: false },
      yes: { type: "boolean", default: false },
      "build-only": { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const names = await functionNames();
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) refuse(`There is no function ${unknown.join(", ")}.\n\n${usage}`);
  await buildDeployment(directory);
  if (values["build-only"]) {
    console.log(`${directory} holds what would be deployed`);
    return 0;
  }
  const args = deployArguments({
    names: positionals,
    remote: values.remote ?? await linkedProject(project),
    flags: [...(values.prune ? ["--prune"] : []), ...(values.yes ? ["--yes"] : [])],
  });
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "supabase", ...args],
    cwd: project,
  }).spawn().status;
  return code;
}

if (import.meta.main) Deno.exit(await main());
