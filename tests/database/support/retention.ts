/** The rules of retention, as the tests run them. */
import { first, type Sql } from "./ledger.ts";

/** Runs one rule now, due or not, and gives how much went. */
export async function sweepRule(sql: Sql, rule: string): Promise<number> {
  const { swept } = await first(sql<{ swept: number }[]>`
    select ops.sweep_rule(r) as swept from ops.retention_rules as r where r.name = ${rule}`);
  return swept;
}
