/**
 * `deno task deploy`: builds one bundle a function into .kinora/deploy and has the Supabase CLI deploy that, to the linked
 * project, or to the one of `--remote=<ref>`. What else is given is passed on: names of functions, `--prune`, `--yes`. With
 * `--build-only` nothing is deployed.
 */
import { defaultDirectory } from "../local/status.ts";
import { buildDeployment } from "./bundles.ts";

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

/** The CLI's own arguments, for those that we were given. */
export function deployArguments(given: readonly string[], linked: string | undefined): string[] {
  const namesProject = given.some((argument) => /^--(remote|project-ref)(=|$)/.test(argument));
  return [
    "functions",
    "deploy",
    // The platform unpacks what it gets; nothing here needs Docker.
    "--use-api",
    "--workdir",
    directory,
    ...(namesProject || linked === undefined ? [] : [`--remote=${linked}`]),
    ...given,
  ];
}

async function main(): Promise<number> {
  await buildDeployment(directory);
  if (Deno.args.includes("--build-only")) {
    console.log(`${directory} holds what would be deployed`);
    return 0;
  }
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "supabase", ...deployArguments(Deno.args, await linkedProject(project))],
    cwd: project,
  }).spawn().status;
  return code;
}

if (import.meta.main) Deno.exit(await main());
