import { fileURLToPath } from "node:url";

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
