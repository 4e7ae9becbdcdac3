import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { fakeDatabase } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import { withoutPauses } from "../testing/pauses.ts";
import { fakeStorage } from "../testing/storage.ts";
import { eraseAccountTask, filePaths } from "../testing/tasks.ts";
import type { Storage } from "../platform/storage.ts";
import { accountTasks } from "./tasks.ts";

const task = { ...eraseAccountTask, attempt: 3 };
const { subject: userId } = task;

/** An account whose files storage has, and what the database was asked and told, in turn. */
function setting(given: {
  paths?: string[];
  /** In the other bucket. */
  uploads?: string[];
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
  const uploads = fakeStorage({
    remove: (paths) => {
      asked.push(["remove uploads", paths]);
      return Promise.resolve();
    },
  });
  let failures = given.away ?? 0;
  const { database } = fakeDatabase({
    load_erasure: (args) => {
      asked.push(["load_erasure", args]);
      return { paths, uploads: given.uploads ?? [] };
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
    await handler(task, { database, storage, uploads }, { log, signal: new AbortController().signal });
  };
  return { asked, storage, lines, run };
}

Deno.test("there is a handler for each kind of task that an account has", () => {
  assert.deepEqual(Object.keys(accountTasks), ["erase_account"]);
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

Deno.test("pictures are removed from their own bucket, before any row is erased", async () => {
  const { run, asked } = setting({ uploads: ["u/1/incoming"] });
  await run();
  assert.deepEqual(asked.map(([what]) => what), ["load_erasure", "remove uploads", "erase_account"]);
  assert.deepEqual(asked[1]?.[1], ["u/1/incoming"]);
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
