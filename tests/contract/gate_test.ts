/** `.ci/run`, with tasks that stand in for the real ones: what it counts is what its last line and its exit code say. */
import assert from "node:assert/strict";

const root = new URL("../../", import.meta.url);

/** What a task prints, and its exit code. */
type Task = readonly [output: string, code: number];

async function runGate(tasks: Readonly<Record<string, Task>>): Promise<{ last: string; code: number }> {
  const directory = await Deno.makeTempDir();
  try {
    // The last argument is the task's name.
    const cases = Object.entries(tasks).map(([name, [output, code]]) =>
      `${name}) printf '%s\\n' ${output.split("\n").map((line) => `'${line}'`).join(" ")}; exit ${code};;`
    );
    await Deno.writeTextFile(
      `${directory}/npx`,
      `#!/bin/sh\nfor name in "$@"; do :; done\ncase "$name" in\n${cases.join("\n")}\nesac\n`,
      { mode: 0o755 },
    );
    // Nothing is to be installed for this.
    for (const name of ["prometheus", "chromium"]) {
      await Deno.writeTextFile(`${directory}/${name}`, "#!/bin/sh\n", { mode: 0o755 });
    }
    const { code, stdout } = await new Deno.Command(new URL(".ci/run", root), {
      env: { PATH: `${directory}:${Deno.env.get("PATH")}` },
    }).output();
    return { last: new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1) ?? "", code };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const good: Task = ["unit: 2 files\n\n1000 passed, 0 failed\nnpm notice", 0];
const long: Task = ["800 passed, 0 failed", 0];
const silent: Task = ["error: it does not start", 1];

Deno.test("the gate runs both tasks and ends with the sum of what they counted", async () => {
  const runs: [Record<string, Task>, string, number][] = [
    [{ ok: good, "test:long": long }, "1800 passed, 0 failed", 0],
    [{ ok: ["999 passed, 1 failed", 1], "test:long": long }, "1799 passed, 1 failed", 1],
    [{ ok: good, "test:long": ["797 passed, 3 failed", 1] }, "1797 passed, 3 failed", 1],
    [
      { ok: ["990 passed, 10 failed", 1], "test:long": ["799 passed, 1 failed", 1] },
      "1789 passed, 11 failed",
      1,
    ],
  ];
  for (const [tasks, last, code] of runs) assert.deepEqual(await runGate(tasks), { last, code });
});

Deno.test("a task that fails to start, or that says it failed, is no success, and the other runs all the same", async () => {
  const runs: [Record<string, Task>, string, number][] = [
    [{ ok: silent, "test:long": long }, "800 passed, 1 failed", 1],
    [{ ok: good, "test:long": silent }, "1000 passed, 1 failed", 1],
    [{ ok: silent, "test:long": silent }, "0 passed, 2 failed", 1],
    [{ ok: ["killed", 0], "test:long": long }, "800 passed, 1 failed", 1],
    [{ ok: ["1000 passed, 0 failed", 137], "test:long": long }, "1800 passed, 1 failed", 1],
  ];
  for (const [tasks, last, code] of runs) assert.deepEqual(await runGate(tasks), { last, code });
});
