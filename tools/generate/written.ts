/** What a generated file is, and writing one. */
import { fileURLToPath } from "node:url";
import type postgres from "postgres";

/** A file that is made from a migrated database, all of it or a part. */
export interface FromDatabase {
  readonly file: URL;
  /** The whole text, by what stands there now. Throws where that has no place for a part. */
  make(database: { readonly sql: postgres.Sql; readonly url: string }, before: string): Promise<string>;
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Writes a generated file where its text differs, and says so: a run that changes nothing prints nothing. */
export async function writeGenerated(file: URL, text: string): Promise<void> {
  const path = fileURLToPath(file);
  const before = await Deno.readTextFile(path).catch(() => null);
  if (before === text) return;
  await Deno.mkdir(new URL(".", file), { recursive: true });
  await Deno.writeTextFile(path, text);
  console.log(`${before === null ? "made" : "changed"} ${path.slice(root.length)}`);
}
