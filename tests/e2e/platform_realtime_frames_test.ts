/** Realtime on this machine against clients that speak its protocol badly, too much, or not at all. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { propertyOptions } from "../runs.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { startBackend } from "./support/backend.ts";
import { createTokens } from "../../local/platform/auth/tokens.ts";
import { createPool } from "../../local/platform/pool.ts";
import { loginAs } from "../../local/platform/platform-roles.ts";
import { platformLimits } from "../../local/platform/realtime/connection.ts";
import { createRealtime } from "../../local/platform/realtime/realtime.ts";

const backend = shared(startBackend);

type Frame = string | Uint8Array<ArrayBuffer>;

interface Client extends AsyncDisposable {
  send(frame: Frame): void;
  /** What has come, as version 1 writes it. */
  readonly came: { topic: string; event: string; ref: string | null; payload: Record<string, unknown> }[];
  /** Resolves when the connection has ended. */
  readonly ended: Promise<CloseEvent>;
  /** Whether it is heard: the connection has not ended when its heartbeat is answered. */
  isHeard(): Promise<boolean>;
}

/** A connection by hand, which is open. */
async function open(
  { vsn = "1.0.0", key = backend.stack.publishableKey, url = backend.stack.url, heartbeat = 0 } = {},
): Promise<Client> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/realtime/v1/websocket?apikey=${key}&vsn=${vsn}`);
  socket.binaryType = "arraybuffer";
  const came: Client["came"] = [];
  const ended = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  const beats = new Map<string, () => void>();
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") return;
    const json = JSON.parse(data);
    const [, ref, topic, event, payload] = vsn === "1.0.0"
      ? [null, json.ref, json.topic, json.event, json.payload]
      : json;
    if (topic === "phoenix") return beats.get(ref)?.();
    came.push({ topic, event, ref, payload });
  };
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error("There is no connection"));
  });
  return {
    came,
    ended,
    send: (frame) => socket.send(frame),
    async isHeard() {
      const ref = `beat ${heartbeat++}`;
      const beat = new Promise<true>((resolve) => beats.set(ref, () => resolve(true)));
      socket.send(JSON.stringify(
        vsn === "1.0.0"
          ? { topic: "phoenix", event: "heartbeat", payload: {}, ref, join_ref: null }
          : [null, ref, "phoenix", "heartbeat", {}],
      ));
      return await Promise.race([beat, ended.then(() => false)]);
    },
    async [Symbol.asyncDispose]() {
      if (socket.readyState < WebSocket.CLOSING) socket.close();
      await ended;
    },
  };
}

/** What a client hears that is sent away with this code; 0 where it was still sending, and its connection was reset. */
const sentAway = (code: number) => [code, 0];

const until = (what: string, holds: () => boolean) => eventually(what, () => holds() || undefined);

const joining = (topic: string, ref: string) =>
  JSON.stringify({
    ...{ topic: `realtime:${topic}`, event: "phx_join", ref, join_ref: ref },
    payload: { config: { private: true } },
  });

/** Anything that a client may write where a message is wanted, and what is nearly one. */
const names = fc.constantFrom(
  "phx_join",
  "phx_leave",
  "access_token",
  "broadcast",
  "presence",
  "heartbeat",
  "",
);
const topics = fc.oneof(
  fc.constantFrom("phoenix", "realtime:", "realtime:user:", "realtime:\u0000", "realtime:\ud800", "room"),
  fc.string({ unit: "binary" }).map((name) => `realtime:${name}`),
);
const tokens = fc.oneof(fc.string(), fc.jsonValue(), fc.constantFrom("eyJhbGciOiJub25lIn0.e30.", "a.b.c"));
const payloads = fc.oneof(
  fc.jsonValue(),
  fc.record({
    config: fc.oneof(
      fc.jsonValue(),
      fc.record({ private: fc.boolean(), broadcast: fc.jsonValue(), presence: fc.jsonValue() }),
    ),
    access_token: tokens,
    event: fc.jsonValue(),
  }),
);
const references = fc.oneof(fc.constantFrom(null, "1", 1), fc.jsonValue());
const nested = fc.integer({ min: 1, max: 100_000 }).map((depth) => "[".repeat(depth) + "]".repeat(depth));
const frames: fc.Arbitrary<Frame> = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.json(),
  nested,
  nested.map((json) => `[null,"1","realtime:a","phx_join",${json}]`),
  fc.tuple(references, references, topics, names, payloads).map((parts) => JSON.stringify(parts)),
  fc.tuple(references, references, topics, names, payloads).map(([join_ref, ref, topic, event, payload]) =>
    JSON.stringify({ join_ref, ref, topic, event, payload })
  ),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Uint8Array.from(bytes)),
  fc.uint8Array({ minLength: 6, maxLength: 300 }).map((bytes) => Uint8Array.from([3, ...bytes])),
  fc.uint8Array({ minLength: 5, maxLength: 5 }).chain((sizes) =>
    fc.string().map((text) => Uint8Array.from([3, ...sizes, 1, ...new TextEncoder().encode(text)]))
  ),
);

Deno.test("no frame, however malformed, ends the gateway or another's connection", async () => {
  const { pid } = backend.stack.gateway;
  await using other = await open();
  for (const vsn of ["1.0.0", "2.0.0"]) {
    let client = await open({ vsn });
    await fc.assert(
      fc.asyncProperty(frames, async (frame) => {
        client.send(frame);
        if (await client.isHeard()) return;
        assert(sentAway(1007).includes((await client.ended).code));
        client = await open({ vsn });
      }),
      propertyOptions(300, 5_000),
    );
    await client[Symbol.asyncDispose]();
  }
  assert(await other.isHeard());
  assert.equal(backend.stack.gateway.pid, pid);
});

/** Sends it as it is to the gateway, and closes when something was answered, or at once. */
async function handshake(lines: readonly string[], waits: boolean): Promise<string> {
  const { hostname, port } = new URL(backend.stack.url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
  if (!waits) return "";
  const buffer = new Uint8Array(64);
  const length = await connection.read(buffer) ?? 0;
  return new TextDecoder().decode(buffer.subarray(0, length)).split("\r\n")[0] ?? "";
}

Deno.test("no handshake, however broken off, ends the gateway", async () => {
  const { publishableKey, gateway } = backend.stack;
  const path = `/realtime/v1/websocket?apikey=${publishableKey}`;
  const good = [
    `GET ${path} HTTP/1.1`,
    "Host: localhost",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  const { pid } = gateway;
  assert.match(await handshake(good, true), / 101 /);
  const changed = (from: string, to: string) => good.map((line) => line.replace(from, to));
  const bad: [string[], RegExp][] = [
    ...[2, 3, 5].map((
      place,
    ): [string[], RegExp] => [good.filter((_, index) => index !== place), / 4\d\d /]),
    [changed("GET", "POST"), / 4\d\d /],
    [changed("Upgrade: websocket", "Upgrade: h2c"), / 4\d\d /],
    [changed(publishableKey, "sb_publishable_of_nobody"), / 401 /],
    [changed(`?apikey=${publishableKey}`, ""), / 401 /],
    [changed(path, `${path}&vsn=9.0.0`), / 400 /],
    [changed(path, `${path}&vsn=`), / 400 /],
    [changed("/websocket", "/api/broadcast"), / 404 /],
    [[...good, "Authorization: Bearer forged"], / 403 /],
  ];
  for (const [lines, status] of bad) assert.match(await handshake(lines, true), status, lines.join("\n"));
  // Gone before the answer.
  await Promise.all(
    Array.from(
      { length: 200 },
      (_, index) => handshake(index % 2 === 0 ? good : (bad[index % bad.length]?.[0] ?? good), false),
    ),
  );
  await using client = await open();
  assert(await client.isHeard());
  assert.equal(gateway.pid, pid);
});

Deno.test("a connection has a hundred channels, and room for another when one is left", async () => {
  // Whose role no policy binds.
  await using client = await open({ key: backend.stack.secretKey });
  for (let number = 1; number <= platformLimits.channels + 1; number++) {
    client.send(joining(`room ${number}`, `${number}`));
  }
  const last = platformLimits.channels + 1;
  await until("all are answered", () => client.came.length === last);
  const refused = client.came.filter(({ payload }) => payload.status !== "ok");
  assert.deepEqual(refused.map(({ ref, payload }) => [ref, payload.response]), [
    [`${last}`, { reason: "ChannelRateLimitReached: Too many channels" }],
  ]);
  client.send(
    JSON.stringify({
      topic: "realtime:room 7",
      event: "phx_leave",
      payload: {},
      ref: "leave",
      join_ref: "7",
    }),
  );
  client.send(joining("room 101", "again"));
  await until("it is joined", () => client.came.some(({ ref }) => ref === "again"));
  assert.equal(client.came.find(({ ref }) => ref === "again")?.payload.status, "ok");
});

Deno.test("a message of more than 256 kB is neither taken nor told, a smaller one is", async () => {
  await using client = await open({ key: backend.stack.secretKey });
  client.send(joining("large", "1"));
  await until("it is joined", () => client.came.length === 1);
  const { sql } = backend.database;
  for (const [id, size] of [["too large", 256_001], ["large", 255_900]] as const) {
    await sql`
      select realtime.send(jsonb_build_object('id', ${id}::text, 'text', repeat('x', ${size}::int)), 'video', 'large', true)`;
  }
  await until("one is told", () => client.came.length === 2);
  const { payload } = client.came[1]?.payload as { payload: { id: string } };
  assert.equal(payload.id, "large");

  client.send(
    JSON.stringify({ topic: "realtime:large", event: "broadcast", payload: { text: "x".repeat(260_000) } }),
  );
  assert.equal((await client.ended).code, 1009);
});

Deno.test("who asks for more than can be done at once is sent away", async () => {
  await using client = await open({ key: backend.stack.secretKey });
  for (let number = 0; number < 2_000; number++) client.send(joining("the same", `${number}`));
  assert(sentAway(1008).includes((await client.ended).code));
  await using other = await open();
  assert(await other.isHeard());
});

Deno.test("a silent connection ends, one that sends heartbeats does not", async () => {
  const pool = createPool(loginAs("supabase_realtime_admin", backend.database.url));
  // Longer than the machine keeps a client from sending.
  const idleMilliseconds = 2_000;
  const realtime = createRealtime(
    pool,
    await createTokens(`${backend.stack.url}/auth/v1`, backend.keys.signingKey),
    { ...platformLimits, idleMilliseconds },
  );
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      realtime.connect(request, new URL(request.url), { key: "publishable", claims: { role: "anon" } }),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  await using client = await open({ url });
  const begin = performance.now();
  while (performance.now() < begin + 3 * idleMilliseconds) assert(await client.isHeard());
  const { code, reason } = await client.ended;
  assert.deepEqual({ code, reason }, { code: 1000, reason: "Idle" });
  await pool.end();
});

Deno.test("whoever might have missed something is sent away, and hears again when they are back", async () => {
  const { sql } = backend.database;
  await using client = await open({ key: backend.stack.secretKey });
  client.send(joining("lost", "1"));
  await until("it is joined", () => client.came.length === 1);
  await sql`
    select pg_terminate_backend(a.pid) from pg_stat_activity as a
    where a.datname = current_database() and a.query = 'listen realtime_messages'`;
  assert.equal((await client.ended).code, 1012);
  await using again = await open({ key: backend.stack.secretKey });
  again.send(joining("lost", "1"));
  await until("it is joined", () => again.came.length === 1);
  await sql`select realtime.send('{"id":"heard"}', 'video', 'lost', true)`;
  await until("it is heard", () => again.came.length === 2);
});
