/** `deno task screenshots`: has the test that takes the pictures of docs/operations/console.md write them. */
import { readArguments } from "../local/arguments.ts";
import { screenshotsVariable } from "../tests/browser/support/screenshots.ts";

readArguments(
  `deno task screenshots

Writes the pictures of docs/operations/console.md anew, as a test takes them of a small project. It needs a Chromium.`,
  { options: {} },
);

const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", new URL("../tests/run.ts", import.meta.url).href, "browser/screenshots"],
  env: { [screenshotsVariable]: "1" },
  stdout: "inherit",
  stderr: "inherit",
}).output();
Deno.exit(code);
