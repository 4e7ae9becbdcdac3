import assert from "node:assert/strict";
import { errorCodes } from "../../supabase/functions/_shared/errors/error-codes.ts";
import { clientErrors, clientErrorsFile } from "../../tools/generate/client-errors.ts";
import { errorsSchema, errorsSchemaFile } from "../../tools/generate/errors-schema.ts";
import { listFiles } from "../files.ts";

const root = new URL("../../", import.meta.url);

/** The table of the HTTP contract, by hand: clients act on it, so a change of the registry must fail here. */
// deno-fmt-ignore: one line a code
const contract: [code: string, status: number, details: string[], action: string, replayed: boolean][] = [
  ["ERR_4001", 402, ["required", "available"], "buy", true],
  ["ERR_4002", 422, ["model_id"], "fix", true],
  ["ERR_4003", 422, ["reason"], "fix", true],
  ["ERR_4004", 429, ["policy", "retry_after"], "same_key_later", false],
  ["ERR_4005", 401, [], "sign_in", false],
  ["ERR_4006", 403, [], "stop", false],
  ["ERR_4007", 404, [], "stop", true],
  ["ERR_4008", 400, ["fields"], "fix", false],
  ["ERR_4009", 409, ["status"], "read_state", true],
  ["ERR_4010", 400, [], "fix", false],
  ["ERR_4011", 422, [], "new_key", false],
  ["ERR_4012", 409, ["retry_after"], "same_key_later", false],
  ["ERR_4013", 413, ["limit_bytes"], "fix", false],
  ["ERR_4014", 405, [], "fix", false],
  ["ERR_4015", 403, [], "new_device_token_later", true],
  ["ERR_4016", 422, ["reason"], "stop", true],
  ["ERR_4017", 403, [], "stop", false],
  ["ERR_4018", 415, [], "fix", false],
  ["ERR_4019", 422, ["reason"], "fix", true],
  ["ERR_4020", 409, ["used_bytes", "quota_bytes"], "read_state", false],
  ["ERR_4021", 409, ["processors"], "fix", false],
  ["ERR_4022", 410, ["reason", "appeal"], "stop", true],
  ["ERR_5001", 504, [], "new_key", true],
  ["ERR_5002", 503, [], "new_key_later", true],
  ["ERR_5003", 502, ["reason"], "fix", true],
  ["ERR_6001", 503, ["retry_after"], "same_key_later", false],
  ["ERR_6002", 500, [], "same_key_later", false],
  ["ERR_6003", 500, [], "same_key_later", false],
  ["ERR_6004", 503, ["feature", "retry_after"], "later", false],
];

Deno.test("the registry is the contract's table of errors", () => {
  assert.deepEqual(
    Object.entries(errorCodes).map(([code, { status, details, action, replayed }]) => [
      code,
      status,
      details,
      action,
      replayed,
    ]),
    contract,
  );
});

Deno.test("each code has a category of its own, of a room and a cause", () => {
  const categories = Object.values(errorCodes).map(({ category }) => category);
  assert.equal(new Set(categories).size, categories.length);
  for (const category of categories) assert.match(category, /^[a-z]+\/[a-z]+(-[a-z]+)*$/);
});

Deno.test("SQL has the registry as it is", async () => {
  assert.equal(await Deno.readTextFile(errorsSchemaFile), errorsSchema(), "run deno task generate");
});

Deno.test("the package for apps has the registry as it is", async () => {
  assert.equal(await Deno.readTextFile(clientErrorsFile), clientErrors(), "run deno task generate");
});

Deno.test("every category that SQL names is in the registry", async () => {
  const categories: readonly string[] = Object.values(errorCodes).map(({ category }) => category);
  let named = 0;
  for (const path of (await listFiles(root)).filter((path) => /^supabase\/schemas\/.*\.sql$/.test(path))) {
    const text = await Deno.readTextFile(new URL(path, root));
    for (const [, argument] of text.matchAll(/(?:guard\.refusal|core\.error_code)\(\s*('[^']*'|\w+)/g)) {
      // The definitions, and refusal's own use of its parameter.
      if (argument === "p_category") continue;
      assert(categories.includes(String(argument).slice(1, -1)), `${path} names the error ${argument}`);
      named++;
    }
  }
  assert(named > 0, "no file of SQL names an error");
});

Deno.test("no file of the project names a code that is not in the registry", async () => {
  const files = (await listFiles(root)).filter((path) =>
    /^(supabase|local|docs|tests|bench)\/.*\.(ts|sql|md|json)$|^README\.md$/.test(path)
  );
  assert(files.length > 0);
  for (const path of files) {
    const text = await Deno.readTextFile(new URL(path, root));
    // Tests make up codes to show that they are refused.
    if (path.endsWith("_test.ts")) continue;
    for (const [code] of text.matchAll(/\bERR_\d{4}\b/g)) {
      assert(Object.hasOwn(errorCodes, code), `${path}: ${code}`);
    }
  }
});
