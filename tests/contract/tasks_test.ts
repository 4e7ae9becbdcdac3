/** What `deno task` offers: each task has a description, answers --help, and refuses what it does not know. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

const { tasks }: { tasks: Record<string, { description: string; command: string }> } = JSON.parse(
  await Deno.readTextFile(`${root}deno.json`),
);

/** Those that run other programs, which have a --help of their own. */
const foreign = ["ok", "test:compat", "platform-deno", "supabase"];

const ours = Object.entries(tasks).filter(([name]) => !foreign.includes(name));

async function run(
  command: string,
  ...args: string[]
): Promise<{ code: number; said: string; wrong: string }> {
  const [program, ...given] = command.split(" ");
  assert.equal(program, "deno", `${command} is a program of ours`);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...given, ...args],
    cwd: root,
    // A task that goes on in spite of its arguments finds nothing to work with.
    env: { DATABASE_URL: "postgresql://nobody@127.0.0.1:1/nothing", NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stdout), wrong: decoder.decode(stderr) };
}

Deno.test("every task says in a line what it does", () => {
  for (const [name, { description }] of Object.entries(tasks)) {
    assert.match(description, /^[A-Z].{10,}[^.]$/, `the description of ${name} is one line`);
  }
});

for (const [name, { command }] of ours) {
  const own = name.startsWith("test") ? "test" : name;

  Deno.test(`${name} --help says how it is called, and does nothing`, async () => {
    const { code, said, wrong } = await run(command, "--help");
    assert.equal(code, 0, wrong);
    assert.match(
      said,
      new RegExp(`^deno task ${own}( [^\n]+)?\n\n[A-Z][^]+$`),
      "the usage is all that is printed",
    );
  });

  Deno.test(`${name} refuses an option that it does not know, and does nothing`, async () => {
    const { code, said, wrong } = await run(command, "--no-such-option");
    assert.equal(code, 1, said);
    assert.equal(said, "", "nothing was done");
    assert.match(
      wrong,
      /Unknown option '--no-such-option'[^]*\n\ndeno task /,
      "the refusal names it and ends with the usage",
    );
  });
}

Deno.test("a word where a task takes none, or not this one, is refused", async () => {
  const refusals: [task: string, args: string[], message: RegExp][] = [
    ["demo", ["fast"], /Unexpected argument 'fast'/],
    ["generate", ["openapi"], /Unexpected argument 'openapi'/],
    ["deploy", ["helth"], /^There is no function helth\./],
    ["test", ["unit", "tests/e2e/no_such_test.ts"], /^"tests\/e2e\/no_such_test\.ts" is neither a tier/],
    ["test:platform", ["ledger_test"], /nor in the path of an end-to-end test\./],
    ["chaos", ["--seconds=soon"], /^--seconds takes a whole number, not "soon"\./],
    ["bench", ["--jobs=-1"], /^--jobs takes a whole number, not "-1"\./],
    ["bench", ["speed"], /^There is no part speed\./],
    ["db:diff", [], /^One name is needed\./],
  ];
  for (const [name, args, message] of refusals) {
    const { code, said, wrong } = await run(tasks[name]?.command ?? "", ...args);
    assert.deepEqual([code, said], [1, ""], `${name} ${args.join(" ")} does nothing`);
    assert.match(wrong, message);
  }
});
