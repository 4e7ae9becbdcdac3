/** The file of all that is kept of a person: how it is written, page by page, and shown to them. */
import * as z from "zod/mini";
import type { Database } from "../database/call.ts";
import type { Logger } from "../platform/logger.ts";
import type { Storage } from "../platform/storage.ts";
import type { AccountExport, StoredExport } from "./contract.ts";

/** Whoever has the URL has the file. */
const urlSeconds = 10 * 60;

/** The export with a new URL. A storage that does not answer only leaves the URL out. */
export async function shownExport(
  { path, ...shown }: StoredExport,
  { storage, log }: { storage: Pick<Storage, "sign">; log: Logger },
): Promise<AccountExport> {
  if (path === null) return { ...shown, url: null };
  try {
    const [url = null] = await storage.sign([path], urlSeconds);
    return { ...shown, url };
  } catch (error) {
    log.warn("export_not_signed", { error });
    return { ...shown, url: null };
  }
}

/** `text`: objects of JSON with commas between them; `next`: where the next page begins, null at the end. */
const Page = z.object({ text: z.string(), next: z.nullable(z.array(z.string())) });

/** What of an export is where. */
export interface ExportSource {
  readonly exportId: string;
  readonly userId: string;
  readonly tables: readonly string[];
}

/** One object of JSON: a list for `videos`, and one for each table. A page of one is held at a time. */
export async function* exportText(
  { exportId, userId, tables }: ExportSource,
  database: Database,
): AsyncGenerator<string, void, undefined> {
  yield `{"user_id":${JSON.stringify(userId)}`;
  for (const table of ["videos", ...tables]) {
    yield `,\n${JSON.stringify(table)}:[`;
    let after: string[] | null = null;
    let isFirst = true;
    do {
      const args = { p_export_id: exportId, p_table: table, ...(after === null ? {} : { p_after: after }) };
      const page: z.infer<typeof Page> = await database.call("load_export_page", args, Page);
      if (page.text !== "") yield isFirst ? page.text : `,\n${page.text}`;
      isFirst &&= page.text === "";
      after = page.next;
    } while (after !== null);
    yield "]";
  }
  yield "}\n";
}
