/** No procedure has an UPDATE or a DELETE of every row: the platform's `safeupdate` refuses it, whoever calls. */
import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { cloneTemplate } from "../database/harness.ts";
import { statementsWithoutWhere } from "./statements.ts";

/** Whatever is not Postgres' or the platform's is ours. */
const foreign = "^(pg_.*|information_schema|auth|storage|realtime|extensions|supabase_migrations)$";

Deno.test("no function of ours updates or deletes every row", async () => {
  await using database = await cloneTemplate();
  const functions = await withConnection(database.url, (sql) =>
    sql<{ name: string; definition: string }[]>`
      select format('%s.%s', n.nspname, p.proname) as name, pg_get_functiondef(p.oid) as definition
      from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
      where n.nspname !~ ${foreign} and p.prokind in ('f', 'p')
      order by 1`);
  assert.ok(functions.length > 0);
  const found: string[] = [];
  for (const { name, definition } of functions) {
    for (const statement of await statementsWithoutWhere(definition)) found.push(`${name}: ${statement}`);
  }
  assert.deepEqual(found, [], "write `where true` if every row is meant");
});

/** A PL/pgSQL function with this body. */
function plpgsql(body: string, declarations = "", returns = "void"): string {
  return `create function planted() returns ${returns} language plpgsql set search_path to '' as $function$
    declare ${declarations} begin ${body} end; $function$`;
}

function sql(body: string): string {
  return `create function planted() returns void language sql as $$ ${body} $$`;
}

/** Functions, each with a fault of its own, and the fault. */
const planted: Record<string, [definition: string, fault: string]> = {
  "an update": [plpgsql("update a.b as c set d = c.d + 1;"), "UPDATE a.b c SET d = c.d + 1"],
  "a delete": [plpgsql("delete from a.b;"), "DELETE FROM a.b"],
  "in a CTE": [
    plpgsql("return query with gone as (delete from a.b returning *) select * from gone;", "", "setof int"),
    "DELETE FROM a.b RETURNING *",
  ],
  "in a CTE of a statement that has a WHERE": [
    plpgsql(
      "with gone as (delete from a.b returning c) update a.d set e = 1 where f in (select c from gone);",
    ),
    "DELETE FROM a.b RETURNING c",
  ],
  "in a branch": [plpgsql("if true then null; else delete from a.b; end if;"), "DELETE FROM a.b"],
  "in a loop": [
    plpgsql("for r in update a.b set c = 1 returning * loop null; end loop;", "r record;"),
    "UPDATE a.b SET c = 1 RETURNING *",
  ],
  "in a handler of exceptions": [
    plpgsql("null; exception when others then delete from a.b;"),
    "DELETE FROM a.b",
  ],
  "in a cursor": [
    plpgsql("open c;", "c cursor for with d as (delete from a.b returning *) select * from d;"),
    "DELETE FROM a.b RETURNING *",
  ],
  "in the function of a trigger": [
    plpgsql("update a.b set c = new.c; new.d := 1; return new;", "", "trigger"),
    "UPDATE a.b SET c = new.c",
  ],
  "beside an assignment to a row's field": [
    plpgsql("v_row.c := 1; delete from a.b;", "v_row a.b; v_other constant a.b%rowtype := v_row;"),
    "DELETE FROM a.b",
  ],
  "in EXECUTE": [plpgsql("execute 'delete from a.b';"), "DELETE FROM a.b"],
  "in EXECUTE of a loop": [
    plpgsql("for r in execute 'delete from a.b returning *' loop null; end loop;", "r record;"),
    "DELETE FROM a.b RETURNING *",
  ],
  "in EXECUTE of a format": [
    plpgsql("execute format('update a.%I set %I = %L', t, c, v) using 1;", "t text; c text; v text;"),
    "UPDATE a.x SET x = 'x'",
  ],
  "in EXECUTE of what is joined": [
    plpgsql("execute 'delete from ' || quote_ident(t);", "t text;"),
    "DELETE FROM x",
  ],
  "in EXECUTE of what is no whole statement": [
    plpgsql("execute 'delete from a.b returning (' || c;", "c text;"),
    "delete from a.b returning (x",
  ],
  "in a text that is run later": [
    plpgsql("v := 'delete from a.b'; execute v;", "v text;"),
    "DELETE FROM a.b",
  ],
  "in a job of pg_cron": [
    plpgsql("perform cron.schedule('j', '* * * * *', 'delete from a.b');"),
    "DELETE FROM a.b",
  ],
  "in SQL": [sql("select 1; delete from a.b"), "DELETE FROM a.b"],
  "in a bound body": [
    "create function planted() returns void begin atomic select 1; update a.b set c = 1; end",
    "UPDATE a.b SET c = 1",
  ],
  "in a procedure": [
    "create procedure planted() language plpgsql as $$ begin delete from a.b; commit; end $$",
    "DELETE FROM a.b",
  ],
};

for (const [where, [definition, fault]] of Object.entries(planted)) {
  Deno.test(`an update or delete of every row is found: ${where}`, async () => {
    assert.deepEqual(await statementsWithoutWhere(definition), [fault]);
  });
}

Deno.test("what has a WHERE, or is no statement, is not found", async () => {
  const harmless = [
    plpgsql("update a.b set c = 1 where true; delete from a.b where c = 1;"),
    plpgsql("insert into a.b (c) values (1) on conflict (c) do update set c = 2;"),
    plpgsql("merge into a.b using a.d on b.c = d.c when matched then delete;"),
    plpgsql("execute format('delete from a.%I where c = $1', t) using 1;", "t text;"),
    plpgsql("execute 'delete from a.b where ' || c;", "c text;"),
    plpgsql(
      "-- delete from a.b;\nraise exception 'delete from %', v using hint = 'update it, delete-it';",
      "v text;",
    ),
    plpgsql("select c.d into strict v from a.b as c for update;", "v int;"),
    sql("update a.b set c = 1 from a.d where d.e = b.e"),
    "create function planted() returns int return (select 1)",
  ];
  for (const definition of harmless) {
    assert.deepEqual(await statementsWithoutWhere(definition), [], definition);
  }
});

Deno.test("a function that the parser cannot read fails the check, rather than passing it", async () => {
  await assert.rejects(
    statementsWithoutWhere(plpgsql("delete frm a.b;")),
    /cannot read this function|syntax error/,
  );
});
