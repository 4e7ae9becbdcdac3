/**
 * Where the stacks that a developer runs keep what they say about themselves, and how they are found.
 */
import { fileURLToPath } from "node:url";
import { isInUse } from "./directory.ts";
import type { Stack } from "./stack.ts";

/** Where `deno task dev` keeps everything. */
export const defaultDirectory = fileURLToPath(new URL("../.kinora", import.meta.url));

/** Where `deno task demo --serve` says where it is. Its data is temporary. */
export const demoDirectory = `${defaultDirectory}/demo`;

const statusFile = (directory: string) => `${directory}/status.json`;

/** What a client needs to know of a stack, with the names of `supabase status -o json`. */
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
    APP_STORE_URL: simulators.appStore.url,
    APNS_URL: simulators.apns.url,
  };
}

/** Says in `directory`, which this process holds, where its stack is. */
export async function writeStatus(directory: string, stack: Stack): Promise<void> {
  await Deno.writeTextFile(statusFile(directory), JSON.stringify(statusOf(stack), null, 2), { mode: 0o600 });
}

/** Takes back what an earlier stack said. */
export async function removeStatus(directory: string): Promise<void> {
  try {
    await Deno.remove(statusFile(directory));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** What the stack of `directory` says; undefined when none runs there, null when it is just starting. */
export async function readStatus(directory: string): Promise<string | null | undefined> {
  if (!await isInUse(directory)) return undefined;
  try {
    return await Deno.readTextFile(statusFile(directory));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** The first calls of a stranger: signing in as a guest, and the list of models. */
export function firstCalls({ url, publishableKey }: Pick<Stack, "url" | "publishableKey">): string {
  return `Sign in as a guest and list the models:

  TOKEN=$(curl -s ${url}/auth/v1/signup -H 'apikey: ${publishableKey}' -d '{}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  curl ${url}/functions/v1/models -H 'apikey: ${publishableKey}' -H "Authorization: Bearer $TOKEN"
`;
}

/** Names a step of a start, in the column where the demo names its own. */
export function showStep(step: string): void {
  console.log(`          starting ${step}`);
}
