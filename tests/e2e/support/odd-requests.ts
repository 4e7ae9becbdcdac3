/** Requests for an operation: as its declaration describes them, and broken in the ways that requests are. */
import fc from "fast-check";
import * as z from "zod/mini";
import type { Language } from "../../../supabase/functions/_shared/errors/languages.ts";
import type { Declaration } from "../../../supabase/functions/_shared/endpoint/operation.ts";
import { arbitraryOf, type Known, mangled, oddValues } from "./json-schema-arbitrary.ts";

export interface OddRequest {
  /** From the question mark on; empty without one. */
  readonly query: string;
  /** Beside the credentials. */
  readonly headers: Readonly<Record<string, string>>;
  /** What Accept-Language asks for; null where it asks for none of ours, or is malformed. */
  readonly language: Language | null;
  readonly body: OddBody | null;
}

export interface OddBody {
  /** For whoever reads that it failed. */
  readonly what: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of the body alone, such as its type. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sent in pieces, without a Content-Length. */
  readonly inPieces: boolean;
  /** The value, where the bytes are a JSON text of it that is called one. */
  readonly value?: unknown;
}

/** Requests for the operation; fields that are known by name have mostly what is known. */
export function oddRequests(operation: Declaration, known: Known): fc.Arbitrary<OddRequest> {
  const { query, request, rawBody, idempotencyKey } = operation;
  const bodies = request || rawBody ? bodiesOf(operation, known) : fc.constant(null);
  return fc.record({
    query: query ? queriesOf(query, known) : fc.oneof({ weight: 4, arbitrary: fc.constant("") }, oddQueries),
    headers: fc.tuple(oddHeaders, keysOf(idempotencyKey)).map(([headers, key]) => ({ ...headers, ...key })),
    language: languages,
    body: bodies,
  }).map(({ headers, language, ...rest }) =>
    legible({
      ...rest,
      headers: { ...headers, "accept-language": language.header },
      language: language.preferred,
    })
  );
}

/** A failure prints what was sent; a body may be long. */
function legible(request: OddRequest): OddRequest {
  const { body } = request;
  const print = () => JSON.stringify({ ...request, body: body && { ...body, bytes: undefined } });
  return Object.assign(request, { [fc.toStringMethod]: print });
}

const oddBodies: readonly OddBody[] = [
  json("10,000 lists in each other", "[".repeat(10_000) + "]".repeat(10_000)),
  json("10,000 objects in each other", '{"a":'.repeat(10_000) + "1" + "}".repeat(10_000)),
  json("a prompt of 10,000 lists", `{"prompt":${"[".repeat(10_000)}${"]".repeat(10_000)}}`),
  json("10,000 members", `{${Array.from({ length: 10_000 }, (_, index) => `"a${index}":1`).join()}}`),
  json("a number beyond all numbers", '{"amount":1e999999,"settings":{"duration_seconds":1e999999}}'),
  { ...json("5 MB in pieces", `{"prompt":"${"a".repeat(5_000_000)}"}`), inPieces: true },
  json("5 MB in one piece", `{"prompt":"${"a".repeat(5_000_000)}"}`),
  { ...json("nothing in pieces", ""), inPieces: true },
];

/** What is tried at every run, however few there are. */
export const everyOddRequest = oddBodies.map((body): [OddRequest] => [
  legible({ query: "", headers: {}, language: null, body }),
]);

function json(what: string, text: string): OddBody {
  return {
    what,
    bytes: new TextEncoder().encode(text),
    headers: { "content-type": "application/json" },
    inPieces: false,
  };
}

function bodiesOf({ request }: Declaration, known: Known): fc.Arbitrary<OddBody> {
  const described = request ? arbitraryOf(z.toJSONSchema(request, { io: "input" }), known) : oddValues;
  const values = fc.oneof(
    { weight: 3, arbitrary: described },
    { weight: 2, arbitrary: mangled(described) },
    { weight: 1, arbitrary: oddValues },
  );
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc.tuple(values, fc.boolean()).map(([value, inPieces]) => {
        const text = JSON.stringify(value);
        return { ...json(text, text), inPieces, value };
      }),
    },
    { weight: 2, arbitrary: fc.tuple(described, misspellings).map(([value, misspell]) => misspell(value)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 500 }).map(rawBytes) },
    { weight: 1, arbitrary: fc.constantFrom(...oddBodies) },
  );
}

function rawBytes(bytes: Uint8Array<ArrayBuffer>): OddBody {
  return { ...json(`bytes ${bytes}`, ""), bytes };
}

/** What fetch lets through: a header's value is Latin-1, without line breaks and NUL. */
const headerText = fc.string({
  unit: fc.integer({ min: 0x20, max: 0xff }).map((unit) => String.fromCharCode(unit)),
})
  .map((text) => text.replaceAll("\u007f", "").trim());

const contentTypes: fc.Arbitrary<string | null> = fc.oneof(
  fc.constantFrom(
    ...[null, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"],
    ...["application/json; charset=utf-16", 'application/json;charset="UTF-8"', "application/json;;"],
    ...["application/vnd.api+json", "APPLICATION/JSON", "application/json, text/plain"],
  ),
  headerText,
);

type Misspell = (value: unknown) => OddBody;

/** JSON with something wrong about its text, its encoding or its type. */
const misspellings: fc.Arbitrary<Misspell> = fc.oneof(
  fc.nat().map((at): Misspell => (value) => {
    const text = JSON.stringify(value);
    return json("cut short", text.slice(0, at % text.length));
  }),
  fc.constantFrom<Misspell>(
    (value) => json("members twice", JSON.stringify(value).replace(/^\{(.+)\}$/s, "{$1,$1}")),
    (value) => json("two texts", JSON.stringify(value).repeat(2)),
    (value) => json("a comma too many", JSON.stringify(value).replace(/\}$/, ",}")),
    (value) => json("a comment", `/* */${JSON.stringify(value)}`),
    (value) => json("single quotes", JSON.stringify(value).replaceAll('"', "'")),
    (value) => json("a raw NUL", JSON.stringify(value).replace('"', '"\u0000')),
    (value) => json("NaN", JSON.stringify({ value }).replace(/:.*/s, ":NaN}")),
    (value) => json("a byte order mark", `\ufeff${JSON.stringify(value)}`),
    (value) => rawBytes(utf16(`\ufeff${JSON.stringify(value)}`)),
    (value) => rawBytes(utf16(JSON.stringify(value))),
    (value) => rawBytes(latin1(JSON.stringify({ value, text: "é" }))),
    // CESU-8: a surrogate that is encoded by itself.
    () => rawBytes(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)),
  ),
  fc.constantFrom("gzip", "br", "deflate", "identity", "x").map((encoding): Misspell => (value) => ({
    ...json(`said to be ${encoding}`, JSON.stringify(value)),
    headers: { "content-type": "application/json", "content-encoding": encoding },
  })),
  contentTypes.map((type): Misspell => (value) => ({
    ...json(`as ${type}`, JSON.stringify(value)),
    headers: type === null ? {} : { "content-type": type },
  })),
);

function utf16(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Uint16Array.from(text, (unit) => unit.charCodeAt(0)).buffer);
}

function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (unit) => unit.charCodeAt(0));
}

function queriesOf(query: z.ZodMiniObject, known: Known): fc.Arbitrary<string> {
  const described = arbitraryOf(z.toJSONSchema(query, { io: "input" }), known);
  const written = (values: fc.Arbitrary<unknown>) => values.map((value) => `?${parameters(value)}`);
  return fc.oneof(
    { weight: 4, arbitrary: written(described) },
    { weight: 2, arbitrary: written(mangled(described)) },
    { weight: 1, arbitrary: written(described).map((text) => `${text}&${text.slice(1)}`) },
    { weight: 1, arbitrary: oddQueries },
  );
}

function parameters(value: unknown): string {
  const entries = Object.entries(value ?? {}).map(([name, member]) => [
    // A URL has no lone surrogates.
    name.toWellFormed(),
    (typeof member === "string" ? member : JSON.stringify(member)).toWellFormed().slice(0, 2_000),
  ]);
  return new URLSearchParams(entries).toString();
}

/** Query strings that nobody's library writes. */
const oddQueries: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...[
      "?",
      "?&&&",
      "?=",
      "?=1",
      "?%",
      "?%zz=%zz",
      "?%ff=%fe",
      "?job_id=%00",
      "?job_id=%ed%a0%80",
      "??",
      "?a;b",
    ],
    ...["?__proto__=1", "?constructor=1", "?job_id[]=1", "?job_id=1&job_id=2", "?forceFunctionRegion=x"],
    `?${"a=1&".repeat(1_000)}`,
    `?cursor=${"a".repeat(8_000)}`,
  ),
  fc.webQueryParameters().map((text) => `?${text}`),
);

const oddHeaders: fc.Arbitrary<Record<string, string>> = fc.record({
  "x-request-id": fc.oneof(fc.uuid(), headerText),
  "if-none-match": fc.oneof(fc.constantFrom("*", '"', 'W/"a"', '"a", "b"'), headerText),
  "origin": fc.oneof(fc.constantFrom("null", "https://app.example"), headerText),
  "cf-connecting-ip": fc.oneof(fc.ipV4(), fc.ipV6(), headerText),
  "x-forwarded-for": fc.oneof(fc.constant("1.1.1.1, 2.2.2.2"), headerText),
  "traceparent": headerText,
  "prefer": fc.oneof(fc.constantFrom("tx=rollback", "return=minimal"), headerText),
  "accept": fc.oneof(fc.constantFrom("text/html", "application/vnd.pgrst.object+json"), headerText),
  "accept-profile": fc.constantFrom("credits", "ops"),
  "range": fc.constantFrom("bytes=0-1", "0-0"),
  "x-http-method-override": fc.constantFrom("DELETE", "GET"),
}, { requiredKeys: [] });

const languages = fc.oneof(
  fc.constantFrom("en" as const, "tr" as const, "es" as const).chain((preferred) =>
    fc.constantFrom(
      preferred,
      preferred.toUpperCase(),
      `fr, ${preferred};q=0.1`,
      `${preferred}-419, xx;q=0.9`,
    )
      .map((header) => ({ header, preferred }))
  ),
  fc.constantFrom("", "*", "fr", "tr;q=0", "en;q=2", ",,,", "tr;q=é", "x-klingon".repeat(500))
    .map((header) => ({ header, preferred: null })),
);

function keysOf(idempotencyKey: Declaration["idempotencyKey"]): fc.Arbitrary<Record<string, string>> {
  if (idempotencyKey === undefined) return fc.constant({});
  const key = fc.oneof(
    { weight: 6, arbitrary: fc.uuid() },
    { weight: 1, arbitrary: fc.constant("the same") },
    { weight: 1, arbitrary: headerText },
  );
  return key.map((key) => ({ "idempotency-key": key }));
}
