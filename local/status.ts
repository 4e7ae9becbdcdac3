/**
 * `deno task status`: where the stack of `deno task dev` is, as JSON, with the names of `supabase status -o json`.
 */
import { fileURLToPath } from "node:url";
import { readArguments, refuse } from "./arguments.ts";
import { isInUse } from "./directory.ts";
import type { Stack } from "./stack.ts";

/** Where `deno task dev` keeps everything. */
export const defaultDirectory = fileURLToPath(new URL("../.kinora", import.meta.url));

/** What the running stack of a folder writes about itself. */
export const statusFile = (directory: string) => `${directory}/status.json`;

export function statusOf({ url, publishableKey, secretKey, databaseUrl, jwks, simulators }: Stack) {
  return {
    API_URL: url,
    REST_URL: `${url}/rest/v1`,
    FUNCTIONS_URL: `${url}/functions/v1`,
    DB_URL: databaseUrl,
    PUBLISHABLE_KEY: publishableKey,
    SECRET_KEY: secretKey,
    JWKS: jwks,
    FAL_URL: simulators.fal.url,
    REPLICATE_URL: simulators.replicate.url,
    RUNWAY_URL: simulators.runway.url,
    OPENAI_URL: simulators.openAi.url,
    DEVICE_CHECK_URL: simulators.deviceCheck.url,
  };
}

async function main(): Promise<void> {
  const { values } = readArguments(
    `deno task status [--data=<folder>]

Prints as JSON where the stack of deno task dev is, with its keys.
  --data=<folder>   the one that deno task dev was given (.kinora)`,
    { options: { data: { type: "string", default: defaultDirectory } } },
  );
  if (!await isInUse(values.data)) refuse("No stack is running. `deno task dev` starts one.");
  try {
    console.log(await Deno.readTextFile(statusFile(values.data)));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    refuse("The stack is just starting.");
  }
}

if (import.meta.main) await main();
