/**
 * The TypeScript types of the database, made from the migrated schema.
 */
import { supabase } from "../../local/supabase-cli.ts";
import type { FromDatabase } from "./written.ts";

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
  const formatter = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext=ts", "-"],
    cwd: new URL("../..", import.meta.url),
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  await new Response(text).body?.pipeTo(formatter.stdin);
  const { success, stdout } = await formatter.output();
  if (!success) throw new Error("The generated types cannot be formatted");
  return new TextDecoder().decode(stdout);
}
