/** Which functions a stack serves, and on which Deno. */
import { execFile } from "node:child_process";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

export interface FunctionsSource {
  /** Each folder in it whose name does not begin with _ is a function. */
  readonly directory: URL;
  /** The path of the Deno that runs them; without it, the one that runs us, with the repository's configuration. */
  readonly deno?: string;
}

/** With these in the environment, stacks serve the functions of another folder, on the Deno of a path. */
export const deployedVariable = "KINORA_DEPLOYED_FUNCTIONS";
export const platformDenoVariable = "KINORA_PLATFORM_DENO";

/** What a stack serves that was told nothing else: the sources, or what the environment names. */
export function defaultFunctions(): FunctionsSource {
  const [deployed, deno] = [deployedVariable, platformDenoVariable].map((name) => Deno.env.get(name) ?? "");
  if (!deployed) return { directory: new URL("../../supabase/functions/", import.meta.url) };
  return { directory: pathToFileURL(`${deployed}/`), ...(deno ? { deno } : {}) };
}

/** The path of the platform's Deno, in the version that deno.json names. npm fetches it once. */
export async function platformDeno(): Promise<string> {
  const args = ["task", "--quiet", "platform-deno", "eval", "--no-lock", "console.log(Deno.execPath())"];
  const cwd = new URL("../..", import.meta.url);
  return (await promisify(execFile)(Deno.execPath(), args, { cwd })).stdout.trim();
}
