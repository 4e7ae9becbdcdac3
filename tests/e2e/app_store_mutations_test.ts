/** What the App Store signed, with one thing changed, on the Deno of this machine and on the platform's. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { runs } from "../runs.ts";

const program = fileURLToPath(new URL("support/mutated-signatures.ts", import.meta.url));
const count = String(runs(200, 3_000));

const versions: [string, string[], RegExp][] = [
  ["this machine's", ["run", "-A", "--no-check", program, count], /^2\.9\./],
  [
    "the platform's",
    [
      ...["task", "--quiet", "platform-deno", "run", "--no-check", "--no-lock", "--node-modules-dir=none"],
      ...["--allow-read", program, count],
    ],
    /^2\.1\.4$/,
  ],
];

for (const [name, args, expected] of versions) {
  Deno.test(`no mutation of a signature, a certificate or a payload is believed, on ${name} Deno`, async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, stdin: "null" })
      .output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const { believed, reasons, valid, version } = JSON.parse(new TextDecoder().decode(stdout));
    assert.match(version, expected);
    assert.deepEqual(believed, []);
    assert.deepEqual(reasons, ["invalid_signature"], "and none is refused for another reason");
    assert(valid, "what was not changed is believed");
  });
}
