/** Flags of a database, for its operator. */
import type postgres from "postgres";
import type { FlagDefinition } from "./flagd.ts";

type Sql = postgres.Sql | postgres.TransactionSql;

/** Every flag, by its key. */
export async function readFlags(sql: Sql): Promise<FlagDefinition[]> {
  const rows = await sql<{ flag: FlagDefinition }[]>`
    select ops.flag_json(f) - 'version' as flag from ops.feature_flags as f order by f.key collate "C"`;
  return rows.map(({ flag }) => flag);
}

/** Makes the flag, or makes it so, and writes down why; true where it was otherwise. Throws for what no flag may be. */
export async function putFlag(sql: Sql, flag: FlagDefinition, reason: string): Promise<boolean> {
  const [row] = await sql<{ changed: boolean }[]>`
    select ops.put_flag(
      jsonb_populate_record(null::ops.feature_flags, ${
    sql.json(JSON.parse(JSON.stringify(flag)))
  }), null, ${reason}
    ) as changed`;
  return row?.changed === true;
}
