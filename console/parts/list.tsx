/** One of several lists that came in one answer: it has nothing to load by itself. */
import { useId } from "preact/hooks";
import { type Column, Table } from "./table.tsx";

interface ListProps<Row> {
  title: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** Shown where there is no row. */
  none: string;
}

export function List<Row>({ title, none, ...table }: ListProps<Row>) {
  const id = useId();
  return (
    <section class="panel" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {table.rows.length === 0 ? <p class="empty">{none}</p> : <Table caption={title} {...table} />}
    </section>
  );
}
