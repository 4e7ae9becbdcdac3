/**
 * The folder a Postgres server lives in: its binaries, its database files, its password. One process at a time holds it.
 */
import { statfs } from "node:fs/promises";
import { systemIsLinux } from "../processes/system.ts";

export interface ServerHome extends AsyncDisposable {
  readonly directory: string;
  readonly binaries: string;
  readonly cluster: string;
  readonly passwordFile: string;
  readonly password: string;
  /** Whether the folder goes when the server stops. */
  readonly temporary: boolean;
  /** The account the server runs under; undefined for our own. */
  readonly account: Account | undefined;
}

interface Account {
  uid: number;
  gid: number;
}

/** Where databases live that root keeps for a clone which no other account may enter. */
const systemDataDirectory = systemIsLinux ? "/var/lib/kinora" : "/usr/local/var/kinora";
/** Where Linux keeps files in memory. */
const memory = "/dev/shm";
/** Bytes: the most that a server writes between two checkpoints (1 GB), and several times what the tests store. */
const neededMemory = 4 * 2 ** 30;

/**
 * Opens the folder `wanted`, or makes a temporary one, and locks it until the result is disposed of or our process
 * ends. Rejects when another process holds it.
 *
 * Postgres refuses to run as root, so root's servers run under an unprivileged account, which must be able to reach the
 * folder: where it cannot, as below root's closed home, `wanted` becomes a link to a folder that it can reach.
 */
export async function createServerHome(wanted?: string): Promise<ServerHome> {
  const account = Deno.uid() === 0 ? await unprivilegedAccount() : undefined;
  const directory = wanted === undefined ? await temporaryDirectory() : await keptDirectory(wanted, account);

  // The kernel drops the lock when we end, even by SIGKILL, so a stale one cannot exist.
  const lock = await Deno.open(`${directory}/lock`, { create: true, write: true });
  if (!await lock.tryLock(true)) {
    lock.close();
    throw new Error(`The data directory ${wanted} is in use by another process`);
  }

  const passwordFile = `${directory}/password`;
  const password = await readOrCreatePassword(passwordFile);
  // Only the server's account reads the database files and the password.
  await Deno.chmod(directory, 0o700);
  if (account !== undefined) {
    for (const path of [directory, passwordFile]) await Deno.chown(path, account.uid, account.gid);
  }
  return {
    directory,
    binaries: `${directory}/binaries`,
    cluster: `${directory}/cluster`,
    passwordFile,
    password,
    temporary: wanted === undefined,
    account,
    async [Symbol.asyncDispose]() {
      lock.close();
      if (wanted === undefined) await removeIfExists(directory);
    },
  };
}

/** The account made for Postgres where there is one, or else the one made for owning nothing. */
async function unprivilegedAccount(): Promise<Account> {
  // macOS begins the names of such accounts with an underscore.
  for (const name of ["postgres", "_postgres", "nobody"]) {
    const [uid, gid] = await Promise.all([idOf("-u", name), idOf("-g", name)]);
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new Error("Postgres refuses to run as root, and there is neither an account postgres nor nobody");
}

/** Asked of the system, since accounts need not stand in a file. */
async function idOf(option: "-u" | "-g", name: string): Promise<number | undefined> {
  const { success, stdout } = await new Deno.Command("id", {
    args: [option, name],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  return success ? Number(new TextDecoder().decode(stdout)) : undefined;
}

async function temporaryDirectory(): Promise<string> {
  // Root's own TMPDIR may be closed to others; /tmp never is.
  const dir = await hasRoomInMemory() ? memory : Deno.uid() === 0 ? "/tmp" : undefined;
  const parent = dir === undefined ? {} : { dir };
  return await Deno.realPath(await Deno.makeTempDir({ prefix: "kinora-postgres-", ...parent }));
}

/**
 * Whether temporary data can be in memory: to start a server, or to copy a database with its thousand files, takes there
 * a fifth of the time that it takes on a disk.
 */
async function hasRoomInMemory(): Promise<boolean> {
  if (!systemIsLinux) return false;
  const mounts = (await Deno.readTextFile("/proc/mounts")).split("\n").map((line) => line.split(" "));
  const options = mounts.find(([, place]) => place === memory)?.[3]?.split(",");
  // Some containers forbid to run there what the server is: a program.
  if (options === undefined || options.includes("noexec")) return false;
  const { bavail, bsize } = await statfs(memory);
  return Math.min(bavail * bsize, Deno.systemMemoryInfo().available) >= neededMemory;
}

async function keptDirectory(wanted: string, account: Account | undefined): Promise<string> {
  await removeDeadLink(wanted);
  await Deno.mkdir(wanted, { recursive: true });
  const directory = await Deno.realPath(wanted);
  if (account === undefined || await canReach(account, directory)) return directory;

  await Deno.mkdir(systemDataDirectory, { recursive: true });
  await Deno.chmod(systemDataDirectory, 0o755);
  const reachable = await Deno.makeTempDir({ dir: systemDataDirectory });
  await Deno.remove(directory);
  await Deno.symlink(reachable, directory);
  return reachable;
}

/** Whoever removes the data that lies elsewhere begins anew, though the link to it is left. */
async function removeDeadLink(path: string): Promise<void> {
  const isLink = await Deno.lstat(path).then(({ isSymlink }) => isSymlink, () => false);
  const isThere = await Deno.stat(path).then(() => true, () => false);
  if (isLink && !isThere) await Deno.remove(path);
}

/** Whether every folder above `directory` lets the account pass. */
async function canReach(account: Account, directory: string): Promise<boolean> {
  const parts = directory.split("/").slice(0, -1);
  for (let length = 1; length <= parts.length; length++) {
    const { mode, uid } = await Deno.stat(parts.slice(0, length).join("/") || "/");
    const passable = uid === account.uid ? 0o100 : 0o001;
    if (((mode ?? 0) & passable) === 0) return false;
  }
  return true;
}

/** A password of the server's own, so that no other account of this machine gets in, nor a web page. */
async function readOrCreatePassword(file: string): Promise<string> {
  try {
    return (await Deno.readTextFile(file)).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const password = crypto.randomUUID();
  await Deno.writeTextFile(file, password, { mode: 0o600 });
  return password;
}

async function removeIfExists(directory: string): Promise<void> {
  try {
    await Deno.remove(directory, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
