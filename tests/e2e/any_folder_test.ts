/**
 * A clone in a folder whose name has a space and a letter outside of ASCII, on a system that is treated as any other than
 * Linux: what runs on a Mac, as far as it can be tried without one.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { deployedVariable, platformDenoVariable } from "../../local/functions/functions-source.ts";
import { portableVariable } from "../../local/processes/system.ts";
import { patience } from "../../local/testing/patience.ts";
import { listFiles } from "../files.ts";
import { runs } from "../runs.ts";

const root = new URL("../../", import.meta.url);

/** The folder that holds the clone; root's Postgres, under its own account, must get in. */
let outside: string;
let clone: string;
/** For what is temporary, so that what is left of it can be seen. */
let temporary: string;

Deno.test.beforeAll(async () => {
  outside = await Deno.makeTempDir();
  await Deno.chmod(outside, 0o711);
  [clone, temporary] = [`${outside}/mein Projekt é`, `${outside}/temporary files`];
  await Deno.mkdir(temporary);
  for (const path of await listFiles(root)) {
    await Deno.mkdir(dirname(`${clone}/${path}`), { recursive: true });
    await Deno.copyFile(new URL(path, root), `${clone}/${path}`);
  }
  await Deno.symlink(fileURLToPath(new URL("node_modules", root)), `${clone}/node_modules`);
});

Deno.test.afterAll(() => Deno.remove(outside, { recursive: true }));

function task(...args: string[]) {
  return new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...args],
    cwd: clone,
    env: {
      [portableVariable]: "1",
      TMPDIR: temporary,
      NO_COLOR: "1",
      DATABASE_URL: "",
      // A clone serves its own functions, also where these tests are run on what is deployed.
      [deployedVariable]: "",
      [platformDenoVariable]: "",
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function run(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await task(...args).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert(success, said);
  return said;
}

/** Runs a task until it has said `word`, does `work`, presses Ctrl-C, and gives all that it said. */
async function runUntil(
  word: RegExp,
  work: (said: string) => Promise<void>,
  ...args: string[]
): Promise<string> {
  const process = task(...args).spawn();
  const deadline = setTimeout(() => process.kill("SIGKILL"), patience);
  const mistakes = new Response(process.stderr).text();
  let said = "";
  let worked = false;
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (worked || !word.test(said)) continue;
    worked = true;
    await work(said);
    process.kill("SIGINT");
  }
  const { code } = await process.status;
  clearTimeout(deadline);
  assert.equal(code, 130, said + await mistakes);
  return said;
}

const firstCall = /TOKEN"\n/;

// What the demo does not try of a clone; platform_processes_test.ts tries it of the repository.
const inFull = { ignore: runs(0, 1) === 0 };

Deno.test("the demo plays, is found by status while it is served, and leaves nothing but its video", async () => {
  const said = await runUntil(
    firstCall,
    async (said) => {
      const { API_URL, PUBLISHABLE_KEY } = JSON.parse(await run("status"));
      assert(said.includes(API_URL) && said.includes(PUBLISHABLE_KEY));
      assert.equal((await fetch(`${API_URL}/functions/v1/health`)).status, 200);
    },
    "demo",
    "--serve",
  );
  assert.match(said, /ledger's proof .* no violation/);
  assert.match(said, /mein Projekt é\/\.kinora\/demo\.mp4: \d+ bytes/);
  assert.match(said, /Nothing of it stays but .*\/demo\.mp4\./);
  assert((await Deno.stat(`${clone}/.kinora/demo.mp4`)).size > 0);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(temporary)), []);
});

Deno.test(
  "dev starts twice, status finds it, its keys stay in sight, and Ctrl-C says where the data is",
  inFull,
  async () => {
    for (let start = 0; start < 2; start++) {
      const said = await runUntil(firstCall, async () => {
        const { API_URL } = JSON.parse(await run("status"));
        assert.equal((await fetch(`${API_URL}/functions/v1/health`)).status, 200);
      }, "dev");
      assert.match(said, /stay in .*\/mein Projekt é\/\.kinora, for the next/);
      assert.doesNotMatch(said, /"event":"request"/);
      assert.match(await Deno.readTextFile(`${clone}/.kinora/functions.log`), /"event":"request"/);
    }
    assert.deepEqual(await Array.fromAsync(Deno.readDir(temporary)), []);
  },
);

Deno.test("Ctrl-C while dev is starting leaves nothing behind, and tells no failure", inFull, async () => {
  const said = await runUntil(/starting Postgres\n/, () => Promise.resolve(), "dev");
  assert.match(said, /Ending\. Data, keys and ports stay/);
  assert.doesNotMatch(said, /error|failed|Kinora runs/i);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(temporary)), []);
});

// Most of a minute for the types.
Deno.test("the tests of starting and ending run", inFull, async () => {
  assert.match(await run("test", "local/"), /\n\d+ passed, 0 failed\n/);
});
