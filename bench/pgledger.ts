/** pgledger's own SQL (github.com/pgr0ss/pgledger), which whoever compares fetches by hand: it is no part of this repository. */
import type postgres from "postgres";

/** Loads `file` into the empty database, makes so many accounts, and gives a transfer between two of them. */
export async function pgledgerTransfers(
  sql: postgres.Sql,
  file: string,
  accounts: number,
): Promise<() => Promise<unknown>> {
  await sql.file(file);
  const rows = await sql<{ id: string }[]>`
    select (pgledger_create_account('user.' || n, 'CREDITS')).id as id from generate_series(1, ${accounts}::int) as n`;
  const any = () => rows[Math.floor(Math.random() * rows.length)]?.id ?? "";
  return () => {
    const from = any();
    let to = any();
    while (to === from) to = any();
    return sql`select * from pgledger_create_transfer(${from}, ${to}, 4)`;
  };
}
