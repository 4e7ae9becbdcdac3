/** What may be kept of answers, held against every declaration, the privacy classes and the procedures. */
import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { cacheControlOf } from "../../supabase/functions/_shared/endpoint/answer-memory.ts";
import type { CachePolicy } from "../../supabase/functions/_shared/endpoint/operation.ts";
import { fakeDataApi } from "../../supabase/functions/_shared/testing/data-api.ts";
import { testServer } from "../../supabase/functions/_shared/testing/server.ts";
import { createAdmin, createCustomer } from "../database/support/admins.ts";
import { cloneTemplate } from "../database/harness.ts";
import { first, rolledBack, type Sql } from "../database/support/ledger.ts";
import { allOperations, type Operation } from "../operations.ts";
import { documentations } from "./generate-openapi.ts";
import { readDocument, tableRows } from "./documents.ts";

type Cached = Operation & { readonly cache: CachePolicy };
const isCached = (operation: Operation): operation is Cached => operation.cache !== undefined;
const cached = allOperations.filter(isCached);
const documented = await documentations();

/** Where a procedure asks who calls; all that it reads is about them, and none of it is in the answer's data. */
const asksWhoCalls = ["guard.enter", "guard.answer", "guard.refusal"];

/** The tables that a procedure reads or writes, by its source and that of all functions that it calls, but for asking who calls. */
async function tablesOf(sql: Sql, procedure: string): Promise<string[]> {
  const sources = new Map((await sql<{ name: string; source: string }[]>`
    select format('%s.%s', n.nspname, p.proname) as name,
      string_agg(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), ' ') as source
    from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    group by 1`).map(({ name, source }) => [name, source]));
  const tables = new Set((await sql<{ name: string }[]>`
    select format('%s.%s', n.nspname, c.relname) as name from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'v', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`).map((
    { name },
  ) => name));
  const found = new Set<string>();
  const seen = new Set<string>(asksWhoCalls);
  const look = (name: string) => {
    if (seen.has(name)) return;
    seen.add(name);
    const text = (sources.get(name) ?? "").replaceAll(/--.*$/gm, "");
    for (const [word] of text.matchAll(/\b[a-z_]+\.[a-z_]+\b/g)) {
      if (tables.has(word)) found.add(word);
      if (sources.has(word)) look(word);
    }
  };
  look(procedure);
  return [...found].sort();
}

/** Those that may hold something about a person. */
async function personal(sql: Sql, tables: readonly string[]): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select t.name from unnest(${tables}::text[]) as t (name)
    where exists (select from accounts.personal_tables as p where p.relation = t.name)
      or not exists (
        select from accounts.privacy_classes as c
        where c.relation = t.name and c.column_name = '*' and c.class = 'kept' and c.withheld is null
      )`;
  return rows.map(({ name }) => name);
}

Deno.test("only what is the same for everybody may be kept: a GET without input, of tables that are about nobody", async () => {
  assert(cached.length >= 2);
  await using database = await cloneTemplate();
  await withConnection(database.url, async (sql) => {
    for (const { operation, method, auth, query, request, rawBody, idempotencyKey, procedure } of cached) {
      assert.deepEqual([method, auth, query, request, rawBody, idempotencyKey], [
        "GET",
        "user",
        undefined,
        undefined,
        undefined,
        undefined,
      ], operation);
      const tables = await tablesOf(sql, `api.${procedure}`);
      assert(tables.length > 0, operation);
      assert.deepEqual(await personal(sql, tables), [], `${operation} reads what may be about somebody`);
    }
    // The same look finds what everything else reads.
    for (
      const what of [
        "GET credits",
        "GET video-jobs",
        "GET user-profile",
        "GET notifications",
        "POST generate-video",
      ]
    ) {
      const operation = allOperations.find(({ operation }) => operation === what);
      assert(operation !== undefined && !isCached(operation), what);
      assert.notDeepEqual(await personal(sql, await tablesOf(sql, `api.${operation.procedure}`)), [], what);
    }
  });
});

Deno.test("what may be kept is the same for everybody, whoever asks and whatever they are", async () => {
  await using database = await cloneTemplate();
  await withConnection(database.url, (sql) =>
    rolledBack(sql, async (sql) => {
      await sql`
        insert into purchases.products (product_id, kind, name, description, credits)
        values ('com.example.kinora.test', 'consumable', 'A pack', 'Of credits', 10)`;
      const rich = await createCustomer(sql, 500);
      await sql`update accounts.users set language = 'tr', display_name = 'Ada' where id = ${rich}`;
      const callers = [rich, await createCustomer(sql), await createAdmin(sql)];
      for (const { operation, procedure } of cached) {
        const answers = [];
        for (const userId of callers) {
          const { data } = await first(sql<{ data: unknown }[]>`
            select ${sql(`api.${procedure}`)}(${userId}) -> 'data' as data`);
          answers.push(JSON.stringify(data));
          for (const id of callers) assert(!answers[0]?.includes(id), operation);
        }
        assert.equal(new Set(answers).size, 1, operation);
        assert((answers[0] ?? "").length > 50, operation);
      }
    }));
});

/** The endpoint, with a database that answers with the documentation's example, or is away. */
async function serve({ name, procedure }: Cached) {
  const data = documented.get(name)?.GET?.responses?.[200];
  let isAway = false;
  const { fetch, calls } = fakeDataApi({
    [procedure]: () => isAway ? Promise.reject(new TypeError("connection refused")) : { data },
  });
  const server = await testServer(allOperations.filter((operation) => operation.name === name), {}, {
    fetch,
  });
  return {
    calls,
    clock: server.clock,
    send: (headers: Record<string, string> = {}) => server.send({ path: name, headers }),
    stranger: () => server.send({ path: name, as: "nobody" }),
    setAway: (away: boolean) => isAway = away,
  };
}

for (const operation of cached) {
  const { maxAgeSeconds, staleIfErrorSeconds } = operation.cache;
  const second = 1000;

  Deno.test(`${operation.operation}: a hundred at once cost one call, and so does each of its ages`, async () => {
    const { calls, clock, send } = await serve(operation);
    for (const round of [1, 2, 3]) {
      const answers = await Promise.all(Array.from({ length: 100 }, () => send()));
      for (const { status, headers } of answers) {
        assert.deepEqual([status, headers.get("cache-control")], [200, cacheControlOf(operation.cache)]);
      }
      assert.equal(calls.length, round);
      clock.advance(maxAgeSeconds * second - 1);
      const { headers } = await send();
      assert.equal(headers.get("age"), `${maxAgeSeconds - 1}`);
      assert.equal(headers.get("cache-status"), "kinora; hit; ttl=1");
      assert.equal(calls.length, round);
      clock.advance(1);
    }
  });

  Deno.test(`${operation.operation}: while the database is away it answers as its policy says, and says so`, async () => {
    const { calls, clock, send, stranger, setAway } = await serve(operation);
    const etag = (await send()).headers.get("etag");
    setAway(true);
    clock.advance(maxAgeSeconds * second);
    const stale = await send();
    assert.deepEqual([stale.status, stale.headers.get("age"), stale.headers.get("etag")], [
      200,
      `${maxAgeSeconds}`,
      etag,
    ]);
    assert.match(
      stale.headers.get("cache-control") ?? "",
      new RegExp(`\\bstale-if-error=${staleIfErrorSeconds}$`),
    );
    assert.equal((await send({ "if-none-match": etag ?? "" })).status, 304);
    assert.equal((await stranger()).status, 401, "whoever has no valid token is given nothing");
    clock.advance(staleIfErrorSeconds * second - 1);
    const last = await send();
    const age = maxAgeSeconds + staleIfErrorSeconds - 1;
    assert.deepEqual([last.status, last.headers.get("age"), last.headers.get("cache-status")], [
      200,
      `${age}`,
      `kinora; hit; ttl=${maxAgeSeconds - age}`,
    ]);
    clock.advance(2 * second);
    const refused = await send();
    assert.deepEqual([refused.status, refused.headers.get("cache-control")], [503, "no-store"]);
    setAway(false);
    const asked = calls.length;
    const back = await send();
    assert.deepEqual([back.status, back.headers.get("age"), calls.length], [200, null, asked + 1]);
  });
}

Deno.test("docs/caching.md says each policy, and no other", async () => {
  const rows = tableRows(await readDocument("docs/caching.md"), "read");
  assert.deepEqual(
    rows.map(([read, age, stale]) => [read, age, stale]).sort(),
    cached.map((
      { operation, cache },
    ) => [operation, `${cache.maxAgeSeconds} s`, `${cache.staleIfErrorSeconds} s`]).sort(),
  );
});
