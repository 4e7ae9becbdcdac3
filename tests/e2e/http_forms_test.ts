/**
 * The freedoms that HTTP's standards give, over all endpoints: a request that only looks different is answered as the plain
 * one is, and what looks alike to a lenient reader is refused.
 */
import assert from "node:assert/strict";
import * as z from "zod";
import type { ErrorCode } from "../../supabase/functions/_shared/errors/error-codes.ts";
import { allOperations, type Operation } from "../operations.ts";
import { cases } from "../runs.ts";
import { type Answer, errorOf, readAnswer } from "./support/answer.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";
import { credentialsFor } from "./support/credentials.ts";
import { exampleRequest } from "./support/example-requests.ts";

let backend: Backend;
let admin: Guest;

Deno.test.beforeAll(async () => {
  backend = await startBackend();
  // Which limits apply, others test.
  await backend.database
    .sql`update guard.policies set max_hits = 300, window_seconds = 1 where counts = 'hits'`;
  admin = await backend.signInAdmin();
});
Deno.test.afterAll(() => backend[Symbol.asyncDispose]());

/** What a form makes of the plain request. */
interface Form {
  readonly headers?: Record<string, string | null>;
  /** Of the URL, behind the endpoint's name. */
  readonly path?: string;
  readonly query?: Record<string, string>;
  readonly body?: unknown;
}

/** Sends the documented example, by somebody new whom nothing has happened to. */
async function send(
  operation: Operation,
  { headers = {}, path = "", query = {}, ...changed }: Form,
): Promise<Answer> {
  const guest = await backend.signIn(100);
  // Nor is what it adds there.
  await backend.database.sql`delete from purchases.products where product_id = 'credits_150'`;
  const example = exampleRequest(operation, { user: guest.id });
  const body = "body" in changed ? changed.body : example.body;
  const all = new Headers({
    ...credentialsFor(backend, operation.auth === "admin" ? admin : guest, operation.auth),
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...(operation.idempotencyKey ? { "idempotency-key": crypto.randomUUID() } : {}),
  });
  for (const [name, value] of Object.entries(headers)) {
    if (value === null) all.delete(name);
    else all.set(name, value.replace("{token}", operation.auth === "admin" ? admin.token : guest.token));
  }
  const url = new URL(`${backend.stack.url}/functions/v1/${operation.place}${path}${example.query}`);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return await readAnswer(
    await fetch(url, {
      method: operation.method,
      headers: all,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
}

/** What became of a request: its status, and its error's code and fields. */
function outcomeOf({ status, body }: Answer): unknown[] {
  if (status < 400) return [status];
  const { code, details } = errorOf({ status, body, headers: new Headers() });
  return [status, code, details];
}

type Table = Record<string, (operation: Operation) => Form | null>;

const isUsers = ({ auth }: Operation) => auth === "user" || auth === "admin";

/** Answered as the plain request; null where an operation knows no such form. */
const same: Table = {
  "a scheme in lower case": (o) => isUsers(o) ? { headers: { authorization: "bearer {token}" } } : null,
  "a scheme in upper case": (o) => isUsers(o) ? { headers: { authorization: "BEARER {token}" } } : null,
  "two spaces behind the scheme": (o) =>
    isUsers(o) ? { headers: { authorization: "Bearer  {token}" } } : null,
  "a type in capitals": (o) => o.request ? { headers: { "content-type": "APPLICATION/JSON" } } : null,
  "a charset in capitals": (o) =>
    o.request ? { headers: { "content-type": "application/json ; Charset=UTF-8" } } : null,
  "a quoted charset": (o) =>
    o.request ? { headers: { "content-type": 'application/json;charset="utf-8";' } } : null,
  "a body that is said not to be compressed": (o) =>
    o.request ? { headers: { "content-encoding": "Identity" } } : null,
  "a quoted key": (o) =>
    o.idempotencyKey ? { headers: { "idempotency-key": `"${crypto.randomUUID()}"` } } : null,
  "a key with a quote within": (o) =>
    o.idempotencyKey ? { headers: { "idempotency-key": `a"${crypto.randomUUID()}` } } : null,
  "a key where none is asked for, however it looks": (o) =>
    o.idempotencyKey ? null : { headers: { "idempotency-key": '"open' } },
  "a slash at the end": () => ({ path: "/" }),
  "an empty object where no body is asked for": (o) =>
    o.request || o.rawBody || o.method === "GET" ? null : { body: {} },
  "null for what is left out": (o) => {
    const { body } = exampleRequest(o);
    if (!o.request || typeof body !== "object" || body === null) return null;
    const nulls = optionalFields(o).filter((name) => !(name in body)).map((name) => [name, null]);
    return nulls.length === 0 ? null : { body: { ...body, ...Object.fromEntries(nulls) } };
  },
};

/** Null means something there: it takes the name away. */
const meaningfulNulls = ["display_name"];

function optionalFields({ request }: Operation): string[] {
  if (!request) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(request, { io: "input" });
  return Object.keys(properties).filter((name) =>
    !required.includes(name) && !meaningfulNulls.includes(name)
  );
}

/** Refused by this code. */
const refused: Record<string, [ErrorCode, Table[string]]> = {
  "another scheme": ["ERR_4005", (o) => isUsers(o) ? { headers: { authorization: "Basic {token}" } } : null],
  "a scheme without a space": [
    "ERR_4005",
    (o) => isUsers(o) ? { headers: { authorization: "Bearer{token}" } } : null,
  ],
  "another type": ["ERR_4018", (o) => o.request ? { headers: { "content-type": "text/plain" } } : null],
  "another charset": [
    "ERR_4018",
    (o) => o.request ? { headers: { "content-type": "application/json; charset=utf-16" } } : null,
  ],
  "a compressed body": ["ERR_4018", (o) => o.request ? { headers: { "content-encoding": "gzip" } } : null],
  ...Object.fromEntries(
    cases(3, ['"open', 'closed"', '"', '"a"b"', '"a\\"', '"a","b"', "", '""']).map((
      key,
    ) => [`the key ${key}`, [
      "ERR_4010",
      (o: Operation) => o.idempotencyKey ? { headers: { "idempotency-key": key } } : null,
    ]]),
  ),
  ...Object.fromEntries(
    cases(3, ["0x1", "1e0", "+1", " 1", "1.0", "１", "", "-1"]).map((number) => [`the number "${number}"`, [
      "ERR_4008",
      (o: Operation) => {
        const numbers = Object.entries(
          o.query ? z.toJSONSchema(o.query, { io: "input" }).properties ?? {} : {},
        )
          .filter(([, schema]) => typeof schema === "object" && schema.type === "integer");
        return numbers.length === 0
          ? null
          : { query: Object.fromEntries(numbers.map(([name]) => [name, number])) };
      },
    ]]),
  ),
};

/** The language of the answer to a caller who has none of their own. */
const languages: Record<string, string> = {
  "tr": "tr",
  "TR-tr": "tr",
  "en;q=0, *": "tr",
  "en;q=0, tr;q=0, *;q=0.1": "es",
  "*": "en",
  "*;q=0.1, es;q=0.2": "es",
  "tr;q=0.1, *": "en",
  "es;q=0": "en",
  "fr, *;q=0.5": "en",
  "tr;Q=1.000": "tr",
  "tr;q=2": "en",
  ",, es\t;\tq=0.5 ,": "es",
};

for (const operation of allOperations) {
  Deno.test(`${operation.operation} takes the standards' freedoms as they are given`, async (t) => {
    const plain = outcomeOf(await send(operation, {}));
    for (const [what, formOf] of Object.entries(same)) {
      const form = formOf(operation);
      if (form !== null) {
        await t.step(what, async () => assert.deepEqual(outcomeOf(await send(operation, form)), plain));
      }
    }
    for (const [what, [code, formOf]] of Object.entries(refused)) {
      const form = formOf(operation);
      if (form !== null) await t.step(what, async () => void errorOf(await send(operation, form), code));
    }
    await t.step("languages are negotiated", async () => {
      for (const [header, language] of cases(4, Object.entries(languages))) {
        const { headers } = await send(operation, { headers: { "accept-language": header } });
        assert.equal(headers.get("content-language"), language, header);
      }
    });
  });
}
