/**
 * `deno task dev`: the whole backend, until Ctrl-C. Data, keys and ports stay in .kinora/ between two starts, and a change
 * under supabase/functions is served at once. The console is built at the start, and by `deno task console` after that.
 */
import { buildConsole, builtConsole } from "../tools/console.ts";
import { readArguments, refuse } from "./arguments.ts";
import { keptAdmin, openConsole } from "./console.ts";
import { DirectoryInUseError, isInUse } from "./directory.ts";
import { holdPorts, isFree, PortTakenError } from "./ports.ts";
import { exitOnTermination, unlessTerminating } from "./processes/process.ts";
import { defaultDirectory, firstCalls, removeStatus, showStep, writeStatus } from "./served.ts";
import { type Ports, type Stack, startStackFor, takePorts } from "./stack.ts";

/** The Supabase CLI's, which clients may have in their configuration already. */
const usualGatewayPort = 54321;

async function main(data: string, log: boolean): Promise<void> {
  const started = Date.now();
  if (await isInUse(data)) throw new DirectoryInUseError();
  await removeStatus(data);

  await using cleanup = new AsyncDisposableStack();
  using _termination = exitOnTermination(async () => {
    console.log(`\nEnding. ${await whereDataIs(data)}`);
    await cleanup.disposeAsync();
  });

  const built = buildConsole(builtConsole);
  built.catch(() => {});
  const stack = await startStackFor(cleanup, {
    dataDirectory: data,
    ports: await readPorts(data, cleanup),
    watch: true,
    onStep: showStep,
    log: (text) => show(log ? text : withoutRoutine(text)),
  });
  await Deno.writeTextFile(portsFile(data), JSON.stringify(stack.ports, null, 2));
  await writeStatus(data, stack);
  await built;
  const admin = await keptAdmin(stack, data);
  const page = await openConsole(stack, builtConsole, { admin });
  console.log(welcome(stack, { page, ...admin }, Date.now() - started));
  await Promise.withResolvers<never>().promise;
}

function show(text: string): void {
  if (text !== "") Deno.stdout.writeSync(new TextEncoder().encode(text));
}

/** What a log says of each request and each task would push the keys out of sight; all of it is in the file. */
function withoutRoutine(text: string): string {
  return text.split(/(?<=\n)/).filter((line) => !/"level":"(debug|info)"/.test(line)).join("");
}

/** A sentence on what stays when the stack ends, also of what lies elsewhere. */
async function whereDataIs(data: string): Promise<string> {
  const directory = await Deno.realPath(data).catch(() => data);
  const database = await Deno.realPath(`${data}/postgres`).catch(() => directory);
  const elsewhere = database.startsWith(directory) ? "" : `, the database in ${database}`;
  return `Data, keys and ports stay in ${directory}${elsewhere}, for the next \`deno task dev\`.`;
}

const portsFile = (directory: string) => `${directory}/ports.json`;

/** Those of the start before; for the first, the usual one if nobody has it, and some that nobody gets while we are away. */
async function readPorts(directory: string, cleanup: AsyncDisposableStack): Promise<Partial<Ports>> {
  try {
    return JSON.parse(await Deno.readTextFile(portsFile(directory)));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const ports = takePorts(cleanup.use(holdPorts()));
    return isFree(usualGatewayPort) ? { ...ports, gateway: usualGatewayPort } : ports;
  }
}

interface Console {
  page: string;
  email: string;
  password: string;
  totpSecret: string;
}

function welcome(stack: Stack, { page, email, password, totpSecret }: Console, milliseconds: number): string {
  const { url, publishableKey, secretKey, databaseUrl, simulators, logs } = stack;
  return `
Kinora runs, after ${(milliseconds / 1000).toFixed(1)} s. Ctrl-C ends it; data, keys and ports stay.

  console           ${page}
  … its admin       ${email}, password ${password}, second factor ${totpSecret}
  API               ${url}
  publishable key   ${publishableKey}
  secret key        ${secretKey}
  database          ${databaseUrl}
  simulated fal     ${simulators.fal.url}
  … Replicate       ${simulators.replicate.url}
  … Runway          ${simulators.runway.url}
  … OpenAI          ${simulators.openAi.url}
  … DeviceCheck     ${simulators.deviceCheck.url}
  … App Store       ${simulators.appStore.url}
  … APNs            ${simulators.apns.url}
  functions' log    ${logs.functions}
  gateway's log     ${logs.gateway}

${firstCalls(stack)}`;
}

const { values } = readArguments(
  `deno task dev [--data=<folder>] [--log]

Runs the whole backend until Ctrl-C, and serves each change under supabase/functions at once.
  --data=<folder>   where data, keys and ports stay between two starts (.kinora)
  --log             show all that the functions log, and not only what is wrong`,
  {
    options: {
      data: { type: "string", default: defaultDirectory },
      log: { type: "boolean", default: false },
    },
  },
);
try {
  await unlessTerminating(() => main(values.data, values.log));
} catch (error) {
  if (error instanceof DirectoryInUseError) {
    refuse("This clone's stack is running already. `deno task status` says where.");
  }
  if (error instanceof PortTakenError) {
    refuse(`${error.message}. End that program, or write another port into ${portsFile(values.data)}.`);
  }
  refuse(error instanceof Error ? error.message : String(error));
}
