import assert from "node:assert/strict";
import { fakeWeb, type FakeWorld } from "../testing/web.ts";
import { fetchPublic, isPublicAddress, NotFetched } from "./public-fetch.ts";

const start = "https://a.example.com/picture";
const [address, other] = ["93.184.215.14", "2606:4700::1111"];
const names = { "a.example.com": [address], "b.example.com": [other] };
const found = { pieces: ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"] };
const redirect = (location: string, status = 302) => ({
  pieces: [`HTTP/1.1 ${status} Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`],
});

/** What is fetched, or why not; every connection is closed then. */
async function fetched(
  world: FakeWorld,
  { url = start, maxBytes = 10, milliseconds = 5_000 } = {},
): Promise<{ result: string; events: string[] }> {
  const web = fakeWeb({ names, ...world });
  const result = await fetchPublic(web, url, { maxBytes, milliseconds })
    .then((bytes) => new TextDecoder().decode(bytes), (error) => {
      assert(error instanceof NotFetched, String(error));
      assert(!/example|93\.184/.test(error.message), "no message has an address");
      return error.reason;
    });
  assert.equal(web.open(), 0, "connections that are left");
  return { result, events: web.events };
}

Deno.test("what is fetched comes from an address that was checked, by the host's own name", async () => {
  assert.deepEqual(await fetched({ answers: [found] }), {
    result: "ok",
    events: ["resolve a.example.com", `connect ${address} a.example.com`, "GET /picture HTTP/1.1"],
  });
});

Deno.test("an answer's body is read in each of HTTP's forms, however it comes in pieces", async () => {
  const head = "HTTP/1.1 200 OK\r\n";
  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`;
  const answers = [
    `${head}Content-Length: 5\r\n\r\nhello`,
    `${head}Content-Length: 5\r\n\r\nhello and what follows`,
    `${head}\r\nhello`,
    "HTTP/1.0 200 OK\r\n\r\nhello",
    "HTTP/1.1 200\r\n\r\nhello",
    `${chunked}5\r\nhello\r\n0\r\n\r\n`,
    `${chunked}2;a=b\r\nhe\r\n3 \r\nllo\r\n0\r\nTrailer: x\r\n\r\n`,
    `${chunked.toUpperCase().replace("CHUNKED", "Chunked")}005\r\nhello\r\n000\r\n\r\n`,
    `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${head}content-length:5\r\n\r\nhello`,
    `${head.replace("\r\n", "\n")}content-length: 5\n\nhello`,
  ];
  for (const answer of answers) {
    for (const size of [1, 3, answer.length]) {
      const pieces = answer.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      assert.equal((await fetched({ answers: [{ pieces }] })).result, "hello", `${answer} by ${size}`);
    }
  }
});

Deno.test("what is no answer of HTTP's, or ends too early, may pass", async () => {
  const head = "HTTP/1.1 200 OK\r\n";
  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`;
  const answers = [
    "",
    "SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/1.1 99 Odd\r\n\r\n",
    "HTTP/2 200\r\n\r\n",
    head,
    `${head}Content-Length: 5\r\n\r\nhell`,
    `${head}Content-Length: 5, 6\r\n\r\nhello`,
    `${head}Content-Length: -1\r\n\r\nhello`,
    `${head}Transfer-Encoding: gzip, chunked\r\n\r\nhello`,
    `${head}no header\r\n\r\nhello`,
    `${head} folded: x\r\n\r\nhello`,
    `${head}X: ${"x".repeat(40_000)}\r\n\r\n`,
    `${head}${"X: x\r\n".repeat(10_000)}\r\n`,
    "HTTP/1.1 100 Continue\r\n\r\n".repeat(20),
    `${chunked}5\r\nhello\r\n`,
    `${chunked}5\r\nhello0\r\n\r\n`,
    `${chunked}x\r\nhello\r\n0\r\n\r\n`,
    `${chunked}fffffffffff\r\nhello`,
    `${chunked}5;${"x".repeat(5_000)}\r\nhello\r\n0\r\n\r\n`,
  ];
  for (const answer of answers) {
    assert.equal((await fetched({ answers: [{ pieces: [answer] }] })).result, "passing", answer.slice(0, 80));
  }
});

Deno.test("a body beyond the limit is refused before it is read, or as soon as it is there", async () => {
  const head = "HTTP/1.1 200 OK\r\n";
  const endless = Array.from({ length: 1000 }, () => "12345");
  const answers = [
    { pieces: [`${head}Content-Length: 5368709120\r\n\r\n`], goesOn: true },
    { pieces: [`${head}Content-Length: 11\r\n\r\n`], goesOn: true },
    { pieces: [`${head}\r\n`, ...endless], goesOn: true },
    { pieces: [`${head}Transfer-Encoding: chunked\r\n\r\n`, "ffffffff\r\n"], goesOn: true },
    { pieces: [`${head}Transfer-Encoding: chunked\r\n\r\n`, "6\r\n123456\r\n5\r\n"], goesOn: true },
  ];
  for (const answer of answers) assert.equal((await fetched({ answers: [answer] })).result, "too_large");
  const whole = { pieces: [`${head}Content-Length: 10\r\n\r\n1234567890`] };
  assert.equal((await fetched({ answers: [whole] })).result, "1234567890");
});

Deno.test("who sends single bytes gets little of our memory, and of our time", async () => {
  const head = "HTTP/1.1 200 OK\r\n";
  const before = Deno.memoryUsage().external;
  const drop = Uint8Array.of(120);
  const dripped = await fetched({ answers: [{ pieces: [`${head}\r\n`, ...Array(2_000).fill(drop)] }] }, {
    maxBytes: 10_000,
  });
  assert.equal(dripped.result.length, 2_000);
  assert(Deno.memoryUsage().external - before < 32 * 1024 * 1024, "no piece holds a buffer");

  const chunks = `${head}Transfer-Encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(30_000)}`;
  const endless = [[`${head}\r\n`, ...Array(30_000).fill(drop)], [chunks]];
  for (const pieces of endless) {
    assert.equal((await fetched({ answers: [{ pieces }] }, { maxBytes: 100_000 })).result, "passing");
  }
});

Deno.test("a host that is slow is given up in its time, whatever it was at", async () => {
  const head = "HTTP/1.1 200 OK\r\n";
  const answers = [[], ["HTTP/1."], [head], [`${head}Content-Length: 5\r\n\r\nhel`], [`${head}\r\nhel`]];
  for (const pieces of answers) {
    const { result } = await fetched({ answers: [{ pieces, goesOn: true }] }, { milliseconds: 10 });
    assert.equal(result, "passing", String(pieces));
  }
});

Deno.test("redirects are followed three times, and each is looked up and checked alike", async () => {
  const [to, back] = ["https://b.example.com/x", "/picture"];
  const { result, events } = await fetched({
    answers: [redirect(to), redirect("y?z=1", 307), redirect(start, 308), found],
  });
  assert.equal(result, "ok");
  assert.deepEqual(events.filter((event) => event.startsWith("connect")), [
    `connect ${address} a.example.com`,
    `connect ${other} b.example.com`,
    `connect ${other} b.example.com`,
    `connect ${address} a.example.com`,
  ]);
  assert(events.includes("GET /y?z=1 HTTP/1.1"));
  const loop = await fetched({ answers: Array(9).fill(redirect(back)) });
  assert.equal(loop.result, "missing");
  assert.equal(loop.events.filter((event) => event.startsWith("GET")).length, 4);
});

Deno.test("no redirect leads to another scheme, a port, an address or a name that is not public", async () => {
  const locations = [
    "http://a.example.com/",
    "//127.0.0.1/",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://①②⑦.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:7f00:1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://localhost/",
    "https://metadata.google.internal/",
    "https://a.example.com:8443/",
    "https://user@a.example.com/",
    "file:///etc/passwd",
    "data:image/png;base64,AAAA",
    "https://",
    "",
  ];
  for (const location of locations) {
    const { result, events } = await fetched({ answers: [redirect(location), found] });
    // An empty one is the same page again, which is then there.
    assert.equal(result, location === "" ? "ok" : "missing", location);
    if (location !== "") assert.equal(events.length, 3, `${location}: ${events}`);
  }
  const { result } = await fetched({
    names: { ...names, "b.example.com": ["10.0.0.1"] },
    answers: [redirect("https://b.example.com/"), found],
  });
  assert.equal(result, "missing", "a name that leads into a private network");
});

Deno.test("a name of which one address is not public is not connected to", async () => {
  for (const addresses of [["10.0.0.1"], [address, "127.0.0.1"], [address, "::1"], ["not an address"]]) {
    const { result, events } = await fetched({ names: { "a.example.com": addresses }, answers: [found] });
    assert.deepEqual([result, events], ["missing", ["resolve a.example.com"]], String(addresses));
  }
  assert.equal((await fetched({ names: {} })).result, "missing", "a name without an address");
  const away = { "a.example.com": new Error("no name server answers") };
  assert.equal((await fetched({ names: away })).result, "passing", "nobody can tell");
});

Deno.test("the next address is tried where one does not answer, and the name is not looked up again", async () => {
  const { result, events } = await fetched({
    names: { "a.example.com": [address, other] },
    answers: [new Error("refused"), found],
  });
  assert.equal(result, "ok");
  assert.deepEqual(events.slice(0, 3), [
    "resolve a.example.com",
    `connect ${address} a.example.com`,
    `connect ${other} a.example.com`,
  ]);
  const many = await fetched({
    names: { "a.example.com": Array.from({ length: 50 }, (_, n) => `93.184.215.${n}`) },
  });
  assert.deepEqual([many.result, many.events.length], ["passing", 4]);
});

Deno.test("what other answers mean: a refusal stays, an accident may pass", async () => {
  for (const status of [204, 206, 300, 304, 400, 401, 403, 404, 410, 451]) {
    const answer = { pieces: [`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`] };
    assert.equal((await fetched({ answers: [answer] })).result, "missing", String(status));
  }
  for (const status of [408, 425, 429, 500, 502, 503, 504, 599]) {
    const answer = { pieces: [`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`] };
    assert.equal((await fetched({ answers: [answer] })).result, "passing", String(status));
  }
});

Deno.test("an address is public only where it is nobody's own, in any notation and inside another", () => {
  const special = [
    ...["0.0.0.0", "0.1.2.3", "10.255.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254"],
    ...["169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1"],
    ...["192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"],
    ...["255.255.255.255", "168.63.129.16", "2130706433", "0x7f.1", "017700000001", "127.1", "0177.0.0.1"],
    ...["::", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1"],
    ...["::ffff:168.63.129.16", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1"],
    ...["64:ff9b:1::a00:1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"],
    ...["2002:7f00:1::", "2002:a00:1::1", "2001::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1"],
    ...["2001:2::1", "2001:10::1", "4000::1", "e000::1", "", "localhost", "1.2.3.4.5", "g::1"],
  ];
  for (const text of special) assert.equal(isPublicAddress(text), false, text);
  const open = ["8.8.8.8", "93.184.215.14", "1.1.1.1", "100.63.255.255", "172.32.0.1", "::ffff:8.8.8.8"];
  for (const text of [...open, "2606:4700::1111", "2a00:1450:4001::1"]) {
    assert.equal(isPublicAddress(text), true, text);
  }
});
