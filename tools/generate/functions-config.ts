/** The function blocks of supabase/config.toml, which the Supabase CLI wants to have said for each folder. */

export const configFile = new URL("../../supabase/config.toml", import.meta.url);

const head =
  "# Made from the folders of supabase/functions by `deno task generate`, down to the end of the file.\n";

/** config.toml with a block for each endpoint. Throws where it has no place for them. */
export function functionsConfigOf(text: string, names: readonly string[]): string {
  const from = text.indexOf(head);
  if (from === -1) throw new Error(`supabase/config.toml has no line ${head}`);
  const blocks = names.map((name) =>
    `\n[functions.${name}]\nverify_jwt = false\nimport_map = "../import_map.json"\n`
  );
  return text.slice(0, from) + head + blocks.join("");
}
