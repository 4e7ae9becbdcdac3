/** `deno task new`, on a copy of the repository: what it makes is whole, and its tests say what is to be written. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { runs } from "../runs.ts";
import { fileURLToPath } from "node:url";
import { errorCodes } from "../../supabase/functions/_shared/errors/error-codes.ts";
import { changesOf, Refusal } from "../../tools/new.ts";
import { listFiles } from "../files.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, root)).catch(() => null);

/** Runs deno in a folder; gives whether it succeeded, and all that it said. */
async function deno(cwd: string, ...args: string[]): Promise<{ success: boolean; said: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  return { success, said: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

// Half a minute for the types of a whole copy.
const inACopy = { ignore: runs(0, 1) === 0 };

Deno.test(
  "a new endpoint has its types, its place in every list and failing tests, and `generate` has nothing left to change",
  inACopy,
  async () => {
    const copy = await Deno.makeTempDir();
    try {
      for (const path of await listFiles(root)) {
        await Deno.mkdir(dirname(`${copy}/${path}`), { recursive: true });
        await Deno.copyFile(new URL(path, root), `${copy}/${path}`);
      }
      await Deno.symlink(fileURLToPath(new URL("node_modules", root)), `${copy}/node_modules`);

      const made = await deno(
        copy,
        "task",
        "--quiet",
        "new",
        "endpoint",
        "test-things",
        "--method=GET,POST,DELETE",
      );
      assert(made.success, made.said);
      assert.match(made.said, /^changed supabase\/config\.toml$/m);
      const again = await deno(copy, "task", "--quiet", "generate");
      assert.deepEqual(again, { success: true, said: "" });

      const files = ["documentation", "index", "schema", "service", "service_test"]
        .map((file) => `supabase/functions/test-things/${file}.ts`);
      const checked = await deno(copy, "check", "--quiet", ...files);
      assert(checked.success, checked.said);
      assert((await deno(copy, "fmt", "--check", ...files)).success);
      // The lists that it belongs in find it where it belongs; only what is to be written fails.
      const lists = ["endpoints", "documentation", "schemas", "security_document", "to_be_written"];
      const tests = [
        "functions/test-things",
        "tests/api/test-things",
        ...lists.map((list) => `contract/${list}_test`),
      ];
      const { said } = await deno(copy, "task", "test", ...tests);
      // Files run side by side, and which group of them comes first is no promise.
      assert.deepEqual(
        Array.from(said.matchAll(/^(?:\S+ => )?(\S.*) \.\.\. .*FAILED/gm), ([, name]) => name).toSorted(),
        [
          ...["DELETE", "GET", "POST"].map((method) => `${method} test-things does what it promises`),
          "nothing that `deno task new` left to be written is left",
          "supabase/tests/api/test-things.sql",
        ],
      );
      for (const method of ["GET", "POST", "DELETE"]) {
        for (
          const what of [`the service of ${method} test-things`, `api.${method.toLowerCase()}_test_things`]
        ) {
          assert(said.includes(`To be written: a test for each thing that ${what} promises`), what);
        }
      }
      assert.match(said, /supabase\/functions\/test-things\/index\.ts:\d+ what it does, in one line/);
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
  },
);

Deno.test("a new error has the next code of its series, in three languages, and no other code changes", async () => {
  const args = [
    "error",
    "payment/card-expired",
    "--status=402",
    "--action=buy",
    "--details=retry_after",
    "--tried-anew",
  ];
  const texts = ["--en=Expired {retry_after}.", "--tr=Doldu {retry_after}.", "--es=Caducada {retry_after}."];
  const [last] = Object.keys(errorCodes).filter((code) => code.startsWith("ERR_4")).sort().toReversed();
  assert(last);
  const code = `ERR_${Number(last.slice(4)) + 1}`;
  const changes = await changesOf([...args, ...texts], read);
  assert.deepEqual([...changes?.keys() ?? []], [
    "supabase/functions/_shared/errors/error-codes.ts",
    "supabase/functions/_shared/errors/error-messages.ts",
    "tests/contract/errors_test.ts",
    "docs/clients.md",
  ]);
  for (const [path, text] of changes ?? []) {
    const before = await read(path);
    assert(before !== null && text.includes(code) && !before.includes(code), path);
    for (const known of Object.keys(errorCodes)) {
      assert.equal(text.split(known).length, before.split(known).length, `${path}: ${known}`);
    }
  }
  const messages = changes?.get("supabase/functions/_shared/errors/error-messages.ts") ?? "";
  assert(
    messages.includes(`  ${code}: {\n    en: "Expired {retry_after}.",\n    tr: "Doldu {retry_after}.",\n`),
  );
});

const error = [
  "error",
  "payment/card-expired",
  "--status=402",
  "--action=buy",
  "--en=A.",
  "--tr=B.",
  "--es=C.",
];
const without = (option: string) => error.filter((word) => !word.startsWith(option));

/** What is asked for, and what the refusal says. */
const refusals: [string[], RegExp][] = [
  [[], /an endpoint or an error/],
  [["table", "x"], /an endpoint or an error/],
  [["endpoint"], /One name is needed/],
  [["endpoint", "a", "b"], /One name is needed/],
  [["endpoint", "Favorites"], /lower-case words/],
  [["endpoint", "../evil"], /lower-case words/],
  [["endpoint", "a".repeat(41)], /40 characters/],
  [["endpoint", "credits"], /is there already/],
  [["endpoint", "submit-tasks"], /is there already/],
  [["endpoint", "a", "--method=PUT"], /--method takes/],
  [["endpoint", "a", "--method=GET,GET"], /each once/],
  [["endpoint", "a", "--auth=signed"], /--auth takes/],
  [["endpoint", "a", "--verbose"], /Unknown option/],
  [["error", "Nonsense"], /its room and its cause/],
  [["error", "payment/insufficient-credits"], /ERR_4001 is/],
  [without("--status"), /--status takes/],
  [without("--action"), /--action takes/],
  [without("--tr"), /--tr takes a whole sentence/],
  [[...error, "--en=Wait {retry_after}."], /name it in --details/],
  [[...error, "--en=Wait {a}.", "--details=a"], /different placeholders/],
  [[...error, "--details=retryAfter"], /--details takes/],
  [[...error, "--severity=fatal"], /--severity takes/],
  [[...error, "--series=7"], /--series takes/],
];

Deno.test("what cannot be made is refused with a sentence, and --help is answered", async () => {
  for (const [args, message] of refusals) {
    await assert.rejects(changesOf(args, read), (refusal) => {
      assert(refusal instanceof Refusal, `${args}: ${refusal}`);
      assert.match(refusal.message, message, args.join(" "));
      return true;
    });
  }
  for (const args of [["--help"], ["endpoint", "--help"], ["error", "-h"]]) {
    assert.equal(await changesOf(args, read), null);
  }
});
