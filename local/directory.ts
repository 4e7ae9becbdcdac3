/**
 * The folder of a running stack: kept between starts, or temporary. One process at a time holds it.
 */

export interface Directory extends AsyncDisposable {
  readonly path: string;
  /** Whether it stays when the stack ends. */
  readonly kept: boolean;
}

/** Says that another process holds the folder. */
export class DirectoryInUseError extends Error {}

const temporaryPrefix = "kinora-stack-";
/** Until its lock is held a temporary folder has another name, so that nobody takes it for one that was left behind. */
const unlockedPrefix = "kinora-unlocked-";

/**
 * Opens `wanted`, or makes a temporary folder that goes when the result is disposed of; one that a killed process left
 * behind goes now. Throws DirectoryInUseError when another process holds `wanted`.
 */
export async function openDirectory(wanted?: string): Promise<Directory> {
  if (wanted === undefined) await removeAbandoned();
  const unlocked = wanted ?? await Deno.makeTempDir({ prefix: unlockedPrefix });
  await Deno.mkdir(unlocked, { recursive: true });
  const lock = await tryLock(unlocked);
  if (lock === undefined) throw new DirectoryInUseError(`${unlocked} is in use by another process`);
  const path = wanted ?? unlocked.replace(unlockedPrefix, temporaryPrefix);
  if (path !== unlocked) await Deno.rename(unlocked, path);
  return {
    path,
    kept: wanted !== undefined,
    async [Symbol.asyncDispose]() {
      if (wanted === undefined) await Deno.remove(path, { recursive: true });
      await letGo(lock);
    },
  };
}

/** Whether a process holds the folder at `path`. */
export async function isInUse(path: string): Promise<boolean> {
  try {
    const lock = await tryLock(path);
    if (lock !== undefined) await letGo(lock);
    return lock === undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The kernel drops the lock when its process ends, even by SIGKILL. */
async function tryLock(path: string, create = true): Promise<Deno.FsFile | undefined> {
  const file = await Deno.open(`${path}/stack.lock`, { create, write: true });
  if (await file.tryLock(true)) return file;
  file.close();
  return undefined;
}

/** A process that is being started has a copy of the open file until it runs: closing ours alone would leave it locked. */
async function letGo(lock: Deno.FsFile): Promise<void> {
  await lock.unlock();
  lock.close();
}

async function removeAbandoned(): Promise<void> {
  const parent = Deno.env.get("TMPDIR") ?? "/tmp";
  for await (const { name, isDirectory } of Deno.readDir(parent)) {
    if (!isDirectory || !name.startsWith(temporaryPrefix)) continue;
    const path = `${parent}/${name}`;
    try {
      // Without a lock's file it is no stack's.
      const lock = await tryLock(path, false);
      if (lock === undefined) continue;
      await Deno.remove(path, { recursive: true });
      await letGo(lock);
    } catch (error) {
      // Another user's, or gone in the meantime.
      if (!(error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotFound)) {
        throw error;
      }
    }
  }
}
