import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { runs } from "../tests/runs.ts";

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
