/**
 * The answer to one request of HTTP/1.1 over a connection, for whoever must know where it is connected to: the runtime's fetch
 * takes a name, and `node:https` can be given no address on the platform's Deno.
 */
import type { Connection } from "./public-web.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST";
  /** Beside Host, User-Agent, Connection and the body's length. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** An answer that is in no form of HTTP's, or ends before its end. */
export class BrokenAnswer extends Error {
  override readonly name = "BrokenAnswer";
}

export class TooLargeAnswer extends Error {
  override readonly name = "TooLargeAnswer";
}

/** Of the status and the headers together; the servers at large take requests of 8 to 16 kB, and answer with less. */
const maxHeadBytes = 32 * 1024;

const pieceBytes = 64 * 1024;

/**
 * Reads and chunks of an answer. 10 MB come in 7,000 packets, and in chunks of 4 kB or more: whoever sends single bytes wants
 * our time, of which an isolate has 2 s.
 */
const maxPieces = 20_000;

/**
 * Sends one request; whoever sends closes the connection. The body is read where the answer is 200, and empty else. Throws
 * BrokenAnswer, and TooLargeAnswer beyond `maxBytes`.
 */
export async function askFor(
  connection: Connection,
  url: URL,
  request: HttpRequest,
  maxBytes: number,
): Promise<HttpAnswer> {
  const { incoming, ...head } = await send(connection, url, request);
  const body = head.status === 200 ? await readBody(incoming, head.headers, maxBytes) : new Uint8Array();
  return { ...head, body };
}

/**
 * Sends one request to whoever is to have it, and need say nothing: with any status, what the body has in its first
 * `maxBytes`, or had before it broke, stalled or was cut. Throws BrokenAnswer where there is no status.
 */
export async function tell(
  connection: Connection,
  url: URL,
  request: HttpRequest,
  maxBytes: number,
): Promise<HttpAnswer> {
  const { incoming, ...head } = await send(connection, url, request);
  const hasBody = head.status !== 204 && head.status !== 304;
  return {
    ...head,
    body: hasBody ? await readBeginning(incoming, head.headers, maxBytes) : new Uint8Array(),
  };
}

async function send(connection: Connection, url: URL, { method, headers, body }: HttpRequest) {
  const content = body === undefined ? null : new TextEncoder().encode(body);
  const lines = [
    `${method} ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(content === null ? [] : [`Content-Length: ${content.length}`]),
    // What is packed could become more than it seems.
    "Accept-Encoding: identity",
    "User-Agent: Kinora",
    "Connection: close",
  ];
  const text = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
  const all = new Uint8Array(text.length + (content?.length ?? 0));
  all.set(text);
  if (content !== null) all.set(content, text.length);
  // An answer may come before all is sent, and then the rest is not taken: what there is to read decides.
  const sending = writeAll(connection, all);
  sending.catch(() => {});
  const incoming = new Incoming(connection);
  let head = await readHead(incoming);
  // Such as 103, Early Hints.
  for (let more = 0; head.status < 200; more += 1) {
    if (more === 10) throw new BrokenAnswer("nothing but interim answers");
    head = await readHead(incoming);
  }
  return { ...head, incoming };
}

async function writeAll(connection: Connection, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await connection.write(bytes.subarray(written));
}

async function readHead(incoming: Incoming): Promise<Omit<HttpAnswer, "body">> {
  const statusLine = await incoming.line(maxHeadBytes);
  const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(statusLine)?.[1];
  if (status === undefined) throw new BrokenAnswer("no status line");
  const headers = new Headers();
  let left = maxHeadBytes - statusLine.length;
  for (let line = await incoming.line(left); line !== ""; line = await incoming.line(left)) {
    left -= line.length + 1;
    const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new BrokenAnswer("a header that is none");
    headers.append(name, value);
  }
  return { status: Number(status), headers };
}

async function readBody(
  incoming: Incoming,
  headers: Headers,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const body = new Body(maxBytes);
  await readInto(body, incoming, headers);
  return body.whole();
}

async function readBeginning(
  incoming: Incoming,
  headers: Headers,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const body = new Beginning(maxBytes);
  try {
    await readInto(body, incoming, headers);
  } catch {
    // The status says what became of the request; this is for somebody to read.
  }
  return body.whole();
}

async function readInto(body: Body, incoming: Incoming, headers: Headers): Promise<void> {
  const coding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (coding !== null) {
    if (coding.toLowerCase() !== "chunked") throw new BrokenAnswer("a coding that nobody asked for");
    let chunks = 0;
    for (let size = await readChunkSize(incoming); size > 0; size = await readChunkSize(incoming)) {
      chunks += 1;
      if (chunks > maxPieces) throw new BrokenAnswer("too many chunks");
      await body.take(incoming, size);
      if (await incoming.line(0) !== "") throw new BrokenAnswer("a chunk without an end");
    }
  } else if (length !== null) {
    if (!/^\d{1,15}$/.test(length)) throw new BrokenAnswer("a length that is none");
    await body.take(incoming, Number(length));
  } else {
    await body.takeAll(incoming);
  }
}

async function readChunkSize(incoming: Incoming): Promise<number> {
  // With the extensions that it may have.
  const size = /^([\da-f]{1,10})[ \t]*(?:;.*)?$/i.exec(await incoming.line(1024))?.[1];
  if (size === undefined) throw new BrokenAnswer("a chunk without a size");
  return parseInt(size, 16);
}

/** The bytes of a connection, in their order. */
class Incoming {
  /** One for all reads: a piece of a single byte would hold as much as a full one. */
  readonly #buffer = new Uint8Array(pieceBytes);
  #rest = new Uint8Array();
  #reads = 0;

  constructor(readonly connection: Connection) {}

  /** Some of what comes next, `most` at most, until the next call; null at the end. */
  async some(most: number): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#rest.length === 0) {
      const piece = await this.#read();
      if (piece === null) return null;
      this.#rest = piece;
    }
    const taken = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  /** The next line, without its end. Throws BrokenAnswer where it is longer than `most`. */
  async line(most: number): Promise<string> {
    let line = "";
    while (true) {
      const piece = await this.some(pieceBytes);
      if (piece === null) throw new BrokenAnswer("it ends in a line");
      const end = piece.indexOf(10);
      line += String.fromCharCode(...piece.subarray(0, Math.min(end === -1 ? piece.length : end, most + 2)));
      if (line.replace(/\r$/, "").length > most) throw new BrokenAnswer("a line that is too long");
      if (end === -1) continue;
      // All that was there was taken.
      this.#rest = piece.subarray(end + 1);
      return line.replace(/\r$/, "");
    }
  }

  async #read(): Promise<Uint8Array<ArrayBuffer> | null> {
    this.#reads += 1;
    if (this.#reads > maxPieces) throw new BrokenAnswer("too many pieces");
    const count = await this.connection.read(this.#buffer);
    return count === null ? null : this.#buffer.subarray(0, count);
  }
}

/** A body as far as it has come. */
class Body {
  #content = new Uint8Array(pieceBytes);
  #length = 0;

  constructor(readonly maxBytes: number) {}

  /** Throws TooLargeAnswer before any of it is read, and BrokenAnswer where fewer come. */
  async take(incoming: Incoming, bytes: number): Promise<void> {
    this.expect(bytes);
    for (let missing = bytes; missing > 0;) {
      const piece = await incoming.some(missing);
      if (piece === null) throw new BrokenAnswer("it ends before its end");
      this.#keep(piece);
      missing -= piece.length;
    }
  }

  async takeAll(incoming: Incoming): Promise<void> {
    for (
      let piece = await incoming.some(pieceBytes);
      piece !== null;
      piece = await incoming.some(pieceBytes)
    ) {
      this.#keep(piece);
    }
  }

  protected expect(bytes: number): void {
    if (this.#length + bytes > this.maxBytes) throw new TooLargeAnswer("The answer is too large");
  }

  #keep(piece: Uint8Array<ArrayBuffer>): void {
    const kept = piece.subarray(0, this.maxBytes - this.#length);
    const length = this.#length + kept.length;
    if (length > this.#content.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#content.length));
      larger.set(this.#content);
      this.#content = larger;
    }
    this.#content.set(kept, this.#length);
    this.#length = length;
    if (kept.length < piece.length) throw new TooLargeAnswer("The answer is too large");
  }

  whole(): Uint8Array<ArrayBuffer> {
    return this.#content.subarray(0, this.#length);
  }
}

/** The beginning of a body, whatever length it says to have. */
class Beginning extends Body {
  protected override expect(): void {}
}
