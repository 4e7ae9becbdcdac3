/** Whether statements find their rows by an index, or read whole tables. */
import type postgres from "postgres";

/** How often this session has read each of these tables as a whole, as far as its statistics are not yet handed in. */
async function scans(sql: postgres.TransactionSql, tables: readonly string[]): Promise<Map<string, number>> {
  const rows = await sql<{ name: string; scans: number }[]>`
    select format('%s.%s', schemaname, relname) as name, seq_scan::int as scans from pg_stat_xact_user_tables`;
  const found = new Map(rows.map(({ name, scans }) => [name, scans]));
  for (const table of tables) if (!found.has(table)) throw new Error(`There is no table ${table}`);
  return found;
}

/** Those of the tables that the statements read as a whole; what they do is undone. */
export async function readAsAWhole(
  sql: postgres.Sql,
  tables: readonly string[],
  statements: readonly string[],
): Promise<string[]> {
  let whole: string[] = [];
  const undone = new Error("This was only a look");
  await sql.begin(async (sql) => {
    const before = await scans(sql, tables);
    for (const statement of statements) await sql.unsafe(statement);
    const after = await scans(sql, tables);
    whole = tables.filter((table) => after.get(table) !== before.get(table));
    throw undone;
  }).catch((error) => {
    if (error !== undone) throw error;
  });
  return whole;
}
