/**
 * The TypeScript types of the database, made from the migrated schema.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { supabase } from "../../local/supabase-cli.ts";
import type { FromDatabase } from "./written.ts";

const root = new URL("../..", import.meta.url);

/** What of `api` the functions may call. */
export const databaseTypes: FromDatabase = {
  file: new URL("../../supabase/functions/_shared/database/database.types.ts", import.meta.url),
  async make({ url }) {
    const { code, stdout, stderr } = await supabase(
      ["gen", "types", "--lang=typescript", "--schema=api"],
      url,
    );
    if (code !== 0) throw new Error(`The CLI generated no types: ${stderr}`);
    return await format(stdout);
  },
};

async function format(text: string): Promise<string> {
  const formatting = promisify(execFile)(Deno.execPath(), ["fmt", "--ext=ts", "-"], { cwd: root });
  formatting.child.stdin?.end(text);
  return (await formatting).stdout;
}
