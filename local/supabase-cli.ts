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
  const url = new URL(databaseUrl);
  // Without it, the CLI remarks on the missing TLS, on standard output, among the types.
  url.searchParams.set("sslmode", "disable");
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "task",
      "--quiet",
      "supabase",
      ...args,
      `--remote=${url}`,
      ...(directory === undefined ? [] : ["--workdir", directory]),
    ],
    cwd: new URL("..", import.meta.url),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
