/** The browser that the tests drive: Debian's Chromium, which nothing downloads. */
import { type Browser, chromium } from "playwright-core";

/** Where it is; null where it is not. */
export const chromiumPath: string | null = await find();

async function find(): Promise<string | null> {
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    const { success, stdout } = await new Deno.Command("which", { args: [name] }).output()
      .catch(() => ({ success: false, stdout: new Uint8Array() }));
    if (success) return new TextDecoder().decode(stdout).trim();
  }
  return null;
}

export async function launch(): Promise<Browser> {
  if (chromiumPath === null) throw new Error("Chromium is not there: apt-get install chromium");
  return await chromium.launch({
    executablePath: chromiumPath,
    args: [
      // Tests run as root, and in containers with little shared memory.
      ...["--no-sandbox", "--disable-dev-shm-usage"],
      // What it looks up by itself has nothing to do with the page.
      ...[
        "--disable-background-networking",
        "--disable-component-update",
        "--safebrowsing-disable-auto-update",
      ],
    ],
  });
}
