/** What is done for an account after it was closed. */
import { whileDatabaseIsAway } from "../database/while-away.ts";
import type { GenerationDatabase } from "../database/generation.ts";
import type { Attempt, Handlers, Task } from "../queue/task.ts";
import type { Storage } from "../platform/storage.ts";

export interface AccountTaskPorts {
  readonly generation: Pick<GenerationDatabase, "loadErasure" | "eraseAccount">;
  readonly storage: Pick<Storage, "remove">;
}

export const accountTasks: Handlers<AccountTaskPorts> = { erase_account: eraseAccount };

async function eraseAccount(
  task: Task,
  { generation, storage }: AccountTaskPorts,
  { log }: Attempt,
): Promise<void> {
  const { paths } = await generation.loadErasure(task);
  if (paths.length > 0) await storage.remove(paths);
  const { state } = await whileDatabaseIsAway(() => generation.eraseAccount(task));
  log.info("account_erasure", { user_id: task.subject, state, files: paths.length });
}
