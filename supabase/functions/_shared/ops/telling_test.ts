import assert from "node:assert/strict";
import { createBackgroundWork } from "../endpoint/background-work.ts";
import { testConfig } from "../testing/config.ts";
import { settableClock } from "../testing/clock.ts";
import { recordingLogger } from "../testing/log.ts";
import { type CountedRow, isolateMetrics } from "./metrics.ts";
import { metricTelling } from "./telling.ts";

const request = { endpoint: "models", status: "200", code: "none" };

/** An isolate whose Data API answers so, and whose time passes when the test says so. */
function isolate(status: () => number = () => 200) {
  const [metrics, background, clock] = [isolateMetrics(), createBackgroundWork(), settableClock()];
  const { log, lines } = recordingLogger(clock.now);
  const told: CountedRow[][] = [];
  const waits: { milliseconds: number; over: () => void }[] = [];
  const tell = metricTelling(
    {
      config: testConfig(),
      log,
      background,
      now: clock.now,
      fetch: async (input, init) => {
        const sent = new Request(input, init);
        assert.match(sent.url, /\/rpc\/record_metrics$/);
        const { p_rows } = await sent.json();
        if (status() === 200) told.push(p_rows);
        return status() === 200
          ? Response.json({ data: { recorded: p_rows.length } })
          : Response.json({ code: status() === 404 ? "PGRST202" : "57P03", message: "no" }, {
            status: status(),
          });
      },
    },
    metrics,
    (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        waits.push({ milliseconds, over: resolve });
        signal?.addEventListener("abort", () => reject(signal.reason));
      }),
  );
  const rest = (rows: readonly CountedRow[] | undefined) =>
    rows?.filter(({ name }) => name !== "memory_bytes").map(({ labels, count }) => [labels.endpoint, count]);
  return { metrics, background, told, waits, tell, lines, rest };
}

Deno.test("nothing is asked before an answer, nor before the interval is over, and then one call tells all", async () => {
  const { metrics, background, told, waits, tell, rest } = isolate();
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  metrics.count("requests", request);
  tell("models", answered);
  await Promise.resolve();
  assert.equal(waits.length, 0, "it waits for the answer first");
  answer();
  await answered;
  await Promise.resolve();
  for (let more = 0; more < 100; more += 1) {
    metrics.count("requests", request);
    tell("models", Promise.resolve());
  }
  assert.deepEqual([waits.length, waits[0]?.milliseconds, told.length], [1, 8_000, 0]);
  waits[0]?.over();
  await background.settled();
  assert.deepEqual(told.map(rest), [[["models", 101]]]);
  const memory = told[0]?.find(({ name }) => name === "memory_bytes");
  assert.ok(
    memory !== undefined && memory.count === 1 && memory.sum > 1_000_000,
    "an isolate tells its memory",
  );

  metrics.count("requests", request);
  tell("models", Promise.resolve());
  await Promise.resolve();
  waits[1]?.over();
  await background.settled();
  assert.deepEqual(rest(told[1]), [["models", 1]], "what was told is not told again");
});

Deno.test("what is counted while it is told is told the next time", async () => {
  let whileTold = () => {};
  const { metrics, background, told, waits, tell, rest } = isolate(() => {
    whileTold();
    return 200;
  });
  whileTold = () => {
    whileTold = () => {};
    metrics.count("requests", { ...request, endpoint: "credits" });
    tell("credits", Promise.resolve());
  };
  metrics.count("requests", request);
  tell("models", Promise.resolve());
  await Promise.resolve();
  waits[0]?.over();
  for (let turn = 0; waits.length < 2 && turn < 1_000; turn += 1) {
    await new Promise((done) => setTimeout(done));
  }
  waits[1]?.over();
  await background.settled();
  assert.deepEqual(told.map(rest), [[["models", 1]], [["credits", 1]]]);
});

Deno.test("while the database is away counts are kept, nobody notices, and they are told with the next", async () => {
  let status = 503;
  const { metrics, background, told, waits, tell, lines, rest } = isolate(() => status);
  metrics.count("requests", request);
  tell("models", Promise.resolve());
  await Promise.resolve();
  waits[0]?.over();
  await background.settled();
  assert.deepEqual([told.length, lines], [0, []]);
  status = 200;
  metrics.count("requests", request);
  tell("models", Promise.resolve());
  await Promise.resolve();
  waits[1]?.over();
  await background.settled();
  assert.deepEqual(told.map(rest), [[["models", 2]]]);
});

Deno.test("a database that does not take them is in the log, once an interval", async () => {
  const { metrics, background, waits, tell, lines } = isolate(() => 404);
  metrics.count("requests", request);
  tell("models", Promise.resolve());
  await Promise.resolve();
  waits[0]?.over();
  await background.settled();
  assert.deepEqual(lines.map(({ level, event }) => [level, event]), [["warn", "metrics_not_told"]]);
});

Deno.test("an isolate that is about to end tells at once", async () => {
  const { metrics, background, told, waits, tell, rest } = isolate();
  metrics.count("requests", request);
  tell("models", Promise.resolve());
  await Promise.resolve();
  assert.equal(waits.length, 1);
  globalThis.dispatchEvent(new Event("beforeunload"));
  await background.settled();
  assert.deepEqual(told.map(rest), [[["models", 1]]]);
});
