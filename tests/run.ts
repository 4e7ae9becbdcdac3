/**
 * Runs tiers of tests on one Postgres, and ends with a line `N passed, N failed`.
 *
 *     deno task test                        every tier but `platform`
 *     deno task test unit contract          these tiers
 *     deno task test platform               the end-to-end tests, on what is deployed and the platform's Deno
 *     deno task test credits                the files whose path contains it
 *     deno task test --filter "second webhook"   the tests whose name contains it
 */
import { parseArgs } from "node:util";
import { deployedVariable, platformDeno, platformDenoVariable } from "../local/functions/functions-source.ts";
import { startPostgres } from "../local/postgres/postgres.ts";
import { exitOnTermination } from "../local/process.ts";
import { serverVariable, templateVariable } from "./database/harness.ts";
import { denoTest } from "./deno-test.ts";
import { listFiles } from "./files.ts";
import { runPgTap } from "./pgtap.ts";
import { createTemplate } from "./template.ts";
import { buildDeployment } from "../tools/bundles.ts";

const root = new URL("..", import.meta.url);

/** Functions under test may read their fixtures and nothing else: whoever forgets to pass a fake fails. */
const functionsPermissions = ["--allow-read"];
const everyPermission = ["--allow-all"];

/** Only for a tier that hangs: many times what the slowest takes, also on a busy machine; still below CI's 90 minutes. */
const timeLimit = 45 * 60 * 1000;

interface Tier {
  name: string;
  files: RegExp;
  /** Those of `deno test`; pgTAP files have none. */
  permissions?: string[];
  /** Whether the functions are the bundles that are deployed, on the platform's Deno. Such a tier runs when it is named. */
  deployed?: true;
}

/** In the order they run: the quickest first. Files are found, never listed. */
const tiers: Tier[] = [
  { name: "unit", files: /^supabase\/functions\/.+_test\.ts$/, permissions: functionsPermissions },
  {
    name: "unit",
    files: /^(local|tools|bench)\/.+_test\.ts$|^tests\/[^/]+_test\.ts$/,
    permissions: everyPermission,
  },
  { name: "contract", files: /^tests\/contract\/.+_test\.ts$/, permissions: everyPermission },
  { name: "database", files: /^supabase\/tests\/.+\.sql$/ },
  { name: "database", files: /^tests\/database\/.+_test\.ts$/, permissions: everyPermission },
  { name: "e2e", files: /^tests\/e2e\/.+_test\.ts$/, permissions: everyPermission },
  { name: "platform", files: /^tests\/e2e\/.+_test\.ts$/, permissions: everyPermission, deployed: true },
];

async function main(): Promise<number> {
  await using cleanup = new AsyncDisposableStack();
  using _termination = exitOnTermination(() => cleanup.disposeAsync());

  const { values, positionals } = parseArgs({
    options: { filter: { type: "string" } },
    allowPositionals: true,
  });
  const tierNames = new Set(tiers.map(({ name }) => name));
  const wantedTiers = positionals.filter((word) => tierNames.has(word));
  const wantedPaths = positionals.filter((word) => !tierNames.has(word));

  const files = await listFiles(root);
  const selected = tiers
    .filter(({ name, deployed }) => wantedTiers.length === 0 ? !deployed : wantedTiers.includes(name))
    .map((tier) => ({
      ...tier,
      files: files.filter((file) =>
        tier.files.test(file) && (wantedPaths.length === 0 || wantedPaths.some((path) => file.includes(path)))
      ),
    }))
    .filter(({ files }) => files.length > 0);
  if (selected.length === 0) throw new Error(`No test file matches ${positionals.join(" ")}`);

  const postgres = cleanup.use(await startPostgres());
  const template = cleanup.use(await createTemplate(postgres.url()));

  const total = { passed: 0, failed: 0 };
  for (const { name, files, permissions, deployed } of selected) {
    console.log(`\n${name}: ${files.length} files`);
    // pgTAP's assertions have no names to filter by.
    if (permissions === undefined && values.filter !== undefined) continue;
    const count = permissions === undefined
      ? await runPgTap(postgres.url(), template.url, root, files, console.log)
      : await denoTest({
        root,
        files,
        permissions,
        filter: values.filter,
        env: {
          [serverVariable]: postgres.url(),
          [templateVariable]: template.url,
          ...(deployed ? await deployedFunctions(cleanup) : {}),
        },
        timeLimit,
        onStart: (process) => cleanup.defer(() => process.stop()),
      });
    // A signal ended the tests, and its handler is about to end us.
    if (cleanup.disposed) await new Promise(() => {});
    total.passed += count.passed;
    total.failed += count.failed;
    if (count.passed + count.failed === 0 && values.filter === undefined) {
      console.error(`No test in ${files.join(", ")}`);
      total.failed++;
    }
  }
  await cleanup.disposeAsync();
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
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
