/**
 * `deno task dev`: the whole backend, until Ctrl-C. Data, keys and ports stay in .kinora/ between two starts, and a change
 * under supabase/functions is served at once.
 */
import { readArguments } from "./arguments.ts";
import { DirectoryInUseError, isInUse } from "./directory.ts";
import { holdPorts, isFree } from "./ports.ts";
import { exitOnTermination } from "./process.ts";
import { type Ports, type Stack, startStack, takePorts } from "./stack.ts";
import { defaultDirectory, statusFile, statusOf } from "./status.ts";

/** The Supabase CLI's, which clients may have in their configuration already. */
const usualGatewayPort = 54321;

async function main(): Promise<void> {
  const { values } = readArguments(
    `deno task dev [--data=<folder>]

Runs the whole backend until Ctrl-C, and serves each change under supabase/functions at once.
  --data=<folder>   where data, keys and ports stay between two starts (.kinora)`,
    { options: { data: { type: "string", default: defaultDirectory } } },
  );
  const started = Date.now();
  if (await isInUse(values.data)) throw new DirectoryInUseError();
  await Deno.remove(statusFile(values.data)).catch(ignoreAbsence);

  await using cleanup = new AsyncDisposableStack();
  using _termination = exitOnTermination(() => cleanup.disposeAsync());

  const stack = cleanup.use(
    await startStack({
      dataDirectory: values.data,
      ports: await readPorts(values.data, cleanup),
      watch: true,
      log: (text) => Deno.stdout.writeSync(new TextEncoder().encode(text)),
    }),
  );
  await Deno.writeTextFile(portsFile(values.data), JSON.stringify(stack.ports));
  await Deno.writeTextFile(statusFile(values.data), JSON.stringify(statusOf(stack), null, 2), {
    mode: 0o600,
  });
  console.log(welcome(stack, Date.now() - started));
  await Promise.withResolvers<never>().promise;
}

function ignoreAbsence(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

const portsFile = (directory: string) => `${directory}/ports.json`;

/** Those of the start before; for the first, the usual one if nobody has it, and some that nobody gets while we are away. */
async function readPorts(directory: string, cleanup: AsyncDisposableStack): Promise<Partial<Ports>> {
  try {
    return JSON.parse(await Deno.readTextFile(portsFile(directory)));
  } catch (error) {
    ignoreAbsence(error);
    const ports = takePorts(cleanup.use(holdPorts()));
    return isFree(usualGatewayPort) ? { ...ports, gateway: usualGatewayPort } : ports;
  }
}

function welcome(
  { url, publishableKey, secretKey, databaseUrl, simulators, logs }: Stack,
  milliseconds: number,
): string {
  return `
Kinora runs, after ${(milliseconds / 1000).toFixed(1)} s. Ctrl-C ends it; data, keys and ports stay.

  API               ${url}
  publishable key   ${publishableKey}
  secret key        ${secretKey}
  database          ${databaseUrl}
  simulated fal     ${simulators.fal.url}
  … Replicate       ${simulators.replicate.url}
  … Runway          ${simulators.runway.url}
  … OpenAI          ${simulators.openAi.url}
  … Apple           ${simulators.deviceCheck.url}
  gateway's log     ${logs.gateway}

Sign in as a guest and list the models:

  TOKEN=$(curl -s ${url}/auth/v1/signup -H 'apikey: ${publishableKey}' -d '{}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  curl ${url}/functions/v1/models -H 'apikey: ${publishableKey}' -H "Authorization: Bearer $TOKEN"
`;
}

try {
  await main();
} catch (error) {
  if (error instanceof DirectoryInUseError) {
    console.error("This clone's stack is running already. `deno task status` says where.");
  } else {
    console.error(error instanceof Error ? error.message : error);
  }
  Deno.exit(1);
}
