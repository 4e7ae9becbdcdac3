import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { recordingLogger } from "../testing/log.ts";
import { settableClock } from "../testing/clock.ts";
import { read } from "../testing/operations.ts";
import { rememberAnswers } from "./answer-memory.ts";
import type { CachePolicy } from "./operation.ts";

const policy: CachePolicy = { maxAgeSeconds: 60, staleIfErrorSeconds: 600 };
const away = () => new AppError("ERR_6001");

/** An isolate whose database answers as it is told, and who asked it. */
function isolate(answer: (caller: string) => Promise<unknown> = () => Promise.resolve("an answer")) {
  const asked: string[] = [];
  const clock = settableClock();
  const { log, lines } = recordingLogger(clock.now);
  const memory = rememberAnswers();
  const operation = read();
  return {
    asked,
    clock,
    lines,
    ask: (caller: string, of = operation) =>
      memory.recall(of, policy, async () => {
        asked.push(caller);
        return { status: 200, body: await answer(caller) };
      }, { log, now: clock.now }),
  };
}

const marks = ({ headers = {} }: { headers?: Readonly<Record<string, string>> }) => [
  headers["Age"],
  headers["Cache-Status"],
];

Deno.test("until it is as old as the policy says, an answer comes from memory and tells its age; then it is asked for anew", async () => {
  let body = "first";
  const { ask, asked, clock } = isolate(() => Promise.resolve(body));
  assert.deepEqual(await ask("a"), { status: 200, body: "first" });
  body = "second";
  clock.advance(59_999);
  const remembered = await ask("b");
  assert.deepEqual([remembered.body, ...marks(remembered)], ["first", "59", "kinora; hit; ttl=1"]);
  assert.deepEqual(asked, ["a"]);
  clock.advance(1);
  assert.deepEqual(await ask("b"), { status: 200, body: "second" });
  assert.deepEqual(asked, ["a", "b"]);
});

Deno.test("operations do not share what is remembered", async () => {
  const { ask, asked } = isolate((caller) => Promise.resolve(caller));
  assert.equal((await ask("a")).body, "a");
  assert.equal((await ask("b", read())).body, "b");
  assert.deepEqual(asked, ["a", "b"]);
});

Deno.test("a hundred at once cost one question, at first and when the answer is too old", async () => {
  let questions = [Promise.withResolvers<unknown>(), Promise.withResolvers<unknown>()];
  const { ask, asked, clock } = isolate(() => questions[0]?.promise ?? Promise.reject(new Error("a third")));
  for (const round of ["first", "second"]) {
    const answers = Array.from({ length: 100 }, (_, index) => ask(`${round} ${index}`));
    questions[0]?.resolve(round);
    for (const { body } of await Promise.all(answers)) assert.equal(body, round);
    questions = questions.slice(1);
    clock.advance(60_000);
  }
  assert.deepEqual(asked, ["first 0", "second 0"]);
});

Deno.test("a refusal is its caller's own: who waited with them asks for themselves, together", async () => {
  const { promise: refused, resolve: refuse } = Promise.withResolvers<void>();
  const { ask, asked } = isolate(async (caller) => {
    await refused;
    if (caller === "banned") throw new AppError("ERR_4017");
    return "an answer";
  });
  const banned = ask("banned");
  const others = Array.from({ length: 50 }, (_, index) => ask(`other ${index}`));
  refuse();
  await assert.rejects(banned, { code: "ERR_4017" });
  for (const { body } of await Promise.all(others)) assert.equal(body, "an answer");
  assert.deepEqual(asked, ["banned", "other 0"]);
  await ask("third");
  assert.equal(asked.length, 2, "what was answered is remembered");
});

Deno.test("whoever waits behind many who are refused waits for two of them, and not for one after the other", async () => {
  const refused: (() => void)[] = [];
  const { ask, asked } = isolate((caller) =>
    caller === "other"
      ? Promise.resolve("an answer")
      : new Promise((_, reject) => refused.push(() => reject(new AppError("ERR_4017"))))
  );
  const banned = Promise.allSettled(Array.from({ length: 20 }, (_, index) => ask(`banned ${index}`)));
  const other = ask("other");
  refused[0]?.();
  while (refused.length < 2) await Promise.resolve();
  refused[1]?.();
  assert.equal((await other).body, "an answer", "while the others still wait for theirs");
  for (const refuse of refused) refuse();
  for (const { status } of await banned) assert.equal(status, "rejected");
  assert.equal(asked.filter((caller) => caller === "other").length, 1);
});

Deno.test("a failure is not remembered", async () => {
  let isBroken = true;
  const { ask, asked } = isolate(() =>
    isBroken ? Promise.reject(new AppError("ERR_6003")) : Promise.resolve("mended")
  );
  await assert.rejects(ask("a"), { code: "ERR_6003" });
  isBroken = false;
  assert.equal((await ask("a")).body, "mended");
  assert.equal(asked.length, 2);
});

Deno.test("while the database is away what is remembered is given, as long as the policy says, and says how old it is", async () => {
  let isAway = false;
  const { ask, asked, clock, lines } = isolate(() =>
    isAway ? Promise.reject(away()) : Promise.resolve("remembered")
  );
  await ask("a");
  isAway = true;
  clock.advance(60_000);
  const stale = await ask("b");
  assert.deepEqual([stale.status, stale.body, ...marks(stale)], [
    200,
    "remembered",
    "60",
    "kinora; hit; ttl=0",
  ]);
  assert.deepEqual(lines.map(({ level, event }) => [level, event]), [["warn", "answered_from_memory"]]);
  // It is not asked again at once.
  clock.advance(1_999);
  assert.deepEqual(marks(await ask("c")), ["61", "kinora; hit; ttl=-1"]);
  assert.deepEqual(asked, ["a", "b"]);
  clock.advance(1);
  await ask("d");
  assert.deepEqual(asked, ["a", "b", "d"]);
  clock.advance(598_000 - 1);
  assert.deepEqual(marks(await ask("e")), ["659", "kinora; hit; ttl=-599"]);
  clock.advance(1);
  await assert.rejects(ask("f"), { code: "ERR_6001" });
  isAway = false;
  assert.equal((await ask("g")).headers, undefined, "it is back");
});

Deno.test("nothing else than an absence of the database is covered up", async () => {
  let code: "ERR_4004" | "ERR_4005" | "ERR_4017" | "ERR_6003" | null = null;
  const { ask, clock } = isolate(() =>
    code === null ? Promise.resolve("remembered") : Promise.reject(new AppError(code))
  );
  await ask("a");
  clock.advance(60_000);
  for (code of ["ERR_4004", "ERR_4005", "ERR_4017", "ERR_6003"] as const) {
    await assert.rejects(ask("b"), { code });
  }
});

Deno.test("a hundred who meet a database that is away cost one question, with and without something to give them", async () => {
  let outcome = Promise.withResolvers<unknown>();
  const { ask, asked, clock } = isolate(() => outcome.promise);
  const crowd = () => Array.from({ length: 100 }, (_, index) => ask(`${index}`));
  const first = crowd();
  outcome.reject(away());
  for (const { status } of await Promise.allSettled(first)) assert.equal(status, "rejected");
  assert.equal(asked.length, 1);

  outcome = Promise.withResolvers();
  outcome.resolve("remembered");
  await ask("a");
  clock.advance(60_000);
  outcome = Promise.withResolvers();
  const second = crowd();
  outcome.reject(away());
  for (const { body } of await Promise.all(second)) assert.equal(body, "remembered");
  assert.equal(asked.length, 3);
});

Deno.test("a question that hangs for longer than an answer may be old is not waited for, and forgets nothing that was learnt meanwhile", async () => {
  const { promise: late, resolve } = Promise.withResolvers<unknown>();
  const { ask, asked, clock } = isolate((caller) => caller === "slow" ? late : Promise.resolve("new"));
  const slow = ask("slow");
  clock.advance(60_000);
  assert.equal((await ask("quick")).body, "new");
  resolve("old");
  assert.equal((await slow).body, "old");
  assert.equal((await ask("third")).body, "new");
  assert.deepEqual(asked, ["slow", "quick"]);
});
