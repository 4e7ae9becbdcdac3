/** The repository's documents, as tests read them. */
import { listFiles } from "../files.ts";

export const root = new URL("../../", import.meta.url);

export interface Document {
  /** From the repository's root. */
  readonly path: string;
  readonly text: string;
}

export async function readDocument(path: string): Promise<Document> {
  return { path, text: await Deno.readTextFile(new URL(path, root)) };
}

/** Every Markdown file of the repository. */
export async function readDocuments(): Promise<Document[]> {
  const paths = (await listFiles(root)).filter((path) => path.endsWith(".md"));
  return await Promise.all(paths.map(readDocument));
}

/** The contents of the fenced blocks of a language, in their order. */
export function fences({ text }: Document, language: string): string[] {
  return Array.from(text.matchAll(/^```(\w*)\n(.*?)^```$/gms))
    .filter(([, name]) => name === language)
    .map(([, , content = ""]) => content);
}

/** The rows of the table whose first heading is `heading`, without its head: the cells' text, without backticks. */
export function tableRows({ path, text }: Document, heading: string): string[][] {
  const [, rows] = new RegExp(`^\\| *${heading} *\\|.*\\n\\|[-| ]+\\|\\n((?:\\|.*\\n)+)`, "m").exec(text) ??
    [];
  if (rows === undefined) throw new Error(`${path} has no table that begins with ${heading}`);
  return rows.trimEnd().split("\n").map((row) =>
    row.slice(1, -1).split("|").map((cell) => cell.trim().replaceAll("`", ""))
  );
}
