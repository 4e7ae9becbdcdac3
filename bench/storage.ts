/** Bytes that work leaves in the database: heap and indexes by table, and WAL. */
import type postgres from "postgres";
import type { Table } from "./report.ts";

export interface Stored {
  /** In the table and its TOAST. */
  readonly heap: number;
  readonly index: number;
  readonly updates: number;
  /** Updates that touched no index and stayed on their page. */
  readonly hotUpdates: number;
}

export interface Snapshot {
  readonly tables: ReadonlyMap<string, Stored>;
  readonly walBytes: number;
  readonly walRecords: number;
}

/** As it is now: what is counted with a delay was waited for. */
export async function snapshot(sql: postgres.Sql): Promise<Snapshot> {
  await sql`select pg_stat_force_next_flush()`;
  await sql`select pg_stat_clear_snapshot()`;
  const rows = await sql<(Stored & { name: string })[]>`
    select t.schemaname || '.' || t.relname as name, pg_table_size(t.relid)::float as heap,
      pg_indexes_size(t.relid)::float as index, t.n_tup_upd::float as updates, t.n_tup_hot_upd::float as "hotUpdates"
    from pg_stat_user_tables as t where t.schemaname <> 'supabase_migrations'`;
  const [wal] = await sql<{ bytes: number; records: number }[]>`
    select w.wal_bytes::float as bytes, w.wal_records::float as records from pg_stat_wal as w`;
  return {
    tables: new Map(rows.map(({ name, ...stored }) => [name, stored])),
    walBytes: wal?.bytes ?? NaN,
    walRecords: wal?.records ?? NaN,
  };
}

const nothing: Stored = { heap: 0, index: 0, updates: 0, hotUpdates: 0 };

/** What `count` pieces of work between two snapshots have left, each. */
export function difference(before: Snapshot, after: Snapshot, count: number): Snapshot {
  const tables = Array.from(after.tables, ([name, now]): [string, Stored] => {
    const then = before.tables.get(name) ?? nothing;
    return [name, {
      heap: (now.heap - then.heap) / count,
      index: (now.index - then.index) / count,
      updates: (now.updates - then.updates) / count,
      hotUpdates: (now.hotUpdates - then.hotUpdates) / count,
    }];
  });
  return {
    tables: new Map(tables),
    walBytes: (after.walBytes - before.walBytes) / count,
    walRecords: (after.walRecords - before.walRecords) / count,
  };
}

/** Heap and indexes together. */
export function bytesOf({ tables }: Snapshot): number {
  return [...tables.values()].reduce((sum, { heap, index }) => sum + heap + index, 0);
}

const whole = (value: number) => Math.round(value).toLocaleString("en");

/** By table, the largest first. */
export function tableOfStored(title: string, stored: Snapshot): Table {
  const rows = [...stored.tables]
    .filter(([, { heap, index, updates }]) => heap + index > 0 || updates >= 0.05)
    .sort(([, a], [, b]) => b.heap + b.index - a.heap - a.index);
  return {
    title,
    header: ["", "heap", "index", "updates", "of them HOT"],
    rows: [
      ...rows.map(([name, { heap, index, updates, hotUpdates }]) => [
        name,
        whole(heap),
        whole(index),
        updates.toFixed(1),
        updates < 0.05 ? "" : `${Math.round(100 * hotUpdates / updates)} %`,
      ]),
      ["together", whole(bytesOf(stored)), "", "", ""],
      [`WAL: ${whole(stored.walBytes)} bytes in ${whole(stored.walRecords)} records`, "", "", "", ""],
    ],
  };
}
