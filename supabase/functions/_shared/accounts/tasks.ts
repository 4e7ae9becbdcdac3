/** What is done for an account after it was closed. */
import * as z from "zod/mini";
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import { type Attempt, attemptOf, type Handlers, type Task } from "../queue/task.ts";
import type { Storage } from "../platform/storage.ts";

export interface AccountTaskPorts {
  readonly database: Database;
  readonly storage: Pick<Storage, "remove">;
  readonly uploads: Pick<Storage, "remove">;
}

export const accountTasks: Handlers<AccountTaskPorts> = { erase_account: eraseAccount };

/** Files of the user that storage has; there may be more. */
const Erasure = z.object({ paths: z.array(z.string()), uploads: z.array(z.string()) });

/** `waiting`: a job of the account runs, or more of its files are there. */
const ErasureState = z.object({ state: z.enum(["erased", "waiting", "dead", "lost"]) });

async function eraseAccount(
  task: Task,
  { database, storage, uploads }: AccountTaskPorts,
  { log }: Attempt,
): Promise<void> {
  const files = await database.call("load_erasure", { p_user_id: task.subject }, Erasure);
  if (files.paths.length > 0) await storage.remove(files.paths);
  if (files.uploads.length > 0) await uploads.remove(files.uploads);
  const args = { ...attemptOf(task), p_user_id: task.subject };
  const { state } = await whileDatabaseIsAway(() => database.call("erase_account", args, ErasureState));
  log.info("account_erasure", {
    user_id: task.subject,
    state,
    files: files.paths.length + files.uploads.length,
  });
}
