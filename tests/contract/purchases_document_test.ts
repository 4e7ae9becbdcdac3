import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { purchaseRefusals } from "../../supabase/functions/_shared/purchases/contract.ts";
import { cloneTemplate } from "../database/harness.ts";
import { rolledBack } from "../database/support/ledger.ts";
import { readDocument, root, tableRows } from "./documents.ts";

const purchases = await readDocument("docs/purchases.md");
const guide = await readDocument("docs/clients.md");

Deno.test("docs/purchases.md explains every reason that ERR_4016 has, and no other", () => {
  const told = tableRows(purchases, "reason").map(([reason = ""]) => reason);
  assert.deepEqual(told.toSorted(), [...purchaseRefusals].sort());
});

Deno.test("docs, guide and the package for apps finish a transaction after the same reasons", async () => {
  const finished = tableRows(purchases, "reason").filter(([, , isFinished]) => isFinished === "yes")
    .map(([reason = ""]) => reason).sort();
  const source = await Deno.readTextFile(new URL("client/src/purchases.ts", root));
  const lists = [guide.text, source].map((text) => {
    const [, list = ""] = /doneWith[^=]* = \[([^\]]+)\]/.exec(text) ?? [];
    return Array.from(list.matchAll(/"(\w+)"/g), ([, reason]) => reason).sort();
  });
  assert.deepEqual(lists, [finished, finished], "in Swift and in TypeScript");
});

Deno.test("the statements of docs/purchases.md run", async () => {
  const statements = Array.from(
    purchases.text.matchAll(/^( *)```sql\n(.*?)^\1```$/gms),
    ([, , text = ""]) => text,
  );
  assert(statements.length > 2);
  await using database = await cloneTemplate();
  await withConnection(database.url, (sql) =>
    rolledBack(sql, async (sql) => {
      for (const statement of statements) {
        const { count, command } = await sql.unsafe(statement);
        assert(count > 0 || command === "SELECT", statement);
      }
    }));
});

Deno.test("every command of `deno task store` that a document names is one", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "local/store.ts", "--help"],
    cwd: root,
  }).output();
  const known = Array.from(
    new TextDecoder().decode(stdout).matchAll(/^ {2}([a-z-]+)(?= |$)/gm),
    ([, name]) => name,
  );
  const tour = await readDocument("docs/tour.md");
  const named = [purchases, tour].flatMap(({ text }) =>
    Array.from(text.matchAll(/\btask store ([a-z-]+)/g), ([, name]) => name).filter((name) =>
      name !== "--help"
    )
  );
  assert(named.length > 5);
  assert.deepEqual(named.filter((name) => !known.includes(name)), []);
});
