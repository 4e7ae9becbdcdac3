/** pgledger's own SQL (github.com/pgr0ss/pgledger), which whoever compares fetches by hand: it is no part of this repository. */
import type postgres from "postgres";

/** In the order that its README gives. */
const files = [
  "vendor/scoville-pgsql-ulid/ulid-to-uuid.sql",
  "vendor/scoville-pgsql-ulid/uuid-to-ulid.sql",
  "pgledger.sql",
];

/** Loads its checkout `folder` into the empty database, makes so many accounts, and gives a transfer between two of them. */
export async function pgledgerTransfers(
  sql: postgres.Sql,
  folder: string,
  accounts: number,
): Promise<() => Promise<unknown>> {
  for (const file of files) await sql.file(`${folder}/${file}`);
  const rows = await sql<{ id: string }[]>`
    select a.id from generate_series(1, ${accounts}::int) as n, pgledger_create_account('user.' || n, 'CREDITS') as a`;
  const any = () => rows[Math.floor(Math.random() * rows.length)]?.id ?? "";
  return () => {
    const from = any();
    let to = any();
    while (to === from) to = any();
    return sql`select * from pgledger_create_transfer(${from}, ${to}, 4)`;
  };
}
