/** The admin's entry point: what it sends, and what its types let through. */
import assert from "node:assert/strict";
import { KinoraAdmin, KinoraError, newKey } from "./admin.ts";
import type { Supabase } from "./session.ts";

interface Sent {
  path: string;
  method: string | undefined;
  headers: Record<string, string>;
  body: unknown;
}

/** A session that lasts, and functions that answer one after the other; Response.error() is no answer at all. */
function fakeSupabase(
  answers: Response[],
): { supabase: Supabase; sent: Sent[] } {
  const sent: Sent[] = [];
  const session = { access_token: "token", user: { id: "an admin" } };
  const supabase = {
    auth: {
      getSession: () => Promise.resolve({ data: { session }, error: null }),
    },
    functions: {
      async invoke(path: string, { method, headers, body }: Sent) {
        sent.push({
          path,
          method,
          headers,
          body: typeof body === "string" ? JSON.parse(body) : undefined,
        });
        const response = answers.shift();
        if (response === undefined) throw new Error("One call too many");
        return response.ok
          ? {
            data: response.status === 204 ? null : await response.json(),
            error: null,
            response,
          }
          : {
            data: null,
            error: {
              context: response.type === "error" ? new TypeError("away") : response,
            },
          };
      },
    },
  };
  return { supabase: supabase as unknown as Supabase, sent };
}

Deno.test("a call has the method, the query, the body, the key and the language that were given", async () => {
  const { supabase, sent } = fakeSupabase([
    Response.json({ policies: [] }),
    Response.json({ transaction_id: "a" }),
    new Response(null, { status: 204 }),
  ]);
  const admin = new KinoraAdmin(supabase, { language: "tr" });
  const { policies } = await admin.call("GET", "admin-limits");
  assert.deepEqual(policies, []);
  const body = { user_id: "a user", amount: 5, reason: "for a test" };
  await admin.call("POST", "admin-adjust-credits", { body, key: "a key" }, {
    language: "es",
  });
  const query = { webhook_id: "a webhook", reason: "for a test" };
  assert.equal(
    await admin.call("DELETE", "admin-webhooks", { query }),
    undefined,
  );
  assert.deepEqual(
    sent.map(({ method, path, body, headers }) => [
      method,
      path,
      body,
      headers["idempotency-key"],
      headers["accept-language"],
    ]),
    [
      ["GET", "admin-limits", undefined, undefined, "tr"],
      ["POST", "admin-adjust-credits", body, "a key", "es"],
      [
        "DELETE",
        "admin-webhooks?webhook_id=a%20webhook&reason=for%20a%20test",
        undefined,
        undefined,
        "tr",
      ],
    ],
  );
});

Deno.test("what has no answer is sent again with the same key", async () => {
  const { supabase, sent } = fakeSupabase([
    Response.error(),
    Response.json({ transaction_id: "a" }),
  ]);
  const body = { user_id: "a user", amount: 5, reason: "for a test" };
  await new KinoraAdmin(supabase).call("POST", "admin-adjust-credits", {
    body,
    key: newKey(),
  });
  assert.equal(sent.length, 2);
  assert.match(sent[0]?.headers["idempotency-key"] ?? "", /.{16}/);
  assert.equal(
    sent[0]?.headers["idempotency-key"],
    sent[1]?.headers["idempotency-key"],
  );
});

Deno.test("a change without a key is sent again only where it is known that it was not done", async () => {
  const error = {
    code: "ERR_4004",
    message: "Later",
    details: { policy: "writes", retry_after: 0 },
  };
  const body = {
    url: "https://example.com",
    types: ["#" as const],
    reason: "for a test",
  };
  const query = { webhook_id: "a webhook", reason: "for a test" };
  const fault = Response.json({
    error: { code: "ERR_6003", message: "A fault" },
  }, { status: 500 });
  for (
    const lost of [Response.error(), Response.json({}, { status: 503 }), fault]
  ) {
    const { supabase, sent } = fakeSupabase([
      Response.json({ error }, { status: 429 }),
      lost,
    ]);
    const mayBeDone = (thrown: unknown) => thrown instanceof KinoraError && thrown.mayBeDone;
    await assert.rejects(
      new KinoraAdmin(supabase).call("POST", "admin-webhooks", { body }),
      mayBeDone,
    );
    assert.equal(sent.length, 2);
  }
  const { supabase, sent } = fakeSupabase([Response.error()]);
  await assert.rejects(
    new KinoraAdmin(supabase).call("DELETE", "admin-webhooks", { query }),
  );
  assert.equal(sent.length, 1);
});

Deno.test("a question is asked again, whatever became of it", async () => {
  const { supabase, sent } = fakeSupabase([
    Response.error(),
    Response.json({ policies: [] }),
  ]);
  await new KinoraAdmin(supabase).call("GET", "admin-limits");
  assert.equal(sent.length, 2);
});

Deno.test("a refusal is a KinoraError", async () => {
  const error = {
    code: "ERR_4006",
    message: "Not yours",
    details: {},
    request_id: "a request",
  };
  const { supabase } = fakeSupabase([
    Response.json({ error }, { status: 403 }),
  ]);
  await assert.rejects(
    new KinoraAdmin(supabase).call("GET", "admin-limits"),
    (thrown) => thrown instanceof KinoraError && thrown.code === "ERR_4006",
  );
});

Deno.test("pages are asked for one after the other, only as they are needed, each with the same filter", async () => {
  const page = (next_cursor: string | null) => Response.json({ deliveries: [], next_cursor });
  const { supabase, sent } = fakeSupabase([
    page("two"),
    page("three"),
    page(null),
  ]);
  const pages = new KinoraAdmin(supabase).pages("admin-webhook-deliveries", {
    query: { webhook_id: "one", limit: 2 },
  });
  await pages.next();
  assert.deepEqual(sent.map(({ path }) => path), [
    "admin-webhook-deliveries?webhook_id=one&limit=2",
  ]);
  for await (const { deliveries } of pages) assert.deepEqual(deliveries, []);
  assert.deepEqual(
    sent.slice(1).map(({ path }) => path),
    [
      "admin-webhook-deliveries?webhook_id=one&limit=2&cursor=two",
      "admin-webhook-deliveries?webhook_id=one&limit=2&cursor=three",
    ],
  );
});

Deno.test("the types know each endpoint's methods, and what it must be given", () => {
  const admin = new KinoraAdmin(fakeSupabase([]).supabase);
  const body = { user_id: "a user", amount: 5, reason: "for a test" };
  return void [
    // @ts-expect-error: no such method
    () => admin.call("DELETE", "admin-limits"),
    // @ts-expect-error: nobody's endpoint but the user's
    () => admin.call("GET", "credits"),
    // @ts-expect-error: without a key credits could be given twice
    () => admin.call("POST", "admin-adjust-credits", { body }),
    // @ts-expect-error: every change has its reason
    () => admin.call("PATCH", "admin-limits", { body: { policy: "reads" } }),
    // @ts-expect-error: no list of pages
    () => admin.pages("admin-limits"),
  ];
});
