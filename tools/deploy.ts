/**
 * `deno task deploy`: builds one bundle a function into .kinora/deploy and has the Supabase CLI deploy that, to the linked
 * project, or to the one of `--remote=<ref>`. What else is given is passed on: names of functions, `--prune`, `--yes`. With
 * `--build-only` nothing is deployed.
 */
import { buildDeployment } from "./bundles.ts";
import { defaultDirectory } from "../local/status.ts";

const root = new URL("../", import.meta.url);
const directory = `${defaultDirectory}/deploy`;

/** As `supabase link` leaves it: in the project that is deployed nobody has run it. */
async function linkedProject(): Promise<string | undefined> {
  try {
    const file = new URL("supabase/.temp/linked-project.json", root);
    const { ref }: { ref?: string } = JSON.parse(await Deno.readTextFile(file));
    return ref;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

await buildDeployment(directory);
if (Deno.args.includes("--build-only")) {
  console.log(`${directory} holds what would be deployed`);
  Deno.exit(0);
}

const namesProject = Deno.args.some((arg) => /^--(remote|project-ref)(=|$)/.test(arg));
const linked = namesProject ? undefined : await linkedProject();
const { code } = await new Deno.Command(Deno.execPath(), {
  args: [
    "task",
    "--quiet",
    "supabase",
    "functions",
    "deploy",
    // The platform unpacks what it gets; nothing here needs Docker.
    "--use-api",
    "--workdir",
    directory,
    ...(linked === undefined ? [] : [`--remote=${linked}`]),
    ...Deno.args,
  ],
  cwd: root,
}).spawn().status;
Deno.exit(code);
