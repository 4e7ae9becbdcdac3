/** Folders that hold nothing of the project's own. */
const foreign = new Set(["node_modules", ".git", ".kinora", ".temp"]);

/** The paths of all files of the project at `root`, relative to it and sorted. */
export async function listFiles(root: URL, folder = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(new URL(folder, root))) {
    if (foreign.has(name)) continue;
    if (isDirectory) found.push(...await listFiles(root, `${folder}${name}/`));
    if (isFile) found.push(folder + name);
  }
  return found.sort();
}
