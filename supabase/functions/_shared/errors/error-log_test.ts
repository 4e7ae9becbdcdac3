import assert from "node:assert/strict";
import { createErrorLog, type ErrorEntry } from "./error-log.ts";
import { recordingLogger } from "../testing/log.ts";
import { testConfig } from "../testing/config.ts";

const entry: ErrorEntry = {
  code: "ERR_6003",
  endpoint: "models",
  userId: null,
  requestId: "request-1",
  error: new Error("a bug"),
};

/** An error log whose database answers when, and as, the test says. */
function errorLog() {
  const { log, lines } = recordingLogger();
  const asked: { code: string; count: number; body: string; answer: (response: Response) => void }[] = [];
  const { record } = createErrorLog({
    config: testConfig(),
    log,
    now: () => 0,
    fetch: async (input, init) => {
      const { promise, resolve: answer } = Promise.withResolvers<Response>();
      const body = await new Request(input, init).text();
      const { p_code: code, p_count: count } = JSON.parse(body);
      asked.push({ code, count, body, answer });
      return await promise;
    },
  });
  /** Starts a recording, and gives it with the request that it made. */
  async function begin(given: Partial<ErrorEntry> = {}) {
    const before = asked.length;
    const done = record({ ...entry, ...given });
    // As many turns as a request takes to leave; one that does not leave has none to wait for.
    let isDone = false;
    done.then(() => isDone = true);
    while (asked.length === before && !isDone) await turn();
    return { done, request: asked[before] };
  }
  return { record, begin, lines };
}

/** Lets everything run that can. */
function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, 0);
  return promise;
}

const recorded = () => Response.json({ data: { recorded: "whole" } });
const away = () => Response.json({ code: "PGRST001", message: "gone" }, { status: 503 });

Deno.test("a secret in an error, or in the request's id, is not recorded", async () => {
  const { begin, lines } = errorLog();
  const { done, request } = await begin({
    requestId: "4111111111111111",
    error: new Error("jane@example.com", { cause: { prompt: "a red fox" } }),
  });
  request?.answer(recorded());
  await done;
  assert.doesNotMatch(request?.body ?? "jane", /jane|red fox|4111/);
  assert.deepEqual(lines, []);
});

Deno.test("of many errors at once a few ask the database, and the next brings the number of the others", async () => {
  const { record, begin } = errorLog();
  const first = [await begin(), await begin(), await begin(), await begin({ code: "ERR_6001" })];
  await Promise.all([record(entry), record(entry), record({ ...entry, code: "ERR_6002" })]);
  for (const { request } of first) request?.answer(recorded());
  await Promise.all(first.map(({ done }) => done));
  assert.deepEqual(first.map(({ request }) => request?.count), [1, 1, 1, 1]);

  const next = [await begin(), await begin({ code: "ERR_6002" }), await begin({ code: "ERR_6001" })];
  assert.deepEqual(next.map(({ request }) => [request?.code, request?.count]), [
    ["ERR_6003", 3],
    ["ERR_6002", 2],
    ["ERR_6001", 1],
  ]);
  for (const { request } of next) request?.answer(recorded());
  await Promise.all(next.map(({ done }) => done));
});

Deno.test("a database that is away stops nobody, is told of once, and what it missed is counted later", async () => {
  const { begin, lines } = errorLog();
  for (const code of ["ERR_6001", "ERR_6003"] as const) {
    const { done, request } = await begin({ code });
    request?.answer(away());
    await done;
  }
  // ERR_6001 has said it already, and nothing records that something could not be recorded.
  assert.deepEqual(lines.map(({ event, level, code }) => [event, level, code]), [
    ["error_not_recorded", "warn", "ERR_6003"],
  ]);
  const { done, request } = await begin();
  assert.equal(request?.count, 2);
  request?.answer(recorded());
  await done;
});

Deno.test("an error that cannot be written as JSON breaks nothing", async () => {
  const { record, lines } = errorLog();
  await record({
    ...entry,
    error: {
      get trap() {
        throw new Error("sprung");
      },
    },
  });
  assert.deepEqual(lines.map(({ event }) => event), ["error_not_recorded"]);
});

Deno.test("what is the caller's own affair is not recorded", async () => {
  const { begin } = errorLog();
  assert.equal((await begin({ code: "ERR_4001" })).request, undefined);
});
