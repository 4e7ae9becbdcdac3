import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { fakeDatabase } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import type { Task } from "./task.ts";
import { work } from "./worker.ts";
import { fakePace, task, turn } from "../testing/worker.ts";

Deno.test("an isolate that has no room for a kind leaves it out of its claims, whichever worker asks", async () => {
  const { clock, pace } = fakePace();
  const { log } = recordingLogger(clock.now);
  let isFree = true;
  const claims: (readonly string[] | null | undefined)[] = [];
  const answers: PromiseWithResolvers<Task[]>[] = [];
  const ends: PromiseWithResolvers<void>[] = [];
  const ports = {
    log,
    now: clock.now,
    ...fakeDatabase({
      claim_tasks: ({ p_without }) => {
        claims.push(p_without);
        const answer = Promise.withResolvers<Task[]>();
        answers.push(answer);
        return answer.promise;
      },
    }),
  };
  const dig = Object.assign(async () => {
    isFree = false;
    const end = Promise.withResolvers<void>();
    ends.push(end);
    await end.promise;
    isFree = true;
  }, { room: { isFree: () => isFree } });
  const run = () => work(ports, { dig, look: () => Promise.resolve() }, undefined, pace);

  // While the first one's claim may bring one, the second one's may not.
  const workers = [run(), run()];
  assert.deepEqual(claims, [[], ["dig"]]);
  answers[1]?.resolve([]);
  answers[0]?.resolve([task(1)]);
  await turn();
  assert.equal(ends.length, 1);
  // Nor may that of another, while the task is done.
  workers.push(run());
  assert.deepEqual(claims.slice(2), [["dig"]]);
  answers[2]?.resolve([]);
  await turn();
  ends[0]?.resolve();
  await turn();
  assert.deepEqual(claims.slice(3), [[]], "there is room again");
  answers[3]?.resolve([]);
  await Promise.all(workers);
});

Deno.test("a claim that fails leaves the room free", async () => {
  const { clock, pace } = fakePace();
  const { log } = recordingLogger(clock.now);
  const claims: (readonly string[] | null | undefined)[] = [];
  const { database } = fakeDatabase({
    claim_tasks: ({ p_without }) => {
      claims.push(p_without);
      return Promise.reject(new AppError("ERR_6001"));
    },
  });
  const dig = Object.assign(() => Promise.resolve(), { room: { isFree: () => true } });
  for (let turn = 0; turn < 2; turn++) {
    await assert.rejects(work({ log, database, now: clock.now }, { dig }, undefined, pace), AppError);
  }
  assert.deepEqual(claims, [[], []]);
});
