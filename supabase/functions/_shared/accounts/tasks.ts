/** What is done for an account when nobody waits: it is erased, Apple is told, and what is kept of it is written into a file. */
import * as z from "zod/mini";
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import {
  type Attempt,
  attemptOf,
  type Handlers,
  NeedsOperator,
  payloadOf,
  type Task,
} from "../queue/task.ts";
import type { Storage } from "../platform/storage.ts";
import type { AppleId, AppleIdFailure } from "./apple-id.ts";
import { exportText } from "./exports.ts";

export interface AccountTaskPorts {
  readonly database: Database;
  readonly storage: Pick<Storage, "remove" | "upload">;
  readonly appleId: AppleId | null;
}

export const accountTasks: Handlers<AccountTaskPorts> = {
  erase_account: eraseAccount,
  revoke_apple_sign_in: revokeAppleSignIn,
  export_account: exportAccount,
  delete_export: deleteExport,
};

/** Files of the user that storage has; there may be more. */
const Erasure = z.object({ paths: z.array(z.string()) });

/** `waiting`: a job of the account runs, or more of its files are there. */
const ErasureState = z.object({ state: z.enum(["erased", "waiting", "dead", "lost"]) });

async function eraseAccount(
  task: Task,
  { database, storage }: AccountTaskPorts,
  { log }: Attempt,
): Promise<void> {
  const { paths } = await database.call("load_erasure", { p_user_id: task.subject }, Erasure);
  if (paths.length > 0) await storage.remove(paths);
  const args = { ...attemptOf(task), p_user_id: task.subject };
  const { state } = await whileDatabaseIsAway(() => database.call("erase_account", args, ErasureState));
  log.info("account_erasure", { user_id: task.subject, state, files: paths.length });
}

/** What the app sent, until it was exchanged. */
const Consent = z.union([
  z.object({ refresh_token: z.string() }),
  z.object({ authorization_code: z.string() }),
]);

const Finished = z.object({ finished: z.boolean() });

/** Tells Apple that the person has left. What Apple gave for the code is kept until that is done: the code is good once. */
async function revokeAppleSignIn(
  task: Task,
  { database, appleId }: AccountTaskPorts,
  { log }: Attempt,
): Promise<void> {
  const finish = async (failure: string | null) => {
    const args = {
      ...attemptOf(task),
      p_user_id: task.subject,
      ...(failure === null ? {} : { p_failure: failure }),
    };
    await whileDatabaseIsAway(() => database.call("finish_apple_revocation", args, Finished));
    log[failure === null ? "info" : "warn"]("apple_sign_in_revocation", {
      user_id: task.subject,
      revoked: failure === null,
      ...(failure === null ? {} : { cause: failure }),
    });
  };
  if (appleId === null) return await finish("APPLE_SIGN_IN_KEY_ID is not set, or what goes with it");

  const consent = payloadOf(task, Consent);
  let refreshToken: string;
  if ("refresh_token" in consent) refreshToken = consent.refresh_token;
  else {
    const exchanged = await appleId.exchange(consent.authorization_code);
    if ("failure" in exchanged) {
      if (exchanged.failure === "refused") return await finish(exchanged.cause);
      return await tryAgain(task, exchanged, database);
    }
    refreshToken = exchanged.refreshToken;
    const args = { ...attemptOf(task), p_refresh_token: refreshToken };
    await whileDatabaseIsAway(() => database.call("keep_apple_token", args, z.object({ kept: z.boolean() })));
    // Whoever has the task by now holds a code that is spent: it is for this attempt to go on.
  }
  const revoked = await appleId.revoke(refreshToken);
  if (!("failure" in revoked)) return await finish(null);
  if (revoked.failure === "refused") return await finish(revoked.cause);
  await tryAgain(task, revoked, database);
}

/** Gives the task back, with what Apple said. What only the operator can mend alerts. */
async function tryAgain(
  task: Task,
  { failure, retryAfter, cause }: AppleIdFailure,
  database: Database,
): Promise<void> {
  if (failure === "unauthorized") {
    const alert = { rule: "apple_sign_in_key_refused", subject: "APPLE_SIGN_IN_KEY_ID", details: {} };
    throw new NeedsOperator(cause, alert);
  }
  const args = { ...attemptOf(task), p_error: `${failure}: ${cause}`, p_after_seconds: retryAfter };
  await whileDatabaseIsAway(() => database.call("retry_task", args, z.unknown()));
}

/** Null for an export that is not there; without tables there is nothing to be made. */
const Export = z.nullable(z.object({
  user_id: z.guid(),
  path: z.string(),
  tables: z.nullable(z.array(z.string())),
}));

/** Writes the file of an export. Again, it is written over what an earlier attempt has left. */
async function exportAccount(
  task: Task,
  { database, storage }: AccountTaskPorts,
  { log, signal }: Attempt,
): Promise<void> {
  const args = { p_export_id: task.subject };
  const wanted = await database.call("load_export", args, Export);
  const bytes = wanted === null || wanted.tables === null ? null : await upload(
    wanted.path,
    exportText({ exportId: task.subject, userId: wanted.user_id, tables: wanted.tables }, database),
    storage,
    signal,
  );
  const end = { ...attemptOf(task), ...args, ...(bytes === null ? {} : { p_bytes: bytes }) };
  const { finished } = await whileDatabaseIsAway(() => database.call("finish_export", end, Finished));
  log.info("account_export", { user_id: wanted?.user_id ?? null, bytes, finished });
}

/** How many bytes there were. Throws what the text threw, else ERR_6002. */
async function upload(
  path: string,
  text: AsyncIterable<string>,
  storage: Pick<Storage, "upload">,
  signal: AbortSignal,
): Promise<number> {
  const encoder = new TextEncoder();
  let bytes = 0;
  let failure: unknown;
  async function* encoded() {
    try {
      for await (const part of text) {
        const chunk = encoder.encode(part);
        bytes += chunk.byteLength;
        yield chunk;
      }
    } catch (error) {
      failure = error;
      throw error;
    }
  }
  try {
    await storage.upload(path, ReadableStream.from(encoded()), "application/json", signal);
  } catch (error) {
    // An upload whose source fails has failed too, but not by itself.
    throw failure ?? error;
  }
  return bytes;
}

/** Removes the file of an export that has expired. */
async function deleteExport(
  task: Task,
  { database, storage }: AccountTaskPorts,
  { log }: Attempt,
): Promise<void> {
  const args = { p_export_id: task.subject };
  const expired = await database.call("load_export", args, Export);
  if (expired !== null) await storage.remove([expired.path]);
  const end = { ...attemptOf(task), ...args };
  await whileDatabaseIsAway(() => database.call("finish_export_deletion", end, Finished));
  log.info("export_deletion", { user_id: expired?.user_id ?? null });
}
