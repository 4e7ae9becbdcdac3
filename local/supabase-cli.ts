/**
 * The Supabase CLI, in the version that deno.json names.
 */

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a CLI command against the database at `databaseUrl` and gives what it said, whatever its exit code. `directory` is
 * the project's root; without it, ours.
 */
export async function supabase(args: string[], databaseUrl: string, directory?: string): Promise<CliResult> {
  return await run([
    ...args,
    `--remote=${withoutTls(databaseUrl)}`,
    ...(directory === undefined ? [] : ["--workdir", directory]),
  ]);
}

export interface Difference {
  /** Empty where the differ sees none. */
  sql: string;
  /** The kinds of objects, in either database, that the differ knows of and does not compare. */
  unmanaged: string[];
}

/** A server has them, not a database, so two databases of one server cannot differ in them. */
const kindsOfServers = ["parameter ACL"];

/** Gives what turns the database at `from` into the one at `to`, both of one server, as the CLI's own differ says. */
export async function databaseDifference(from: string, to: string): Promise<Difference> {
  const file = await Deno.makeTempFile();
  try {
    const { code, stdout, stderr } = await run([
      "db",
      "diff",
      "--use-pg-delta",
      `--from=${withoutTls(from)}`,
      `--to=${withoutTls(to)}`,
      // Standard output is where it remarks on what it does not manage.
      `--output=${file}`,
    ]);
    if (code !== 0) throw new Error(`The CLI gave no difference: ${stderr}`);
    const kinds = /does not manage these PostgreSQL object kinds: (.+?)\. /.exec(stdout)?.[1]?.split(", ") ??
      [];
    return {
      sql: await Deno.readTextFile(file),
      unmanaged: kinds.filter((kind) => !kindsOfServers.includes(kind)),
    };
  } finally {
    await Deno.remove(file);
  }
}

/** Without it, the CLI remarks on the missing TLS, on standard output, among what it was asked for. */
function withoutTls(databaseUrl: string): URL {
  const url = new URL(databaseUrl);
  url.searchParams.set("sslmode", "disable");
  return url;
}

async function run(args: string[]): Promise<CliResult> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "supabase", ...args],
    cwd: new URL("..", import.meta.url),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
