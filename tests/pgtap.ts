/**
 * Runs the pgTAP files, each in a transaction that is rolled back, and counts assertions.
 */
import postgres from "postgres";
import { cloneDatabase, withConnection } from "../local/postgres/database.ts";
import type { Count } from "./deno-test.ts";

/**
 * Runs the files, which are relative to `root`, on a copy of the template, and tells line by line how that goes. `serverUrl`
 * is the superuser's, `deadline` the milliseconds after which a statement hangs, and its file fails.
 */
export async function runPgTap(
  serverUrl: string,
  templateUrl: string,
  root: URL,
  files: readonly string[],
  tell: (line: string) => void,
  deadline: number,
): Promise<Count> {
  await using database = await cloneDatabase(serverUrl, templateUrl);
  await withConnection(database.url, (sql) =>
    sql`
      create extension pgtap with schema extensions;
      -- Tests assert under the roles that they try out, and the migrations give nobody anything.
      grant execute on all functions in schema extensions to public;
    `.simple());

  let passed = 0;
  let failed = 0;
  for (const file of files) {
    const started = performance.now();
    const result = await runFile(database.url, await Deno.readTextFile(new URL(file, root)), deadline);
    const outcome = result.failures.length === 0 ? "ok" : "FAILED";
    tell(
      `${file} ... ${result.passed} passed, ${outcome} (${Math.round(performance.now() - started)}ms)`,
    );
    for (const failure of result.failures) tell(failure.replaceAll(/^/gm, "  "));
    passed += result.passed;
    failed += result.failures.length;
  }
  return { passed, failed };
}

async function runFile(url: string, text: string, deadline: number): Promise<TapResult> {
  try {
    return await withConnection(url, async (sql) => {
      await sql`select set_config('statement_timeout', ${`${deadline}`}, false)`;
      // The files have a transaction of their own, as pg_prove wants them; closing the connection ends any other.
      const results = await sql.unsafe(text).simple();
      return readTap(results.flat().flatMap((row) => Object.values(row).map(String)).join("\n"));
    });
  } catch (error) {
    if (!(error instanceof postgres.PostgresError)) throw error;
    return { passed: 0, failures: [`${error.message}\n${error.where ?? ""}`.trim()] };
  }
}

export interface TapResult {
  passed: number;
  /** What went wrong, each with its diagnostics. */
  failures: string[];
}

/** Reads the Test Anything Protocol. A plan that does not fit the assertions, or none, is a failure too. */
export function readTap(output: string): TapResult {
  let passed = 0;
  let planned: number | undefined;
  const failures: string[] = [];
  let inFailure = false;
  for (const line of output.split("\n")) {
    const plan = /^1\.\.(\d+)/.exec(line);
    const isAssertion = /^(not )?ok\b/.test(line);
    if (plan !== null) planned = Number(plan[1]);
    else if (isAssertion && (line.startsWith("ok") || /# (todo|skip)/i.test(line))) passed++;
    else if (isAssertion) failures.push(line);
    else if (inFailure && line.startsWith("#")) failures.push(`${failures.pop()}\n${line}`);
    inFailure = isAssertion ? line.startsWith("not ok") : inFailure && line.startsWith("#");
  }
  const ran = passed + failures.length;
  if (planned !== ran) failures.push(`Planned ${planned ?? "no"} assertions, but ran ${ran}`);
  return { passed, failures };
}
