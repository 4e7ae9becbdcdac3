import assert from "node:assert/strict";
import { boundedFetch, describeFetchError, neverConnected, retryAfterSeconds } from "./bounded-fetch.ts";

const limits = { timeoutMilliseconds: 5_000, maxBytes: 10 };

/** A body that comes in these pieces and then stays open until it is cancelled. */
function openBody(...pieces: string[]) {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
    },
    cancel() {
      cancelled = true;
    },
  });
  return { body, isCancelled: () => cancelled };
}

Deno.test("an answer comes whole, with a redirect as it is", async () => {
  const redirects: (RequestRedirect | undefined)[] = [];
  const fetch: typeof globalThis.fetch = (_, init) => {
    redirects.push(init?.redirect);
    const headers = { location: "https://elsewhere.example.com" };
    return Promise.resolve(new Response("şğü", { status: 307, headers }));
  };
  const { status, text, headers } = await boundedFetch(fetch, "https://a.example.com", limits);
  assert.deepEqual([status, text, headers.get("location")], [307, "şğü", "https://elsewhere.example.com"]);
  assert.deepEqual(redirects, ["manual"]);
});

Deno.test("a length that is told is believed, unless the body was packed or is longer than allowed", async () => {
  const told = (length: string, headers: Record<string, string> = {}): typeof globalThis.fetch => () =>
    Promise.resolve(new Response("12345678901", { headers: { "content-length": length, ...headers } }));
  const text = async (fetch: typeof globalThis.fetch) =>
    (await boundedFetch(fetch, "https://a.example.com", limits)).text;
  assert.equal(await text(told("10")), "12345678901", "no server can send more than it tells");
  await assert.rejects(text(told("11")), /longer than 10 bytes/);
  await assert.rejects(text(told("10", { "content-encoding": "gzip" })), /longer than 10 bytes/);
  await assert.rejects(text(told("ten")), /longer than 10 bytes/);
});

Deno.test("what must be sent once goes as a stream, which the runtime cannot send again", async () => {
  const bodies: unknown[] = [];
  const fetch: typeof globalThis.fetch = (_, init) => {
    bodies.push(init?.body);
    return Promise.resolve(new Response(""));
  };
  await boundedFetch(fetch, "https://a.example.com", { ...limits, method: "POST", body: "ş", once: true });
  await boundedFetch(fetch, "https://a.example.com", { ...limits, method: "POST", body: "ş" });
  const [stream, text] = bodies;
  assert(stream instanceof ReadableStream);
  assert.equal(await new Response(stream).text(), "ş");
  assert.equal(text, "ş");
});

Deno.test("a character that two pieces share is read whole", async () => {
  const [first, ...rest] = new TextEncoder().encode("ş");
  assert(first !== undefined);
  const pieces = [new Uint8Array([first]), new Uint8Array(rest)];
  const fetch = () => Promise.resolve(new Response(ReadableStream.from(pieces)));
  assert.equal((await boundedFetch(fetch, "https://a.example.com", limits)).text, "ş");
});

Deno.test("a body longer than the limit is not read on", async () => {
  const { body, isCancelled } = openBody("12345", "678901");
  const fetch = () => Promise.resolve(new Response(body));
  await assert.rejects(boundedFetch(fetch, "https://a.example.com", limits), /longer than 10 bytes/);
  assert.equal(isCancelled(), true);
});

Deno.test("the time-out and the caller's signal both reach the exchange", async () => {
  const fetch: typeof globalThis.fetch = (_, init) =>
    new Promise((_, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason), { once: true });
    });
  const brief = { ...limits, timeoutMilliseconds: 5 };
  await assert.rejects(boundedFetch(fetch, "https://a.example.com", brief), { name: "TimeoutError" });
  const caller = new AbortController();
  const ended = boundedFetch(fetch, "https://a.example.com", { ...limits, signal: caller.signal });
  caller.abort(new Error("enough"));
  await assert.rejects(ended, /enough/);
});

Deno.test("only a failure to connect proves that nothing was sent", () => {
  const connect =
    "error sending request for url (https://a/?token=t): client error (Connect): tcp connect error";
  assert.equal(neverConnected(new TypeError(connect)), true);
  assert.equal(neverConnected(new TypeError("fetch failed", { cause: new Error(connect) })), true);
  assert.equal(neverConnected(new TypeError("client error (SendRequest): connection closed")), false);
  assert.equal(neverConnected(new DOMException("Signal timed out.", "TimeoutError")), false);
  assert.equal(neverConnected("client error (Connect)"), false);
});

Deno.test("what is logged of a failure holds no address", () => {
  const sent = "error sending request for url (https://a.example.com/?token=t): client error (SendRequest)";
  assert.equal(
    describeFetchError(new TypeError("fetch failed", { cause: new Error(sent) })),
    "error sending request for url (address) client error (SendRequest)",
  );
  assert.equal(describeFetchError(new TypeError("client error (Connect): https://a")), "no connection");
  assert.equal(describeFetchError(new DOMException("", "TimeoutError")), "no answer in time");
  assert.equal(describeFetchError(7), "no answer");
});

Deno.test("Retry-After is read as seconds or as a time", () => {
  const now = Date.parse("2026-11-20T12:00:00Z");
  const read = (value: string) => retryAfterSeconds(new Headers({ "retry-after": value }), now);
  assert.equal(read("120"), 120);
  assert.equal(read("Fri, 20 Nov 2026 12:00:01 GMT"), 1);
  assert.equal(read("Fri, 20 Nov 2026 11:00:00 GMT"), 0);
  for (const value of ["", "soon", "-1", "1.5"]) assert.equal(read(value), null, value);
  // Nobody waits for longer than a day, whoever asks for it.
  for (const value of ["86401", "999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]) {
    assert.equal(read(value), 86_400, value);
  }
  assert.equal(retryAfterSeconds(new Headers(), now), null);
});
