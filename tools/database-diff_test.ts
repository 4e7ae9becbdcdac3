import assert from "node:assert/strict";
import { fileName, migrationOf, requestOf } from "./database-diff.ts";

Deno.test("the arguments are a name, in words, and the drops that are allowed", () => {
  assert.deepEqual(requestOf(["add-nickname"], []), { name: "add_nickname", allowedDrops: [] });
  assert.deepEqual(requestOf(["a_b1"], ["credits.lots"]), { name: "a_b1", allowedDrops: ["credits.lots"] });
});

for (
  const [args, message] of [
    [[], /One name is needed/],
    [["one", "two"], /One name is needed/],
    [["Add"], /lower-case words/],
    [["../add"], /lower-case words/],
    [["add__twice"], /lower-case words/],
    [["reference-rows"], /changes rows alone/],
    [["rows"], /changes rows alone/],
  ] as const
) {
  Deno.test(`a migration named "${args.join(" ")}" is refused`, () => {
    assert.throws(() => requestOf(args, []), { message });
  });
}

Deno.test("the file says how it was made, and what it drops", () => {
  const request = { name: "less", allowedDrops: ["credits.lots"] };
  const text = migrationOf({ sql: 'DROP TABLE "credits"."lots";\n', drops: ["credits.lots"] }, request);
  assert.match(
    text,
    /^-- Written by `deno task db:diff less`, and to be reviewed: .*\n-- Drops credits\.lots, with --allow-drop\.\n\nDROP TABLE/,
  );
});

Deno.test("what is dropped must be allowed, and what is allowed must be dropped", () => {
  const plan = { sql: "…", drops: ["credits.lots", "ops.flags.rules"] };
  assert.throws(
    () => migrationOf(plan, { name: "less", allowedDrops: ["ops.flags"] }),
    /lose what is in credits\.lots, ops\.flags\.rules\./,
  );
  assert.throws(
    () => migrationOf(plan, { name: "less", allowedDrops: [...plan.drops, "ops.flags"] }),
    /does not drop ops\.flags$/,
  );
});

Deno.test("the file comes after those that are there", () => {
  const now = new Date("2026-12-01T09:08:07.654Z");
  assert.equal(fileName("more", now, ["20261201090806_less.sql"]), "20261201090807_more.sql");
  assert.equal(fileName("more", now, []), "20261201090807_more.sql");
  assert.throws(() => fileName("more", now, ["20261201090808_less.sql"]), /before 20261201090808_less/);
});
