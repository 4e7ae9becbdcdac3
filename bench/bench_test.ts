import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { runs } from "../tests/runs.ts";
import { failedOf, measureInTurns } from "./measure.ts";

// Three stacks, and twenty seconds of a core.
const inFull = { ignore: runs(0, 1) === 0 };

Deno.test(
  "the bench measures every promise, and each of its rows is a call that goes well",
  inFull,
  async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", fileURLToPath(new URL("bench.ts", import.meta.url)), "--quick"],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    const said = decoder.decode(stdout);
    assert.equal(code, 0, decoder.decode(stderr));
    const [, goals = ""] = /What is promised\n[^\n]+\n([^]+?)\n\n/.exec(said) ?? [];
    const verdicts = goals.split("\n").map((line) => /(?:yes|no|–)$/.exec(line)?.[0]);
    assert(verdicts.length > 15 && !verdicts.includes(undefined), goals);
    // Only what another checkout is needed for.
    const unknown = goals.split("\n").filter((line) => line.endsWith("–"));
    assert.deepEqual(unknown.filter((line) => !line.includes("before")), []);
  },
);

Deno.test("a row whose calls go wrong at times is named, with the first reason", async () => {
  let calls = 0;
  const call = () => ++calls % 2 === 0 ? Promise.reject(new Error(`no ${calls}`)) : Promise.resolve();
  const timing = { warmUpMilliseconds: 0, milliseconds: 20 };
  const rows = [{ name: "at times", call }, { name: "never", call: () => Promise.resolve() }];
  const found = await measureInTurns(rows, 1, { timing, repetitions: 2 });
  const failed = failedOf(found.values());
  assert.equal(failed.length, 1);
  assert.match(failed[0] ?? "", /^at times: \d+ calls went wrong; the first: Error: no 2$/);
});
