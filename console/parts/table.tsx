/** Rows with named columns, which can be scrolled where the screen is narrow. */
import type { ComponentChildren } from "preact";

export interface Column<Row> {
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** Numbers stand below each other. */
  isNumber?: boolean;
}

interface TableProps<Row> {
  /** What the rows are, for whoever does not see them. */
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** Of a list with further pages. */
  more?: (() => void) | undefined;
}

export function Table<Row>({ caption, columns, rows, rowKey, more }: TableProps<Row>) {
  return (
    <>
      <div class="scrolled" role="region" aria-label={caption} tabIndex={0}>
        <table>
          <caption class="unseen">{caption}</caption>
          <thead>
            <tr>
              {columns.map(({ title, isNumber }) => (
                <th key={title} scope="col" class={isNumber ? "number" : undefined}>{title}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={rowKey(row)}>
                {columns.map(({ title, cell, isNumber }, index) =>
                  index === 0
                    ? <th key={title} scope="row">{cell(row)}</th>
                    : <td key={title} class={isNumber ? "number" : undefined}>{cell(row)}</td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {more && <button type="button" onClick={more}>More</button>}
    </>
  );
}
