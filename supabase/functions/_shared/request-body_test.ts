import assert from "node:assert/strict";
import { AppError } from "./app-error.ts";
import { maximumBodyBytes, parseJson, readBody, requireJson } from "./request-body.ts";

const encoder = new TextEncoder();

function post(body: BodyInit, headers: Record<string, string> = {}): Request {
  return new Request("https://project.example.com/example", { method: "POST", body, headers });
}

function hasCode(code: string) {
  return (error: unknown) => error instanceof AppError && error.code === code;
}

Deno.test("a body of exactly the limit is read, one byte more is ERR_4013 with the limit", async () => {
  const whole = await readBody(post("x".repeat(1000)), 1000);
  assert.equal(new TextDecoder().decode(whole), "x".repeat(1000));
  await assert.rejects(readBody(post("x".repeat(1001)), 1000), (error) => {
    assert(error instanceof AppError);
    assert.deepEqual([error.code, error.details], ["ERR_4013", { limit_bytes: 1000 }]);
    return true;
  });
});

Deno.test("a body without an end is given up at the limit", async () => {
  let sent = 0;
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1024;
      controller.enqueue(new Uint8Array(1024));
    },
    cancel() {
      cancelled = true;
    },
  });
  await assert.rejects(readBody(post(endless), maximumBodyBytes), hasCode("ERR_4013"));
  assert(cancelled);
  // A stream reads ahead by a chunk or two.
  assert(sent <= maximumBodyBytes + 4 * 1024, `${sent} bytes were taken`);
});

Deno.test("a body that says it is too long is refused before it is read", async () => {
  let pulled = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull() {
      pulled += 1;
    },
  }, { highWaterMark: 0 });
  await assert.rejects(readBody(post(stream, { "content-length": "1001" }), 1000), hasCode("ERR_4013"));
  assert.equal(pulled, 0);
});

Deno.test("a request without a body has zero bytes", async () => {
  assert.equal((await readBody(new Request("https://project.example.com/"), 10)).byteLength, 0);
});

Deno.test("only JSON in UTF-8 is taken for JSON", () => {
  for (
    const type of [
      "application/json",
      "Application/JSON",
      "application/json; charset=utf-8",
      'application/json;charset="UTF-8"',
    ]
  ) {
    requireJson(type);
  }
  const others = [
    null,
    "",
    "text/plain",
    "text/plain;a=application/json",
    "application/jsonp",
    "application/json; charset=latin1",
    "application/x-www-form-urlencoded",
    "application/json, text/plain",
  ];
  for (const type of others) assert.throws(() => requireJson(type), hasCode("ERR_4018"), String(type));
});

Deno.test("an empty, a broken and an ambiguous body are each told apart, without being quoted", () => {
  const cases: [Uint8Array | string, string][] = [
    ["", "The body is empty"],
    [" ", "The body is not JSON"],
    ["{", "The body is not JSON"],
    ['{"a":1,}', "The body is not JSON"],
    ["secret", "The body is not JSON"],
    [new Uint8Array([0x22, 0xff, 0x22]), "The body is not UTF-8"],
    ['{"a":1,"a":2}', "A field is given more than once"],
    ['{"a":1,"\\u0061":2}', "A field is given more than once"],
    ['{"b":[{"a":1,"a":1}]}', "A field is given more than once"],
    ['{"__proto__":1,"__proto__":2}', "A field is given more than once"],
  ];
  for (const [body, message] of cases) {
    const bytes = typeof body === "string" ? encoder.encode(body) : body;
    assert.throws(() => parseJson(bytes), (error) => {
      assert(error instanceof AppError);
      assert.equal(error.code, "ERR_4008");
      assert.deepEqual(error.details, { fields: [{ path: "", message }] });
      assert(!String(error.cause).includes("secret"));
      return true;
    }, String(body));
  }
});

Deno.test("colons, quotes and backslashes within strings are not taken for members", () => {
  const values = [
    { 'a":': '"b":1', "\\": "\\", '\\"': ["x:y", '":"', { "": "" }] },
    ["a", ":", '"'],
    'just "a": string',
    null,
    12,
    { a: { a: { a: [] } } },
  ];
  for (const value of values) {
    assert.deepEqual(parseJson(encoder.encode(JSON.stringify(value, null, 2))), value);
  }
});

Deno.test("brackets that nest as deep as the limit allows do not overflow", () => {
  const depth = maximumBodyBytes / 2;
  assert(Array.isArray(parseJson(encoder.encode("[".repeat(depth) + "]".repeat(depth)))));
});
