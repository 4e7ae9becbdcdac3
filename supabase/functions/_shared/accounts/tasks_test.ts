import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { fakeDatabase } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import { withoutPauses } from "../testing/pauses.ts";
import { fakeStorage } from "../testing/storage.ts";
import { eraseAccountTask, filePaths } from "../testing/tasks.ts";
import { NeedsOperator } from "../queue/task.ts";
import type { AppleId } from "./apple-id.ts";
import type { Storage } from "../platform/storage.ts";
import { accountTasks } from "./tasks.ts";

const task = { ...eraseAccountTask, attempt: 3 };
const { subject: userId } = task;

/** An account whose files storage has, and what the database was asked and told, in turn. */
function setting(given: {
  paths?: string[];
  state?: "erased" | "waiting" | "dead" | "lost";
  storage?: Partial<Storage>;
  /** How often the database is away for the erasure. */
  away?: number;
} = {}) {
  const { paths = filePaths, state = "erased" } = given;
  const { log, lines } = recordingLogger();
  const asked: unknown[][] = [];
  const storage = fakeStorage(given.storage);
  for (const path of [...paths, "another"]) {
    storage.files.set(path, { content: new Uint8Array(1), contentType: "video/mp4" });
  }
  let failures = given.away ?? 0;
  const { database } = fakeDatabase({
    load_erasure: (args) => {
      asked.push(["load_erasure", args]);
      return { paths };
    },
    erase_account: (args) => {
      asked.push(["erase_account", args, [...storage.files.keys()]]);
      failures -= 1;
      return failures >= 0 ? Promise.reject(new AppError("ERR_6001")) : { state };
    },
  });
  const run = async () => {
    const handler = accountTasks[task.kind];
    assert(handler);
    await handler(task, { database, storage, appleId: null }, { log, signal: new AbortController().signal });
  };
  return { asked, storage, lines, run };
}

Deno.test("there is a handler for each kind of task that an account has", () => {
  assert.deepEqual(Object.keys(accountTasks), [
    "erase_account",
    "revoke_apple_sign_in",
    "export_account",
    "delete_export",
  ]);
});

Deno.test("the files of a closed account are removed from storage before its rows are erased", async () => {
  const { run, asked, lines } = setting();
  await run();
  assert.deepEqual(asked, [
    ["load_erasure", { p_user_id: userId }],
    // The attempt fences off a late worker.
    ["erase_account", { p_task_id: task.task_id, p_attempt: 3, p_user_id: userId }, ["another"]],
  ]);
  const line = lines.find(({ event }) => event === "account_erasure");
  assert.deepEqual([line?.user_id, line?.state, line?.files], [userId, "erased", 2]);
});

Deno.test("where storage does not remove the files, no row is erased", async () => {
  const away = new AppError("ERR_6002");
  const { run, asked } = setting({ storage: { remove: () => Promise.reject(away) } });
  await assert.rejects(run(), away);
  assert.deepEqual(asked.map(([name]) => name), ["load_erasure"]);
});

Deno.test("where a closed account has no file left, storage is not asked", async () => {
  const { run, asked } = setting({
    paths: [],
    storage: { remove: () => Promise.reject(new Error("Storage refuses an empty list")) },
  });
  await run();
  assert.deepEqual(asked.map(([name]) => name), ["load_erasure", "erase_account"]);
});

Deno.test("what became of an erasure is logged, also where it has to wait", async () => {
  for (const state of ["waiting", "dead", "lost"] as const) {
    const { run, lines } = setting({ state });
    await run();
    assert.deepEqual(lines.map(({ event, state }) => [event, state]), [["account_erasure", state]]);
  }
});

Deno.test("an erasure that the database was away for is asked for when it is back", async () => {
  const { run, asked } = setting({ away: 2 });
  assert.deepEqual(await withoutPauses(run), [500, 1_000]);
  const names = asked.map(([name]) => name);
  assert.deepEqual(names, ["load_erasure", "erase_account", "erase_account", "erase_account"]);
});

const revocation = { ...task, kind: "revoke_apple_sign_in", owner_id: null };
const ids = { p_task_id: task.task_id, p_attempt: 3 };

/** Tells an Apple that answers so, and gives what it and the database were asked, in turn. */
async function revoke(payload: object, apple: Partial<AppleId> | null) {
  const asked: unknown[][] = [];
  const { log, lines } = recordingLogger();
  const noted = (name: string, answer: object) => (args: unknown) => {
    asked.push([name, args]);
    return answer;
  };
  const { database } = fakeDatabase({
    keep_apple_token: noted("keep_apple_token", { kept: true }),
    finish_apple_revocation: noted("finish_apple_revocation", { finished: true }),
    retry_task: noted("retry_task", { state: "waiting" }),
  });
  const never = () => Promise.reject(new Error("Nobody asks this"));
  const appleId = apple && {
    exchange: (code: string) => (asked.push(["exchange", code]), (apple.exchange ?? never)(code)),
    revoke: (token: string) => (asked.push(["revoke", token]), (apple.revoke ?? never)(token)),
  };
  const handler = accountTasks.revoke_apple_sign_in;
  assert(handler);
  const ports = { database, storage: fakeStorage(), appleId };
  const done = handler({ ...revocation, payload }, ports, { log, signal: new AbortController().signal });
  return { asked, lines, error: await done.then(() => null, (error: unknown) => error) };
}

const given = { refreshToken: "token of canary" };
const revoked = { revoked: true } as const;

Deno.test("what Apple gives for a code is written down before it is revoked, and a later attempt begins there", async () => {
  const apple = { exchange: () => Promise.resolve(given), revoke: () => Promise.resolve(revoked) };
  const kept = ["keep_apple_token", { ...ids, p_refresh_token: "token of canary" }];
  const rest = [["revoke", "token of canary"], ["finish_apple_revocation", { ...ids, p_user_id: userId }]];
  const first = await revoke({ authorization_code: "code of canary" }, apple);
  assert.deepEqual(first.asked, [["exchange", "code of canary"], kept, ...rest]);
  const later = await revoke({ refresh_token: "token of canary" }, apple);
  assert.deepEqual(later.asked, rest);
  for (const { lines } of [first, later]) assert(!/canary/.test(JSON.stringify(lines)));
});

Deno.test("what Apple will never take, or nobody can sign, ends the task and is told", async () => {
  const refused = { failure: "refused", cause: "Apple answered 400: invalid_grant" } as const;
  const told = { ...ids, p_user_id: userId, p_failure: refused.cause };
  const code = await revoke({ authorization_code: "code of canary" }, {
    exchange: () => Promise.resolve(refused),
  });
  assert.deepEqual(code.asked, [["exchange", "code of canary"], ["finish_apple_revocation", told]]);
  const token = await revoke({ refresh_token: "token of canary" }, {
    revoke: () => Promise.resolve(refused),
  });
  assert.deepEqual(token.asked, [["revoke", "token of canary"], ["finish_apple_revocation", told]]);
  const p_failure = "APPLE_SIGN_IN_KEY_ID is not set, or what goes with it";
  const off = await revoke({ authorization_code: "code of canary" }, null);
  assert.deepEqual(off.asked, [["finish_apple_revocation", { ...told, p_failure }]]);
});

Deno.test("an Apple that is away or busy is asked again, and a key that it does not take is the operator's", async () => {
  for (const operation of ["exchange", "revoke"] as const) {
    const payload = operation === "exchange"
      ? { authorization_code: "code of canary" }
      : { refresh_token: "token of canary" };
    const held = operation === "exchange" ? "code of canary" : "token of canary";
    const busy = { failure: "rate_limited", retryAfter: 30, cause: "Apple answered 429" } as const;
    const again = await revoke(payload, { [operation]: () => Promise.resolve(busy) });
    const retry = { ...ids, p_error: "rate_limited: Apple answered 429", p_after_seconds: 30 };
    assert.deepEqual(again.asked, [[operation, held], ["retry_task", retry]]);
    const refused = { failure: "unauthorized", cause: "Apple answered 400: invalid_client" } as const;
    const { error } = await revoke(payload, { [operation]: () => Promise.resolve(refused) });
    assert(error instanceof NeedsOperator);
    assert.equal(error.alert.rule, "apple_sign_in_key_refused");
  }
});
