/** A request that is refused before its body is read: on the platform's Deno too, its sender can read why. */
import assert from "node:assert/strict";
import { eventually } from "./eventually.ts";
import { pathToFileURL } from "node:url";
import { startFunctions } from "../../local/functions/functions.ts";
import { type FunctionsSource, platformDeno } from "../../local/functions/functions-source.ts";
import { testEnvironment } from "../../supabase/functions/_shared/testing/config.ts";
import { createTokenIssuer, publishableKey } from "../../supabase/functions/_shared/testing/tokens.ts";
import { webhookToken } from "../../supabase/functions/_shared/videos/providers/webhook-token.ts";
import { buildDeployment } from "../../tools/bundles.ts";

/** Milliseconds: what request-body.ts grants to a body that nobody wants, and as much again for a busy machine. */
const maxAnswer = 6_000;

const issuer = await createTokenIssuer();
const user = { apikey: publishableKey, authorization: `Bearer ${await issuer.sign()}` };
const json = { "content-type": "application/json" };

const webhookSecret = "w".repeat(32);

/** What the functions have logged. */
const logged: string[] = [];

let source: FunctionsSource;
let port: number;
let url: string;
const cleanup = new AsyncDisposableStack();

/** Serves what is deployed. No database: none of these requests comes so far. */
async function serve(environment: Record<string, string>) {
  let current = 0;
  const functions = await startFunctions({
    source,
    environment,
    log: (text) => void logged.push(text),
    onPort: (port = 0) => {
      current = port;
      return Promise.resolve();
    },
    watch: false,
  });
  return { port: current, [Symbol.asyncDispose]: () => functions[Symbol.asyncDispose]() };
}

Deno.test.beforeAll(async () => {
  const directory = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  source = {
    directory: pathToFileURL(`${await buildDeployment(directory)}/`),
    deno: await platformDeno(),
  };
  ({ port } = cleanup.use(
    await serve({ ...testEnvironment, SUPABASE_JWKS: issuer.jwks, WEBHOOK_SECRET: webhookSecret }),
  ));
  url = `http://127.0.0.1:${port}`;
});

Deno.test.afterAll(() => cleanup.disposeAsync());

/** Where a provider calls, with the token that it was told, or another one. */
function webhookPath(token?: string): string {
  const submission = { provider: "fal", submission_id: crypto.randomUUID(), owner: crypto.randomUUID() };
  const own = webhookToken(webhookSecret, submission.provider, submission.submission_id);
  return `provider-webhook?${new URLSearchParams({ ...submission, token: token ?? own })}`;
}

interface Refusal {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly code: string;
  /** Bytes that a body must have to be refused so. */
  readonly from?: number;
}

const refusals: Record<string, Refusal> = {
  "a method that the endpoint does not have": { path: "generate-video", method: "PUT", code: "ERR_4014" },
  "a path below the endpoint": {
    path: "generate-video/more",
    headers: { ...user, ...json },
    code: "ERR_4007",
  },
  "no credentials": { path: "generate-video", headers: json, code: "ERR_4005" },
  "a forged token": {
    path: "cancel-video",
    headers: { ...user, ...json, authorization: "Bearer e30.e30.e30" },
    code: "ERR_4005",
  },
  "no secret key": { path: "process-jobs", headers: { ...user, ...json }, code: "ERR_4005" },
  "no admin": { path: "admin-users", headers: { ...user, ...json }, code: "ERR_4006" },
  "an unknown parameter": { path: "generate-video?x=1", headers: { ...user, ...json }, code: "ERR_4008" },
  "a webhook without its parameters": { path: "provider-webhook", headers: json, code: "ERR_4008" },
  "a type that is not JSON": {
    path: "generate-video",
    headers: { ...user, "content-type": "video/mp4" },
    code: "ERR_4018",
  },
  "a body that is too long": {
    path: "generate-video",
    headers: { ...user, ...json },
    code: "ERR_4013",
    from: 256 * 1024 + 1,
  },
  "a webhook without our token": { path: webhookPath("0".repeat(43)), headers: json, code: "ERR_4005" },
  "a webhook that is too long": {
    path: webhookPath(),
    headers: json,
    code: "ERR_4013",
    from: 4 * 1024 * 1024 + 1,
  },
  "a body where none is asked for, and too long": {
    path: "user-profile",
    method: "DELETE",
    headers: { ...user, ...json },
    code: "ERR_4013",
    from: 256 * 1024 + 1,
  },
};

const kilobyte = 1_000;
const sizes = [0, kilobyte, 100 * kilobyte, 256 * 1024, 300 * kilobyte, 1_000 * kilobyte, 5_000 * kilobyte];

/** Bytes in pieces, so that nothing says beforehand how many there are. */
function inPieces(size: number): ReadableStream<Uint8Array> {
  let left = size;
  return new ReadableStream({
    pull(controller) {
      const piece = Math.min(left, 16 * 1024);
      left -= piece;
      if (piece === 0) controller.close();
      else controller.enqueue(new Uint8Array(piece));
    },
  });
}

/** Fails unless a body of every size is answered with the refusal's code. */
async function assertRefused(base: string, { path, method = "POST", headers = {}, code, from = 0 }: Refusal) {
  for (const size of sizes.filter((size) => size >= from)) {
    for (const body of [() => new Uint8Array(size), () => inPieces(size)]) {
      // Once may go well by chance: it is the kernel that decides whether a reset overtakes the answer.
      for (let turn = 0; turn < 3; turn++) {
        const response = await fetch(`${base}/${path}`, { method, headers, body: body() });
        const { error } = await response.json();
        assert.equal(error?.code, code, `${size} bytes`);
      }
    }
  }
}

for (const [name, refusal] of Object.entries(refusals)) {
  Deno.test(`${name} is told to the sender, however long the body`, () => assertRefused(url, refusal));
}

Deno.test("a deployment without its variables says so, however long the body", async () => {
  await using misconfigured = await serve({});
  await assertRefused(`http://127.0.0.1:${misconfigured.port}`, {
    path: "generate-video",
    headers: { ...user, ...json },
    code: "ERR_6003",
  });
});

Deno.test("a preflight with a body is answered", async () => {
  for (const size of sizes) {
    const response = await fetch(`${url}/generate-video`, { method: "OPTIONS", body: new Uint8Array(size) });
    assert.equal(response.status, 204, `${size} bytes`);
  }
});

/** Sends a request whose body goes on as `send` says; gives the answer's first line and how long it took. */
async function converse(
  headers: string,
  send: (connection: Deno.TcpConn, answered: AbortSignal) => Promise<void>,
): Promise<{ statusLine: string; milliseconds: number }> {
  const startedAt = performance.now();
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const answered = new AbortController();
  await connection.write(
    new TextEncoder().encode(`PUT /generate-video HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers}\r\n\r\n`),
  );
  // Whoever has been answered may be cut off.
  const sending = send(connection, answered.signal).catch(() => {});
  const bytes = new Uint8Array(4096);
  const read = await connection.read(bytes).catch(() => null);
  const milliseconds = performance.now() - startedAt;
  answered.abort();
  await sending;
  const [statusLine = ""] = new TextDecoder().decode(bytes.subarray(0, read ?? 0)).split("\r\n");
  return { statusLine, milliseconds };
}

const resolveAfter = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

Deno.test("a body that stalls or trickles is not waited for", async () => {
  const headers = ["content-length: 1000000", "transfer-encoding: chunked"];
  const stalled = headers.map((header) => converse(header, () => Promise.resolve()));
  const trickling = converse("content-length: 1000000", async (connection, answered) => {
    while (!answered.aborted) {
      await connection.write(new Uint8Array(1));
      await resolveAfter(50);
    }
  });
  for (const { statusLine, milliseconds } of await Promise.all([...stalled, trickling])) {
    assert.equal(statusLine, "HTTP/1.1 405 Method Not Allowed");
    assert(milliseconds < maxAnswer, `${milliseconds} ms`);
  }
});

Deno.test("a body without an end is not read to its end", async () => {
  const chunk = new TextEncoder().encode(`10000\r\n${"x".repeat(0x10000)}\r\n`);
  let sent = 0;
  const { milliseconds } = await converse("transfer-encoding: chunked", async (connection, answered) => {
    const writer = connection.writable.getWriter();
    while (!answered.aborted) {
      await writer.write(chunk);
      sent += chunk.byteLength;
    }
  });
  assert(milliseconds < maxAnswer, `${milliseconds} ms`);
  // 8 MiB are read; the rest is what kernel and server hold for a connection.
  assert(sent > 8 * 1024 * 1024, `only ${sent} bytes were taken`);
  assert(sent < 24 * 1024 * 1024, `${sent} bytes were taken`);
});

/** Opens a connection and sends the head of a POST with so long a body, and the beginning of that. */
async function openUpload(path: string, headers: Record<string, string>): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers }).map(([name, value]) =>
    `${name}: ${value}`
  );
  await write(
    connection,
    `POST /${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\ncontent-length: 100000\r\n\r\n{`,
  );
  return connection;
}

async function write(connection: Deno.TcpConn, text: string): Promise<void> {
  await connection.write(new TextEncoder().encode(text));
}

const uploads: Record<string, () => [path: string, headers: Record<string, string>]> = {
  "a webhook with our token": () => [webhookPath(), json],
  "a webhook without it": () => [webhookPath("0".repeat(43)), json],
  "a user's request": () => ["generate-video", { ...user, ...json }],
  "a stranger's request": () => ["generate-video", json],
};

/** The log's lines about requests to come, of this many at least. */
async function requestsLogged(from: number, count: number): Promise<{ level: string; status: number }[]> {
  return await eventually(`${count} requests in the log`, () => {
    const lines = logged.slice(from).join("\n").split("\n").filter((line) =>
      line.includes('"event":"request"')
    );
    return Promise.resolve(lines.length >= count ? lines.map((line) => JSON.parse(line)) : undefined);
  });
}

for (const [what, about] of Object.entries(uploads)) {
  Deno.test(`${what} whose body breaks off is no fault of ours`, async () => {
    const from = logged.length;
    const connections = await Promise.all(
      Array.from({ length: 5 }, async () => await openUpload(...about())),
    );
    for (const connection of connections) connection.close();
    for (const { level, status } of await requestsLogged(from, 5)) {
      assert(status < 500 && level === "info", `${level} ${status}`);
    }
    assert(!/"level":"(error|critical)"/.test(logged.slice(from).join("\n")), logged.slice(from).join("\n"));
  });

  Deno.test(`${what} that comes drop by drop is not waited for`, async () => {
    const connections = await Promise.all(
      Array.from({ length: 21 }, async () => await openUpload(...about())),
    );
    const drops = setInterval(() => {
      for (const connection of connections) write(connection, "x").catch(() => {});
    }, 100);
    const startedAt = performance.now();
    try {
      await Promise.all(connections.map(async (connection) => {
        const answer = new Uint8Array(1_000);
        const length = await connection.read(answer);
        assert.match(new TextDecoder().decode(answer.subarray(0, length ?? 0)), /^HTTP\/1.1 4\d\d /);
      }));
    } finally {
      clearInterval(drops);
      for (const connection of connections) connection.close();
    }
    // A body gets 5 s, what is left of it 3, and the machine may be busy.
    assert(performance.now() - startedAt < 16_000);
  });
}
