/** The stack without its database: it says so quickly, stays up, and goes on when the database is back. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import postgres from "postgres";
import { type Stack, startStack } from "../../local/stack.ts";
import { eventually } from "./eventually.ts";
import { startPace } from "./support/pace.ts";

/** What a caller waits at most to be told that the database is away. */
const quickly = 3_000;

async function request(stack: Stack, path: string, init: RequestInit = {}) {
  const started = Date.now();
  const response = await fetch(stack.url + path, {
    ...init,
    headers: { apikey: stack.secretKey, "content-type": "application/json", ...init.headers },
  });
  await response.body?.cancel();
  return { status: response.status, milliseconds: Date.now() - started };
}

const rpc = (stack: Stack) => request(stack, "/rest/v1/rpc/probe_time", { method: "POST", body: "{}" });

Deno.test("while the database is away every service answers 503 quickly, the gateway survives, and all of it comes back", async () => {
  const dataDirectory = await Deno.makeTempDir();
  // Postgres runs under an account of its own where we are root, and must get in.
  await Deno.chmod(dataDirectory, 0o711);
  try {
    await using stack = await startStack({ dataDirectory, tickMilliseconds: 50 });
    const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} });
    await sql`create function api.probe_time() returns timestamptz language sql as 'select now()'`;
    await sql`grant execute on function api.probe_time to service_role`;
    await sql`create table api.probe_rows (id integer)`;
    await sql`notify pgrst`;
    await sql.end();
    await eventually("the procedure is known", async () => (await rpc(stack)).status === 200 || undefined);
    const supabase = createClient(stack.url, stack.publishableKey, {
      auth: { persistSession: false, autoRefreshToken: false },
    });
    const { data: { session } } = await supabase.auth.signInAnonymously();
    const authorization = `Bearer ${session?.access_token}`;

    await using pace = startPace(() => request(stack, "/nowhere"));
    // Callers in the middle of a request are the hard part: each of them must get an answer.
    let away = false;
    const outcomes = Promise.all(Array.from({ length: 8 }, async () => {
      const statuses = new Set<number>();
      let slowest = 0;
      for (let after = 0; after < 3;) {
        if (away) after++;
        const { status, milliseconds } = await rpc(stack);
        statuses.add(status);
        slowest = Math.max(slowest, milliseconds);
      }
      return { statuses, slowest };
    }));
    await stack.database.stop();
    away = true;
    for (const { statuses, slowest } of await outcomes) {
      assert.deepEqual([...statuses].filter((status) => status !== 200), [503]);
      assert(slowest < pace.limit(quickly), `an answer took ${slowest} ms`);
    }
    for (const path of ["/auth/v1/user", "/storage/v1/bucket", "/rest/v1/probe_rows?select=id"]) {
      const { status, milliseconds } = await request(stack, path, { headers: { authorization } });
      assert.deepEqual([path, status], [path, 503]);
      assert(milliseconds < pace.limit(quickly), `${path} took ${milliseconds} ms`);
    }
    await assert.rejects(stack.tick());

    await stack.database.start();
    assert.equal((await rpc(stack)).status, 200);
    assert.equal((await request(stack, "/auth/v1/user", { headers: { authorization } })).status, 200);
    assert.equal((await request(stack, "/storage/v1/bucket")).status, 200);
    assert.equal(typeof await stack.tick(), "number");
  } finally {
    await Deno.remove(dataDirectory, { recursive: true });
  }
});
