/**
 * Flags as apps ask for them: by OpenFeature's own clients for JavaScript, with its OFREP providers for browsers and for servers; and
 * what is answered is held to the protocol's own document.
 */
import assert from "node:assert/strict";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature as ServerOpenFeature } from "@openfeature/server-sdk";
import { OpenFeature as WebOpenFeature, type Provider } from "@openfeature/web-sdk";
import { pathToFileURL } from "node:url";
import { bundleFromString, createConfig } from "@redocly/openapi-core";
import * as z from "zod";
import { EvaluatedFlags } from "../../supabase/functions/flags/schema.ts";
import { AdminFlags } from "../../supabase/functions/admin-flags/schema.ts";
import { Flag } from "../../supabase/functions/_shared/ops/contract.ts";
import { flagsIn } from "../../tools/flags/flagd.ts";
import { fences, readDocument } from "../contract/documents.ts";
import { withoutReferences } from "../contract/openapi-schemas.ts";
import { makeFlag, newFlag } from "../database/support/flags.ts";
import { shared } from "../shared.ts";
import { bodyOf, errorOf, readAnswer } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";

const backend = shared(startBackend);
let guest: Guest;
let admin: Guest;

// Documents are read as JSON, as their readers do.
// deno-lint-ignore no-explicit-any
type Json = any;

/** The protocol's own document, without references. */
const protocol: Json = await (async () => {
  const source = await Deno.readTextFile(new URL("ofrep/openapi.yaml", import.meta.url));
  const { bundle: { parsed } } = await bundleFromString({
    source,
    config: await createConfig({}),
    dereference: false,
  });
  return withoutReferences(parsed);
})();

/**
 * As the document means it: exactly one of a value's types fits none, since an integer is a number too, and since what has no value
 * is described by nothing that a value lacks.
 */
function anyOfThem(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(anyOfThem);
  if (typeof schema !== "object" || schema === null) return schema;
  // Nothing that is answered has a part which says what it is not.
  const { oneOf, not: _, ...rest } = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, anyOfThem(value)]),
  );
  return oneOf === undefined ? rest : { ...rest, anyOf: oneOf };
}

const bulk = "/ofrep/v1/evaluate/flags";
const single = "/ofrep/v1/evaluate/flags/{key}";

/** The answer must be one of those that the protocol has for this path, in its form. */
function assertProtocol(path: string, status: number, body: unknown): void {
  const answer = protocol.paths[path].post.responses[status];
  assert(answer !== undefined, `OFREP knows no ${status} of ${path}`);
  const schema = answer.content?.["application/json"].schema;
  if (schema === undefined) return;
  const { error } = z.fromJSONSchema(anyOfThem(schema)).safeParse(body);
  assert.equal(error, undefined, `${status} ${JSON.stringify(body)}: ${error && z.prettifyError(error)}`);
}

Deno.test.beforeAll(async () => {
  [guest, admin] = await Promise.all([backend.signIn(), backend.signInAdmin()]);
  const { database: { sql } } = backend;
  // How many may be asked for in a minute, others test.
  await sql`update guard.policies set max_hits = 300 where name in ('reads', 'admin')`;
  await makeFlag(sql, newFlag({ key: "yes" }));
  await makeFlag(sql, newFlag({ key: "no", default_variant: "off" }));
  const values = {
    type: "string",
    variants: { a: "A", b: "B" },
    default_variant: "a",
    off_variant: null,
  } as const;
  await makeFlag(sql, newFlag({ key: "text", ...values }));
  await makeFlag(sql, newFlag({ key: "left-to-the-app", ...values, is_enabled: false }));
  await makeFlag(
    sql,
    newFlag({
      key: "number",
      type: "number",
      variants: { whole: 3, half: 0.5 },
      default_variant: "half",
      off_variant: "whole",
      is_enabled: false,
    }),
  );
  await makeFlag(
    sql,
    newFlag({
      key: "thing",
      type: "object",
      variants: { one: { colour: "red", nothing: null, sizes: [1, 2] } },
      default_variant: "one",
      off_variant: "one",
    }),
  );
  await makeFlag(
    sql,
    newFlag({ key: "mine", default_variant: "off", rules: [{ users: [guest.id], variant: "on" }] }),
  );
  await makeFlag(
    sql,
    newFlag({
      key: "for-ios-2",
      default_variant: "off",
      rules: [{ platforms: ["ios"], app_versions: [">=2.0.0"], variant: "on" }],
    }),
  );
  await makeFlag(
    sql,
    newFlag({
      key: "half",
      rules: [{ split: [{ variant: "on", weight: 50 }, { variant: "off", weight: 50 }] }],
    }),
  );
});

/** How an app sets a provider up, as docs/flags.md shows it. */
function optionsFor({ token }: Guest) {
  return {
    baseUrl: `${backend.stack.url}/functions/v1/flags`,
    headers: [["apikey", backend.stack.publishableKey], ["Authorization", `Bearer ${token}`]] as [
      string,
      string,
    ][],
  };
}

/** Asks without OpenFeature. */
async function ask(
  path: string,
  body: unknown,
  { caller = guest, headers = {} }: { caller?: Guest | null; headers?: Record<string, string> } = {},
) {
  const response = await fetch(`${backend.stack.url}/functions/v1/flags${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(caller === null ? {} : Object.fromEntries(optionsFor(caller).headers)),
      ...headers,
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return await readAnswer(response);
}

Deno.test("OpenFeature's server client gets each type, its reason, and its own default where something is wrong", async () => {
  const domain = crypto.randomUUID();
  await ServerOpenFeature.setProviderAndWait(domain, new OFREPProvider(optionsFor(guest)));
  const client = ServerOpenFeature.getClient(domain);
  const context = { targetingKey: "somebody else", email: "ada@example.com", nested: { a: [1] } };
  assert.equal(await client.getBooleanValue("yes", false, context), true);
  assert.equal(await client.getBooleanValue("no", true, context), false);
  assert.equal(await client.getStringValue("text", "z", context), "A");
  assert.deepEqual(await client.getObjectValue("thing", {}, context), {
    colour: "red",
    nothing: null,
    sizes: [1, 2],
  });

  const number = await client.getNumberDetails("number", 0, context);
  assert.deepEqual([number.value, number.variant, number.reason], [3, "whole", "DISABLED"]);
  // The user is the token's, whoever is named.
  const mine = await client.getBooleanDetails("mine", false, context);
  assert.deepEqual([mine.value, mine.reason], [true, "TARGETING_MATCH"]);
  assert.equal((await client.getBooleanDetails("half", false, context)).reason, "SPLIT");
  const ios = { platform: "ios", app_version: "2.0.1" };
  assert.equal(await client.getBooleanValue("for-ios-2", false, ios), true);
  assert.equal(await client.getBooleanValue("for-ios-2", false, { ...ios, app_version: "1.9" }), false);

  const unknown = await client.getBooleanDetails("nobody-made-it", true, context);
  assert.deepEqual([unknown.value, unknown.errorCode], [true, "FLAG_NOT_FOUND"]);
  const mistyped = await client.getStringDetails("yes", "default", context);
  assert.deepEqual([mistyped.value, mistyped.errorCode], ["default", "TYPE_MISMATCH"]);
  const invalid = await client.getBooleanDetails("for-ios-2", true, { platform: 1 });
  assert.deepEqual([invalid.value, invalid.errorCode], [true, "INVALID_CONTEXT"]);
  const strange = await client.getBooleanDetails("for-ios-2", true, { platform: "ios", app_version: "new" });
  assert.deepEqual([strange.value, strange.reason, strange.flagMetadata], [false, "UNKNOWN", {
    reason: "ERROR",
    error: "rules[0]: app_version is no semantic version",
  }]);
  await ServerOpenFeature.close();
});

Deno.test("OpenFeature's web client gets all flags at once, again as its context changes, and keeps what has not changed", async () => {
  const answers: number[] = [];
  const fetchImplementation: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    answers.push(response.status);
    return response;
  };
  const provider = new OFREPWebProvider({
    ...optionsFor(guest),
    fetchImplementation,
    pollInterval: -1,
    // It would keep the answers in this machine's local storage, and give them for another context of the same user.
    cacheMode: "disabled",
  }) as Provider;
  await WebOpenFeature.setContext({ targetingKey: "me", platform: "ios", app_version: "1.0.0" });
  await WebOpenFeature.setProviderAndWait(provider);
  const client = WebOpenFeature.getClient();
  assert.deepEqual(
    [
      client.getBooleanValue("yes", false),
      client.getStringValue("text", ""),
      client.getNumberValue("number", 0),
    ],
    [true, "A", 3],
  );
  assert.deepEqual(client.getObjectValue("thing", {}), { colour: "red", nothing: null, sizes: [1, 2] });
  assert.equal(client.getBooleanValue("mine", false), true);
  assert.equal(client.getBooleanValue("for-ios-2", true), false);
  assert.equal(client.getBooleanDetails("nobody-made-it", true).errorCode, "FLAG_NOT_FOUND");
  assert.equal(client.getStringDetails("yes", "default").errorCode, "TYPE_MISMATCH");
  assert.equal(client.getStringValue("left-to-the-app", "the app's own"), "the app's own");
  assert.deepEqual(answers, [200]);

  await WebOpenFeature.setContext({ targetingKey: "me", platform: "ios", app_version: "2.0.0" });
  assert.equal(client.getBooleanValue("for-ios-2", false), true);
  // Nothing that counts for a flag: what the client has is still so.
  await WebOpenFeature.setContext({
    targetingKey: "me",
    platform: "ios",
    app_version: "2.0.0",
    plan: "free",
  });
  assert.equal(client.getBooleanValue("for-ios-2", false), true);
  assert.deepEqual(answers, [200, 200, 304]);
  await WebOpenFeature.close();
});

Deno.test("the code and the definitions of docs/flags.md do what they say", async () => {
  const document = await readDocument("docs/flags.md");
  const [json = ""] = fences(document, "json");
  for (const definition of flagsIn(JSON.parse(json))) await makeFlag(backend.database.sql, definition);
  const code = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(code, fences(document, "ts").join("\n"));
    const { connectFlags, firstModel } = await import(pathToFileURL(code).href);
    const { url, publishableKey } = backend.stack;
    await connectFlags(url, publishableKey, guest.supabase, -1);
    const told = await ask(`${bulk}/video_model`, { context: { app_version: "2.1.0" } });
    const { value, reason } = z.looseObject({ value: z.string(), reason: z.string() }).parse(told.body);
    assert.deepEqual([firstModel(), reason], [value, "SPLIT"]);
  } finally {
    await WebOpenFeature.close();
    await Deno.remove(code);
  }
});

Deno.test("what is answered is what the protocol's document says: one, all, nothing new, and each error that it has a form for", async () => {
  const context = { targetingKey: "x", anything: { deep: [1, null] } };
  const all = await ask(bulk, { context });
  assertProtocol(bulk, all.status, all.body);
  const { flags } = bodyOf(all, 200, EvaluatedFlags);
  assert.deepEqual(flags.map(({ key }) => key), flags.map(({ key }) => key).toSorted());
  assert(
    flags.some(({ key }) => key === "generation"),
    "the backend's own switches are flags like all others",
  );
  for (const flag of flags) {
    const one = await ask(`${bulk}/${flag.key}`, { context });
    assertProtocol(single, one.status, one.body);
    assert.deepEqual(one.body, flag);
  }
  assert.deepEqual(flags.find(({ key }) => key === "left-to-the-app"), {
    key: "left-to-the-app",
    reason: "DISABLED",
  });

  const etag = all.headers.get("etag") ?? "";
  const again = await ask(bulk, { context }, { headers: { "if-none-match": etag } });
  assert.deepEqual([again.status, again.body, again.headers.get("etag")], [304, null, etag]);
  assertProtocol(bulk, again.status, undefined);
  assert.equal((await ask(bulk, { context }, { headers: { "if-none-match": '"other"' } })).status, 200);

  const wrong: Record<string, [body: unknown, errorCode: string]> = {
    "no context": [{}, "INVALID_CONTEXT"],
    "a context that is none": [{ context: "me" }, "INVALID_CONTEXT"],
    "an attribute that is no text": [{ context: { locale: ["tr"] } }, "INVALID_CONTEXT"],
    "a key that is no text": [{ context: { targetingKey: 1 } }, "INVALID_CONTEXT"],
    "no JSON": ["{", "PARSE_ERROR"],
    "another member": [{ context, user_id: guest.id }, "PARSE_ERROR"],
  };
  for (const [what, [body, errorCode]] of Object.entries(wrong)) {
    for (const [path, place] of [[bulk, bulk], [single, `${bulk}/yes`]] as const) {
      const answer = await ask(place, body);
      assertProtocol(path, answer.status, answer.body);
      const told = z.looseObject({
        errorCode: z.string(),
        errorDetails: z.string(),
        key: z.string().optional(),
      })
        .parse(answer.body);
      assert.deepEqual([what, told.errorCode, told.key], [
        what,
        errorCode,
        path === bulk ? undefined : "yes",
      ]);
      assert.notEqual(told.errorDetails, "");
      errorOf(answer, "ERR_4008");
    }
  }
  for (const key of ["nobody-made-it", "a b", "ç", "a%00b", "%ff", "..", "x".repeat(200)]) {
    const answer = await ask(`${bulk}/${key.includes("%") ? key : encodeURIComponent(key)}`, { context });
    // A URL's own dots lead elsewhere, where nothing is.
    if (key !== "..") assertProtocol(single, answer.status, answer.body);
    errorOf(answer, "ERR_4007");
  }
  const stranger = await ask(bulk, { context }, { caller: null });
  assertProtocol(bulk, stranger.status, stranger.body);
  errorOf(stranger, "ERR_4005");
});

Deno.test("below and beside the protocol's paths there is nothing", async () => {
  for (
    const path of ["", "/", "/ofrep", "/ofrep/v1/evaluate", `${bulk}/yes/more`, "/ofrep/v2/evaluate/flags"]
  ) {
    errorOf(await ask(path, { context: {} }), "ERR_4007");
  }
  const get = await guest.call(`flags${bulk}`);
  errorOf(get, "ERR_4014");
  assert.equal(get.headers.get("allow"), "POST, OPTIONS");
});

Deno.test("no user is told another's flags, whomever the context names", async () => {
  const other = await backend.signIn();
  const answer = await ask(`${bulk}/mine`, { context: { targetingKey: guest.id } }, { caller: other });
  assert.equal(z.looseObject({ value: z.boolean() }).parse(answer.body).value, false);
});

Deno.test("an admin's change is there with the next question, in the functions and in procedures, and is written down", async () => {
  const { database: { sql } } = backend;
  const change = async (body: object, status = 200) => {
    const answer = await admin.call("admin-flags", {
      method: "PATCH",
      body: { reason: "it is a test", ...body },
    });
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    return answer;
  };
  const valueOf = async () =>
    z.looseObject({ value: z.boolean() }).parse((await ask(`${bulk}/changed`, { context: {} })).body).value;
  await makeFlag(sql, newFlag({ key: "changed" }));
  assert.equal(await valueOf(), true);
  const changed = bodyOf(
    await change({ key: "changed", rules: [{ users: [guest.id], variant: "off" }] }),
    200,
    Flag,
  );
  assert.deepEqual([changed.version, changed.rules.length], [2, 1]);
  assert.equal(await valueOf(), false);
  const [row] = await sql<{ value: boolean }[]>`select (ops.flag('changed', ${guest.id})).value`;
  assert.equal(row?.value, false);
  await change({ key: "changed", rules: [] });
  assert.equal(await valueOf(), true);
  await change({ key: "changed", is_enabled: false, default_variant: "off", is_experiment: true });
  const before = bodyOf(await admin.call("admin-flags"), 200, AdminFlags).flags.find(({ key }) =>
    key === "changed"
  );
  assert.deepEqual(
    before && [before.is_enabled, before.default_variant, before.is_experiment, before.version],
    [
      false,
      "off",
      true,
      4,
    ],
  );
  await change({ key: "changed", is_enabled: false });
  const actions = await sql<{ admin_id: string; reason: string; details: Json }[]>`
    select a.admin_id, a.reason, a.details from ops.admin_actions as a
    where a.subject = 'flag changed' and a.admin_id is not null order by a.id`;
  assert.deepEqual(
    actions.map(({ admin_id, reason }) => [admin_id, reason]),
    Array(3).fill([admin.id, "it is a test"]),
  );
  assert.deepEqual(actions[2]?.details, {
    before: { is_enabled: true, default_variant: "on", is_experiment: false, version: 3 },
    after: { is_enabled: false, default_variant: "off", is_experiment: true, version: 4 },
  });

  errorOf(await change({ key: "nobody-made-it", is_enabled: false }, 404), "ERR_4007");
  const refused = async (body: object) => errorOf(await change(body, 400), "ERR_4008").details.fields;
  assert.deepEqual(await refused({ key: "changed", rules: [{ variant: "maybe" }] }), [
    { path: "rules[0].variant", message: "Is none of the flag's" },
  ]);
  assert.deepEqual(await refused({ key: "generation", rules: [{ platforms: ["ios"], variant: "off" }] }), [
    { path: "rules", message: "The backend asks this flag for everybody at once: it is on or off" },
  ]);
  assert.deepEqual(await refused({ key: "changed", rules: [{ country: ["tr"], variant: "on" }] }), [
    { path: "rules[0].country", message: "Unknown field" },
  ]);
});
