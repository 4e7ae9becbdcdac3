/**
 * `deno task test`: checks types, runs tiers and files of tests on one Postgres, and ends with a line `N passed, N failed`.
 */
import { fileURLToPath } from "node:url";
import { readArguments, refuse } from "../local/arguments.ts";
import { deployedVariable, platformDeno, platformDenoVariable } from "../local/functions/functions-source.ts";
import { startPostgres } from "../local/postgres/postgres.ts";
import { exitOnTermination } from "../local/processes/process.ts";
import { serverVariable, templateVariable } from "./database/harness.ts";
import { denoTest, jobs } from "./deno-test.ts";
import { listFiles } from "./files.ts";
import { runPgTap } from "./pgtap.ts";
import { longVariable } from "./runs.ts";
import { NoSuchTest, type Pass, select, type Wanted } from "./selection.ts";
import { createTemplate } from "./template.ts";
import { buildDeployment } from "../tools/bundles.ts";

const root = new URL("..", import.meta.url);

const usage = `deno task test [tier | path]... [--filter=<text>] [--long] [--platform]

Runs all tests, or the tiers and files that are named, after their types were checked.
  tier              unit, contract, database, e2e or browser
  path              the test files whose path contains it
  --filter=<text>   only the tests whose name contains it
  --long            all that the tests can try, where they otherwise try a sample; without a tier or path, only what
                    differs by that, and the end-to-end tests on the platform's Deno
  --platform        the end-to-end tests, with the functions as they are deployed, on the platform's Deno`;

/**
 * What a file may have open: its pool, a crowd (tests/database/support/connections.ts) or the pools of a backend, and as much
 * again that has been closed and is not gone yet. It is asked for too little when files fail with "too many clients".
 */
const connectionsPerFile = 80;

const minute = 60_000;
/**
 * Milliseconds after which a test hangs: more than those that a test waits for one thing (local/testing/patience.ts), so
 * that it can say itself what did not come. A long test does the same a hundred times, perhaps on a busy machine.
 */
const deadline = { sample: 5 * minute, all: 25 * minute };
/** After which a run hangs that no deadline ends: `ok` and `test:long` one after the other are done in CI's 90 minutes. */
const runLimit = { sample: 24 * minute, all: 62 * minute };

async function main(): Promise<number> {
  const started = performance.now();
  await using cleanup = new AsyncDisposableStack();
  using _termination = exitOnTermination(() => cleanup.disposeAsync());

  const { values: { filter, long, platform }, positionals: words } = readArguments(usage, {
    options: {
      filter: { type: "string" },
      long: { type: "boolean", default: false },
      platform: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const selected = await selectPasses({ words, long, platform });
  if (!await checkTypes(words.length === 0 ? [] : selected.flatMap(({ files }) => files))) return 1;

  const postgres = cleanup.use(await startPostgres({ maxConnections: jobs * connectionsPerFile }));
  const template = cleanup.use(await createTemplate(postgres.url()));

  const extent = long ? "all" : "sample";
  const total = { passed: 0, failed: 0 };
  for (const { name, files, permissions, onPlatform } of selected) {
    console.log(`\n${name}${onPlatform ? " on the platform's Deno" : ""}: ${files.length} files`);
    // pgTAP's assertions have no names to filter by.
    if (permissions === undefined && filter !== undefined) continue;
    const count = permissions === undefined
      ? await runPgTap(postgres.url(), template.url, root, files, console.log, deadline[extent])
      : await denoTest({
        root,
        files,
        permissions,
        filter,
        env: {
          [serverVariable]: postgres.url(),
          [templateVariable]: template.url,
          ...(long ? { [longVariable]: "1" } : {}),
          ...(onPlatform ? await deployedFunctions(cleanup) : {}),
        },
        deadline: deadline[extent],
        timeLimit: Math.max(0, runLimit[extent] - (performance.now() - started)),
        onStart: (process) => cleanup.defer(() => process.stop()),
      });
    // A signal ended the tests, and its handler is about to end us.
    if (cleanup.disposed) await new Promise(() => {});
    total.passed += count.passed;
    total.failed += count.failed;
    if (count.passed + count.failed === 0 && filter === undefined) {
      console.error(`No test in ${files.join(", ")}`);
      total.failed++;
    }
  }
  await cleanup.disposeAsync();
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

/** The passes that are wanted; where there is none, it says why and ends the process. */
async function selectPasses(wanted: Wanted): Promise<Pass[]> {
  const files = await listFiles(root);
  const sampled = new Set<string>();
  for (const file of files.filter((file) => file.endsWith("_test.ts"))) {
    if (/from "[./]+\/runs\.ts"/.test(await Deno.readTextFile(new URL(file, root)))) sampled.add(file);
  }
  try {
    return select(wanted, files, (file) => sampled.has(file));
  } catch (error) {
    if (error instanceof NoSuchTest) return refuse(`${error.message}\n\n${usage}`);
    throw error;
  }
}

/** Whether the types of these files, or without one of all, are right. Quick where nothing has changed. */
async function checkTypes(files: readonly string[]): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "--frozen", ...files.filter((file) => file.endsWith(".ts"))],
    cwd: fileURLToPath(root),
  }).spawn().status;
  return success;
}

/** Builds what is deployed; gives the variables with which stacks serve it. */
async function deployedFunctions(cleanup: AsyncDisposableStack): Promise<Record<string, string>> {
  const directory = await Deno.makeTempDir({ prefix: "kinora-deployed-" });
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  return {
    [deployedVariable]: await buildDeployment(directory),
    [platformDenoVariable]: await platformDeno(),
  };
}

if (import.meta.main) {
  try {
    Deno.exit(await main());
  } catch (error) {
    console.error(error);
    console.log("\n0 passed, 1 failed");
    Deno.exit(1);
  }
}
