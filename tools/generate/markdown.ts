/** Making parts of documents that people write otherwise. */

/** The text with what stands in its generated parts made anew. Throws where it has no place for one. */
export function replaceParts(text: string, parts: Readonly<Record<string, string>>): string {
  return Object.entries(parts).reduce((document, [name, content]) => {
    const [start, end] = [`<!-- generated: ${name} -->\n`, `<!-- end -->\n`];
    const from = document.indexOf(start) + start.length;
    const to = document.indexOf(end, from);
    if (from < start.length || to === -1) throw new Error(`The document has no part ${name}`);
    return document.slice(0, from) + content + document.slice(to);
  }, text);
}

/** The lines of a table, with an empty one after it. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line), ""];
}
