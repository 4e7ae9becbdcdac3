/** Every example in curl of docs/api.md, run in its order, as somebody does who reads it from top to bottom. */
import assert from "node:assert/strict";
import * as z from "zod/mini";
import { startStack } from "../../local/stack.ts";
import { statusOf } from "../../local/served.ts";
import { patience } from "../../local/testing/patience.ts";
import { fences, readDocument } from "../contract/documents.ts";
import { operationKey } from "../../supabase/functions/_shared/endpoint/operation.ts";
import { allOperations } from "../operations.ts";
import { documentations } from "../contract/generate-openapi.ts";
import { cloneTemplate } from "../database/harness.ts";
import { errorOf } from "./support/answer.ts";

/** Notes what curl was asked for and answered, and answers it. */
const curl = `
  curl() {
    local body=$(mktemp -p "$WALK")
    command curl "$@" -o "$body" -w "%{http_code} %{method} %{url} $body\n" >> "$WALK/calls"
    cat "$body"
  }`;

/** Does what the operator's client of Postgres does, which not every machine has. */
const psql = `
  psql() {
    "$DENO" eval 'import postgres from "postgres";
      const sql = postgres(Deno.args[0]);
      await sql.unsafe(Deno.args[1]);
      await sql.end();' "$2" "$4"
  }`;

interface Call {
  readonly status: number;
  readonly method: string;
  readonly place: string;
  readonly body: string;
}

async function callsIn(directory: string): Promise<Call[]> {
  const lines = (await Deno.readTextFile(`${directory}/calls`)).trim().split("\n");
  const calls = lines.map(async (line): Promise<Call | null> => {
    const [status, method = "", url = "", file = ""] = line.split(" ");
    const [, place] = /^\/functions\/v1\/([\w/-]+)$/.exec(new URL(url).pathname) ?? [];
    if (place === undefined) return null;
    return { status: Number(status), method, place, body: await Deno.readTextFile(file) };
  });
  return (await Promise.all(calls)).filter((call) => call !== null);
}

Deno.test("every example in curl of docs/api.md is answered as it says", async () => {
  const examples = fences(await readDocument("docs/api.md"), "sh");
  await using cleanup = new AsyncDisposableStack();
  const walk = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(walk, { recursive: true }));
  const database = cleanup.use(await cloneTemplate());
  const stack = cleanup.use(
    await startStack({
      databaseUrl: database.url,
      tickMilliseconds: 1_000,
      fal: { queueMilliseconds: 0, runMilliseconds: 0 },
    }),
  );
  // The first video is made; the others go on until they are cancelled.
  await stack.simulators.fal.control.rules({}, { outcome: "never", times: null });

  // `task status` speaks of the stack of `task dev`; here it speaks of this one.
  const script = [`npx() { echo "$STACK_STATUS"; }`, curl, psql, ...examples].join("\n");
  const { success, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-euo", "pipefail", "-c", script],
    env: { STACK_STATUS: JSON.stringify(statusOf(stack)), WALK: walk, DENO: Deno.execPath() },
    signal: AbortSignal.timeout(patience),
  }).output();
  assert.ok(success, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));

  const calls = await callsIn(walk);
  const documented = await documentations();
  for (const operation of allOperations) {
    const { name, method, place, response, mediaType, operation: what } = operation;
    const answers = calls.filter((call) => call.place === place && call.method === method);
    assert.ok(answers.length > 0, `${what} has no example`);
    const refused = documented.get(name)?.[operationKey(operation)]?.walk?.refused;
    for (const { status, body } of answers) {
      if (refused !== undefined) {
        assert.equal(status, refused, `${what}: ${body}`);
        errorOf({ status, headers: new Headers(), body: JSON.parse(body) });
        continue;
      }
      assert.ok(status in response, `${what}: ${status} ${body}`);
      const schema = response[status] ?? null;
      if (schema === null) assert.equal(body, "", what);
      else {
        const read = mediaType === undefined ? JSON.parse(body) : body;
        assert.equal(z.safeParse(schema, read).error, undefined, `${what}: ${body}`);
      }
    }
  }
});
