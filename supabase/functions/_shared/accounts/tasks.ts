/** What is done for an account after it was closed. */
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

export interface AccountTaskPorts {
  readonly database: Database;
  readonly storage: Pick<Storage, "remove">;
  readonly appleId: AppleId | null;
}

export const accountTasks: Handlers<AccountTaskPorts> = {
  erase_account: eraseAccount,
  revoke_apple_sign_in: revokeAppleSignIn,
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
