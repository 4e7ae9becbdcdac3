import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";

Deno.test("a model is makeable while one of its providers is configured, enabled and not given up", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const lacking = async (providers: string[] | null) => {
    const [row] = await sql<{ n: number }[]>`select videos.models_without_provider(${providers}) as n`;
    return row?.n;
  };
  const [models] = await sql<
    { n: number }[]
  >`select count(*)::int as n from videos.models as m where m.is_available`;
  assert.equal(await lacking(null), 0);
  assert.equal(await lacking([]), models?.n);
  await sql`update videos.providers set breaker = 'half_open'`;
  assert.equal(await lacking(null), 0, "it is being tried");
  for (const change of ["breaker = 'open'", "breaker = 'closed', is_enabled = false"]) {
    await sql.unsafe(`update videos.providers set ${change}`);
    assert.equal(await lacking(null), models?.n, change);
    await sql.unsafe("update videos.models set is_available = false");
    assert.equal(await lacking(null), 0, "what is not offered is missed by nobody");
    await sql.unsafe("update videos.models set is_available = true");
    await sql.unsafe("update videos.providers set is_enabled = true");
  }
});
