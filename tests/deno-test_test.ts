import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { patience } from "../local/testing/patience.ts";
import { type Count, countJUnit, denoTest } from "./deno-test.ts";

interface Options {
  filter?: string;
  deadline?: number;
  timeLimit?: number;
}

/** Runs one test file of the given text, as the tiers do, and gives what it printed beside the count. */
async function runTold(text: string, options: Options): Promise<Count & { told: string }> {
  const { filter, deadline = patience, timeLimit = patience } = options;
  const folder = await Deno.makeTempDir();
  let told = "";
  try {
    await Deno.writeTextFile(`${folder}/some_test.ts`, text);
    const count = await denoTest({
      root: pathToFileURL(`${folder}/`),
      files: ["some_test.ts"],
      permissions: [],
      filter,
      env: { NO_COLOR: "1" },
      deadline,
      timeLimit,
      // A failure that is wanted would look like one that is not.
      onOutput: (text) => told += text,
    });
    return { ...count, told };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function run(text: string, options: Options = {}): Promise<Count> {
  const { passed, failed } = await runTold(text, options);
  return { passed, failed };
}

Deno.test("passed and failed tests are counted", async () => {
  const text = `
    Deno.test("good", () => {});
    Deno.test("bad", () => { throw new Error("expected here"); });
    Deno.test("left out", { ignore: true }, () => {});
  `;
  assert.deepEqual(await run(text), { passed: 1, failed: 1 });
  assert.deepEqual(await run(text, { filter: "good" }), { passed: 1, failed: 0 });
});

Deno.test("a file that does not load is a failure", async () => {
  assert.deepEqual(await run('import "./missing.ts";'), { passed: 0, failed: 1 });
});

Deno.test("what a test may not do is a failure", async () => {
  const text = `Deno.test("curious", () => { Deno.env.get("HOME"); });`;
  assert.deepEqual(await run(text), { passed: 0, failed: 1 });
});

/** What never comes, while something else goes on. */
const never = "new Promise(() => setInterval(() => {}, 1000))";

Deno.test("a test that hangs fails by its name, where it stands, however it is declared; the next one runs", async () => {
  const hanging = [
    'Deno.test("late 1", () => { for (;;); });',
    `Deno.test("late 2", () => ${never});`,
    `Deno.test("late 3", async (t) => { await t.step("inner", () => ${never}) });`,
    `Deno.test(function late4() { return ${never}; });`,
    `Deno.test({ name: "late 5", fn: () => ${never} });`,
    `Deno.test("late 6", { ignore: false }, () => ${never});`,
    `Deno.test({ name: "late 7" }, () => ${never});`,
    `Deno.test({ ignore: false }, function late8() { return ${never}; });`,
  ];
  const { told, ...count } = await runTold(
    `${hanging.join("\n")}\nDeno.test("next", () => {});`,
    { deadline: 500 },
  );
  assert.deepEqual(count, { passed: 1, failed: hanging.length }, told);
  for (const line of hanging.keys()) {
    assert.match(told, new RegExp(`late ?${line + 1} => \\./some_test\\.ts:${line + 1}:`));
  }
});

Deno.test("what hangs around the tests of a file fails by the name of the file, or of the test", async () => {
  const hanging: [string, RegExp][] = [
    [`await ${never};`, /some_test\.ts was not loaded within 500 ms/],
    [`Deno.test.beforeAll(() => ${never});`, /beforeAll of .*some_test\.ts was not done within 500 ms/],
    [`Deno.test.beforeEach(() => ${never});`, /\ngood => \.\/some_test\.ts:2/],
    [`Deno.test.afterEach(() => ${never});`, /\ngood => \.\/some_test\.ts:2/],
    [`Deno.test.afterAll(() => ${never});`, /afterAll of .*some_test\.ts was not done within 500 ms/],
  ];
  await Promise.all(hanging.map(async ([text, saying]) => {
    const { told, failed } = await runTold(`${text}\nDeno.test("good", () => {});`, { deadline: 500 });
    assert.equal(failed, 1, `${text}\n${told}`);
    assert.match(told, saying);
  }));
});

Deno.test("a test may have a longer deadline of its own, and a slow hook in time fails nothing", async () => {
  const text = `
    Deno.test.beforeAll(() => new Promise((resolve) => setTimeout(resolve, 50)));
    Deno.test({ name: "slow", timeout: 60_000, fn: () => new Promise((resolve) => setTimeout(resolve, 1000)) });
  `;
  assert.deepEqual(await run(text, { deadline: 500 }), { passed: 1, failed: 0 });
});

Deno.test("a run that is over its limit ends, and says which test it was at", async () => {
  let told = "";
  // As long as this machine needs to come to the test.
  for (let timeLimit = 1000; !/pending:\s+endless/.test(told); timeLimit *= 2) {
    assert(timeLimit < patience, told);
    const { passed, failed, told: more } = await runTold(`Deno.test("endless", () => ${never});`, {
      timeLimit,
    });
    assert.deepEqual({ passed, failed }, { passed: 0, failed: 1 });
    told = more;
  }
});

Deno.test("a run that ended badly without a failed test is a failure too", () => {
  const report = '<testsuites name="deno test" tests="5" failures="0" errors="0" time="0.006"></testsuites>';
  assert.deepEqual(countJUnit(report, false), { passed: 5, failed: 1 });
});
