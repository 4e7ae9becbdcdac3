/** What was away, as long as it matters to anybody. */
import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { createAdmin } from "../support/admins.ts";
import { first, type Sql } from "../support/ledger.ts";

async function away(sql: Sql): Promise<string[]> {
  const rows = await sql<{ subject: string }[]>`
    select i.subject from ops.incidents as i where i.ended_at is null order by i.subject`;
  return rows.map(({ subject }) => subject);
}

Deno.test("a provider that the operator does not use is not away, and one that is used again is as it is", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`update videos.providers set breaker = 'open', opened_at = core.now(), failures = 5 where name = 'fal'`;
  assert.deepEqual(await away(sql), ["provider fal"]);
  await sql`update videos.providers set is_enabled = false where name = 'fal'`;
  assert.deepEqual(await away(sql), []);
  await sql`update videos.providers set is_enabled = true where name = 'fal'`;
  assert.deepEqual(await away(sql), ["provider fal"]);
  await sql`update videos.providers set breaker = 'closed', failures = 0 where name = 'fal'`;
  assert.deepEqual(await away(sql), []);
  const { length } = await sql`select from ops.incident_log as i where i.subject = 'provider fal'`;
  assert.equal(length, 2);
});

Deno.test("an admin is shown what is still away, however much was away since", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`select ops.begin_incident('provider fal', 'it began long ago')`;
  await sql`
    insert into ops.incidents (subject, began_at, ended_at, cause)
    select 'provider replicate', core.now(), core.now(), 'a short one' from generate_series(1, 30)`;
  const admin = await createAdmin(sql);
  const { answer } = await first(sql<{ answer: { data: { incidents: { subject: string }[] } } }[]>`
    select api.get_admin_alerts(${admin}, 20) as answer`);
  const { incidents } = answer.data;
  assert.deepEqual([incidents.length, incidents.at(-1)?.subject], [21, "provider fal"]);
});

Deno.test("who took an incident's jobs is asked of its own provider's submissions, and not of all that there ever were", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const rows = await sql<{ "QUERY PLAN": string }[]>`
    explain (costs off) select l.* from ops.incident_log as l order by l.id desc limit 20`;
  const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
  assert.match(plan, /Index Cond: \(\(provider = "?substring"?\(/);
});
