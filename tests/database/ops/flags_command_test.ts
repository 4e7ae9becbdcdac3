/** `deno task flags`: what it prints of a database is what it makes of one, and what it cannot do it says, and leaves all as it is. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { sharedDatabase } from "../support/shared-database.ts";
import { makeFlag, newFlag } from "../support/flags.ts";

const database = sharedDatabase();
const { sql } = database;
const tool = fileURLToPath(new URL("../../../tools/flags.ts", import.meta.url));

async function flags(...args: string[]): Promise<{ code: number; said: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", tool, ...args, `--database=${database.url}`],
  }).output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("what is exported is imported, all of it or nothing, with a reason that is written down", async () => {
  const file = await Deno.makeTempFile();
  try {
    await makeFlag(sql, newFlag({ key: "exported", rules: [{ platforms: ["ios"], variant: "off" }] }));
    const exported = await flags("export");
    assert.equal(exported.code, 0, exported.said);
    await Deno.writeTextFile(file, exported.said);
    assert.deepEqual(await flags("import", file, "--reason=a test"), { code: 0, said: "Nothing changed.\n" });

    const document = JSON.parse(exported.said);
    assert.deepEqual(Object.keys(document.flags).includes("generation"), true);
    document.flags.exported.state = "DISABLED";
    document.flags.new = document.flags.exported;
    await Deno.writeTextFile(file, JSON.stringify(document));
    assert.match((await flags("import", file)).said, /--reason/);
    assert.deepEqual(await flags("import", file, "--reason=a test"), {
      code: 0,
      said: "Changed: exported, new\n",
    });
    const actions = await sql<{ subject: string }[]>`
      select a.subject from ops.admin_actions as a where a.reason = 'a test' order by a.id`;
    assert.deepEqual(actions.map(({ subject }) => subject), ["flag exported", "flag new"]);

    // The first is right; the second no flag can be, which only the database knows.
    document.flags.exported.state = "ENABLED";
    document.flags.new.targeting = { if: [{ in: [{ var: "targetingKey" }, ["ada"]] }, "on"] };
    await Deno.writeTextFile(file, JSON.stringify(document));
    const refused = await flags("import", file, "--reason=a test");
    assert.equal(refused.code, 1);
    assert.match(refused.said, /Nothing was imported.*rules\[0\]\.users/);
    document.flags.new.targeting = { starts_with: ["a", "b"] };
    await Deno.writeTextFile(file, JSON.stringify(document));
    assert.match((await flags("import", file, "--reason=a test")).said, /flags\.new\.targeting: /);
    assert.equal(await isEnabled("exported"), false);
  } finally {
    await Deno.remove(file);
  }
});

async function isEnabled(key: string): Promise<boolean | undefined> {
  const [row] = await sql<{ on: boolean }[]>`select ops.is_enabled(${key}) as on`;
  return row?.on;
}
