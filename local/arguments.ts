/** How every task reads its arguments: `--help` is answered, and what a task does not know is refused before it does anything. */
import { parseArgs, type ParseArgsConfig } from "node:util";

type Arguments<Config extends ParseArgsConfig> = ReturnType<typeof parseArgs<Config & { args: string[] }>>;

/**
 * Gives the arguments of this process, as `parseArgs` reads them. With `--help` or `-h` it prints `usage` and ends the
 * process; an argument that `config` does not name ends it as a failure, after a sentence about it and the usage.
 */
export function readArguments<const Config extends ParseArgsConfig>(
  usage: string,
  config: Config,
): Arguments<Config> {
  const args = [...Deno.args];
  if (args.includes("--help") || args.includes("-h")) {
    console.log(usage);
    Deno.exit(0);
  }
  try {
    return parseArgs({ ...config, args });
  } catch (error) {
    return refuse(`${error instanceof Error ? error.message : error}\n\n${usage}`);
  }
}

/** Ends the process as a failure, with a sentence that says why. */
export function refuse(message: string): never {
  console.error(message);
  Deno.exit(1);
}

/** The whole number that an option was given. Anything else ends the process as a failure. */
export function wholeNumber(option: string, text: string): number {
  // No longer than a number holds exactly.
  return /^\d{1,15}$/.test(text) ? Number(text) : refuse(`--${option} takes a whole number, not "${text}".`);
}
