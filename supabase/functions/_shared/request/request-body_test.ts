import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { discardBody, maxBodyBytes, parseJson, readBody, requireJson } from "./request-body.ts";

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

/** A body in pieces of 1 kB, and what became of it. */
function pieces(count: number) {
  const body = { sent: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (body.sent === count * 1024) return controller.close();
      body.sent += 1024;
      controller.enqueue(new Uint8Array(1024));
    },
    cancel() {
      body.cancelled = true;
    },
  });
  return { body, request: post(stream) };
}

/** A stream reads ahead by a chunk or two. */
const readAhead = 4 * 1024;

Deno.test("a body without an end is read to the limit, and no further", async () => {
  const { body, request } = pieces(Infinity);
  await assert.rejects(readBody(request, maxBodyBytes), hasCode("ERR_4013"));
  assert(body.sent <= maxBodyBytes + readAhead, `${body.sent} bytes were taken`);
});

Deno.test("what is left of a body is discarded, also behind the limit, up to a number of bytes", async () => {
  for (
    const [count, isGivenUp] of [[0, false], [1, false], [300, false], [8_000, false], [9_000, true]] as const
  ) {
    const untouched = pieces(count);
    await discardBody(untouched.request);
    const refused = pieces(count);
    await readBody(refused.request, 1).catch(() => {});
    await discardBody(refused.request);
    for (const { body } of [untouched, refused]) {
      assert.equal(body.cancelled, isGivenUp, `${count} kB`);
      if (!isGivenUp) assert.equal(body.sent, count * 1024);
      assert(body.sent <= 8 * 1024 * 1024 + 1024 + readAhead, `${body.sent} of ${count} kB were taken`);
    }
  }
});

Deno.test("a body that does not come on is given up after a time", async () => {
  let cancelled = false;
  const stalled = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(1)),
    cancel() {
      cancelled = true;
    },
  });
  await discardBody(post(stalled), { bytes: 1024, milliseconds: 1 });
  assert(cancelled);
});

Deno.test("a body that is absent, was read, is being read or breaks off is nothing to discard", async () => {
  await discardBody(new Request("https://project.example.com/"));
  const read = post("text");
  await read.text();
  await discardBody(read);
  const locked = post("text");
  const reader = locked.body?.getReader();
  await discardBody(locked);
  assert.equal((await reader?.read())?.value?.byteLength, 4);
  await discardBody(post(
    new ReadableStream({ pull: () => Promise.reject(new Error("the sender has gone")) }),
  ));
});

Deno.test("a body that breaks off, stalls or drips is ERR_4008, and what is slow is given up", async () => {
  const pace = { grace: 20, perKilobyte: 0, max: 20 };
  const open = (start: (controller: ReadableStreamDefaultController<Uint8Array>) => void) => {
    const body = { cancelled: false };
    const cancel = () => void (body.cancelled = true);
    return { body, request: post(new ReadableStream<Uint8Array>({ start, cancel })) };
  };
  const broken = open((controller) => controller.error(new TypeError("connection reset")));
  await assert.rejects(readBody(broken.request, 1000, pace), hasCode("ERR_4008"));
  await discardBody(broken.request);

  const stalled = open((controller) => controller.enqueue(new Uint8Array(1)));
  await assert.rejects(readBody(stalled.request, 1000, pace), hasCode("ERR_4008"));
  assert(stalled.body.cancelled);
  await discardBody(stalled.request);

  // Piece upon piece, too quickly for a timer between two of them.
  let isCancelled = false;
  const dripping = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(1)),
    cancel: () => void (isCancelled = true),
  });
  await assert.rejects(readBody(post(dripping), Infinity, pace), hasCode("ERR_4008"));
  assert(isCancelled);
});

Deno.test("a body that goes on as it should gets the time that it needs, and no more than the longest", async () => {
  const steady = (pace: Parameters<typeof readBody>[2]) => {
    let left = 30;
    let pause = Promise.resolve();
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        pause = new Promise((resolve) => setTimeout(resolve, 2));
        await pause;
        controller.enqueue(new Uint8Array(1024));
        left -= 1;
        if (left === 0) controller.close();
      },
    }, { highWaterMark: 0 });
    // Who is refused may leave it in the middle of a pause.
    return readBody(post(body), 100_000, pace).finally(() => pause);
  };
  assert.equal((await steady({ grace: 1_000, perKilobyte: 1_000, max: 30_000 })).byteLength, 30 * 1024);
  await assert.rejects(steady({ grace: 10, perKilobyte: 1_000, max: 15 }), hasCode("ERR_4008"));
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
      "application/json ; Charset=UTF-8;",
      "APPLICATION/JSON;q=1",
    ]
  ) {
    requireJson(new Headers({ "content-type": type }));
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
  for (const type of others) {
    const headers = new Headers(type === null ? {} : { "content-type": type });
    assert.throws(() => requireJson(headers), hasCode("ERR_4018"), String(type));
  }
  for (
    const [coding, isPlain] of [["identity", true], ["Identity", true], ["gzip", false], [
      "identity, br",
      false,
    ]] as const
  ) {
    const headers = new Headers({ "content-type": "application/json", "content-encoding": coding });
    if (isPlain) requireJson(headers);
    else assert.throws(() => requireJson(headers), hasCode("ERR_4018"), coding);
  }
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
  const depth = maxBodyBytes / 2;
  assert(Array.isArray(parseJson(encoder.encode("[".repeat(depth) + "]".repeat(depth)))));
});
