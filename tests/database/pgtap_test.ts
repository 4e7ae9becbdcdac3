import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { patience } from "../../local/testing/patience.ts";
import type { Count } from "../deno-test.ts";
import { runPgTap } from "../pgtap.ts";
import { serverVariable, templateVariable } from "./harness.ts";

/** Runs pgTAP files of the given texts, in this order. */
async function run(texts: string[], deadline = patience): Promise<Count> {
  const folder = await Deno.makeTempDir();
  try {
    const files = texts.map((_, index) => `${index}_test.sql`);
    for (const [index, file] of files.entries()) {
      await Deno.writeTextFile(`${folder}/${file}`, texts[index] ?? "");
    }
    const [server, template] = [serverVariable, templateVariable].map((name) => Deno.env.get(name) ?? "");
    assert.ok(server && template);
    // A failure that is wanted would look like one that is not.
    return await runPgTap(server, template, pathToFileURL(`${folder}/`), files, () => {}, deadline);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("assertions hold under every role, and a file leaves nothing to the next", async () => {
  const file = `
    begin;
    select plan(2);
    create table public.left_behind ();
    set local role authenticated;
    select is(current_user::text, 'authenticated', 'the role is the one that was set');
    select is(auth.uid(), null, 'nobody is signed in');
    select * from finish();
    rollback;
  `;
  assert.deepEqual(await run([file, file]), { passed: 4, failed: 0 });
});

Deno.test("a wrong assertion, an error and a missing plan are failures, and the other files still run", async () => {
  const wrong = "begin; select plan(1); select ok(false, 'expected here'); select * from finish(); rollback;";
  const error = "begin; select plan(1); select * from missing; rollback;";
  const nothing = "select 1;";
  const right = "begin; select plan(1); select ok(true, 'fine'); rollback;";
  assert.deepEqual(await run([wrong, error, nothing, right]), { passed: 1, failed: 3 });
});

Deno.test("a statement that hangs fails its file, and the next one runs", async () => {
  const hanging = "begin; select plan(1); select ok(pg_sleep(600) is null, 'late'); rollback;";
  const right = "begin; select plan(1); select ok(true, 'fine'); rollback;";
  assert.deepEqual(await run([hanging, right], 1000), { passed: 1, failed: 1 });
});
