const functions = new URL("../../supabase/functions/", import.meta.url);

/** The endpoints' names: the folders of supabase/functions whose name does not start with `_`. */
export async function endpointNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(functions)) {
    if (isDirectory && !name.startsWith("_")) names.push(name);
  }
  return names.sort();
}
