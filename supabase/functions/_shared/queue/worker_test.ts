import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { jobId } from "../testing/tasks.ts";
import { StorageAway } from "../platform/storage-away.ts";
import { type Done, lastOfSubject, NeedsOperator } from "./task.ts";
import { setting, task, tasks, turn, unfinished } from "../testing/worker.ts";

Deno.test("a worker goes on until nothing is due", async () => {
  const { run, claims, done, returned } = setting([[task(1)], [task(2)]]);
  await run();
  assert.deepEqual(claims, [[10, null], [10, null], [10, null]]);
  assert.deepEqual([done, returned], [[1, 2], []]);
});

Deno.test("a worker for one subject claims that subject's tasks alone", async () => {
  const { run, claims } = setting([[task(1)]]);
  await run(jobId);
  assert.deepEqual(claims, [[10, jobId], [10, jobId]]);
});

Deno.test("after the last task of its subject a worker asks for no more, and a worker for all goes on", async () => {
  const given = { dig: () => Promise.resolve<Done>(lastOfSubject) };
  const forOne = setting([[task(1)], [task(2)]], given);
  await forOne.run(jobId);
  assert.deepEqual(forOne.claims, [[10, jobId]]);
  const forAll = setting([[task(1)], [task(2)]], given);
  await forAll.run();
  assert.equal(forAll.claims.length, 3);
});

Deno.test("where nothing is due, a worker ends after one claim, and renews nothing", async () => {
  const { run, claims, timers } = setting([]);
  await run();
  assert.deepEqual([claims.length, timers.size], [1, 0]);
});

Deno.test("a worker still claims just before its time is up", async () => {
  const { run, done, clock } = setting([[task(1)], [task(2)], [task(3)]], {
    dig: ({ task_id }) => Promise.resolve(clock.advance(task_id === 1 ? 24_999 : 1)),
  });
  await run();
  assert.deepEqual(done, [1, 2]);
});

Deno.test("tasks are done at the same time, and one that takes long keeps nobody waiting", async () => {
  const { dig, finish, open } = unfinished();
  const { run, done } = setting([tasks(2), [task(3)]], { dig });
  const working = run();
  await turn();
  assert.deepEqual(open(), [1, 2]);
  await finish(2);
  assert.deepEqual(open(), [1, 3], "the next is begun while the first goes on");
  await finish(3, 1);
  await working;
  assert.deepEqual(done, [2, 3, 1]);
});

Deno.test("ten tasks are at work at most, and more are claimed once half of the places are free", async () => {
  const { dig, finish, open } = unfinished();
  const { run, limits } = setting([tasks(10), tasks(3, 11), []], { dig });
  const working = run();
  await turn();
  assert.equal(open().length, 10);
  await finish(1, 2, 3, 4);
  assert.deepEqual(limits(), [10], "for a place or four nobody is asked");
  await finish(5);
  assert.deepEqual(limits(), [10, 5]);
  assert.deepEqual(open(), [6, 7, 8, 9, 10, 11, 12, 13]);
  await finish(11, 12);
  assert.deepEqual(limits(), [10, 5]);
  await finish(13);
  assert.deepEqual(limits(), [10, 5, 5], "when another is done, more may be due");
  await finish(6, 7, 8, 9, 10);
  await working;
  assert.deepEqual(limits(), [10, 5, 5, 6, 7, 8, 9, 10]);
});

Deno.test("an attempt that fails goes back with its reason and that of its cause, without secrets", async () => {
  const cause = new Error("fetch of https://a.example.com/?token=abcdef failed", { cause: "not an error" });
  const { run, returned, lines } = setting([[task(1)]], {
    dig: () => Promise.reject(new AppError("ERR_6002", { cause })),
  });
  await run();
  assert.deepEqual(returned, [{
    p_task_id: 1,
    p_attempt: 1,
    p_code: "ERR_6002",
    p_error: "AppError: ERR_6002 < Error: fetch of https://a.example.com/?token=[redacted] failed",
  }]);
  const line = lines.find(({ event }) => event === "task_failed");
  assert.deepEqual([line?.level, line?.kind, line?.subject, line?.attempt], ["warn", "dig", jobId, 1]);
});

Deno.test("what failed has a code of ours: its own where that is an error of ours, else a bug's", async () => {
  for (
    const [error, code] of [
      [new AppError("ERR_6001"), "ERR_6001"],
      [new AppError("ERR_6002"), "ERR_6002"],
      [new AppError("ERR_4007"), "ERR_6003"],
      [new Error("a bug"), "ERR_6003"],
      [undefined, "ERR_6003"],
    ] as const
  ) {
    const { run, returned } = setting([[task(1)]], { dig: () => Promise.reject(error) });
    await run();
    assert.deepEqual(returned.map(({ p_code }) => p_code), [code]);
  }
});

Deno.test("a reason is short, and there is always one", async () => {
  for (
    const [thrown, reason] of [
      [new Error("it failed ".repeat(1000)), /^Error: .{493}$/],
      ["a text", /^a text$/],
      [undefined, /^undefined$/],
    ] as const
  ) {
    const { run, returned } = setting([[task(1)]], { dig: () => Promise.reject(thrown) });
    await run();
    assert.match(returned[0]?.p_error ?? "", reason);
  }
});

Deno.test("a handler that throws before it waits for anything fails its task alone", async () => {
  const { run, returned, done } = setting([tasks(2)], {
    dig: ({ task_id }) => {
      if (task_id === 1) throw new Error("a bug");
      return Promise.resolve();
    },
  });
  await run();
  assert.deepEqual([returned.map(({ p_task_id }) => p_task_id), done], [[1], [2]]);
});

Deno.test("what only the operator can mend goes back with its alert, by whatever it is wrapped", async () => {
  const alert = { rule: "result_host", subject: "fal cdn.example.com", details: { host: "cdn.example.com" } };
  const needed = new NeedsOperator("not at a host of its provider", alert);
  for (const error of [needed, new AppError("ERR_6002", { cause: needed })]) {
    const { run, returned } = setting([[task(1)]], { dig: () => Promise.reject(error) });
    await run();
    assert.deepEqual(returned.map(({ p_alert }) => p_alert), [alert]);
  }
});

Deno.test("a task that meets that Storage is away waits for it, whatever its kind, and says so", async () => {
  const error = new AppError("ERR_6002", { cause: new StorageAway("Storage answered 503") });
  const { run, returned } = setting([[task(1)]], { dig: () => Promise.reject(error) });
  await run();
  assert.deepEqual(returned.map(({ p_code, p_alert }) => [p_code, p_alert]), [
    ["ERR_6002", { rule: "storage_away", subject: "storage", details: { cause: "Storage answered 503" } }],
  ]);
});

Deno.test("a task of a kind that is not known here goes back, for whoever knows it", async () => {
  // `constructor` is something that every object has, and no handler.
  for (const kind of ["upscale", "constructor", "__proto__"]) {
    const unknown = task(1, { kind });
    const { run, returned, done } = setting([[unknown, task(2)]]);
    await run();
    assert.deepEqual(returned, [{
      p_task_id: 1,
      p_attempt: 1,
      p_code: "ERR_6003",
      p_error: `Error: Unknown kind of task: ${kind}`,
    }]);
    assert.deepEqual(done, [2]);
  }
});

Deno.test("a task that failed is given back again and again while the database is away", async () => {
  let asked = 0;
  const { run, pauses, lines } = setting([[task(1)]], {
    dig: () => Promise.reject(new Error("a bug")),
    database: {
      retry_task: () => {
        asked += 1;
        return asked <= 2 ? Promise.reject(new AppError("ERR_6001")) : Promise.resolve({ state: "waiting" });
      },
    },
  });
  await run();
  assert.deepEqual([asked, pauses], [3, [500, 1_000]]);
  assert(!lines.some(({ event }) => event === "task_not_returned"));
});

Deno.test("a task that cannot even be given back does not stop the others", async () => {
  for (const [code, attempts] of [["ERR_6001", 7], ["ERR_6003", 1]] as const) {
    const { dig, fail, finish } = unfinished();
    let asked = 0;
    const { run, lines, done, pauses } = setting([tasks(2), [task(3)]], {
      dig,
      database: {
        retry_task: () => {
          asked += 1;
          return Promise.reject(new AppError(code));
        },
      },
    });
    const working = run();
    await turn();
    await fail(1, new Error("provider is away"));
    await finish(2, 3);
    await working;
    assert.deepEqual(done, [2, 3]);
    assert.deepEqual([asked, pauses.length], [attempts, attempts - 1]);
    const line = lines.find(({ event }) => event === "task_not_returned");
    assert.deepEqual([line?.level, line?.kind, line?.subject, line?.attempt], ["warn", "dig", jobId, 1]);
  }
});

Deno.test("a worker that cannot claim says so to whoever keeps the background work", async () => {
  const { run } = setting([], {
    database: { claim_tasks: () => Promise.reject(new AppError("ERR_6001")) },
  });
  await assert.rejects(run(), { code: "ERR_6001" });
});
