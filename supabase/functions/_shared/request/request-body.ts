/** Reading what a caller sends: size, type, encoding, JSON. */
import { codes } from "../errors/error-codes.ts";
import { AppError } from "../errors/app-error.ts";
import { malformed } from "./validation.ts";

/** 256 kB: a prompt of 2,000 characters is at most 8 kB, device tokens and store receipts a few. */
export const maxBodyBytes = 256 * 1024;

/** How slowly a body may come; milliseconds. */
export interface Pace {
  /** However little has come. */
  readonly grace: number;
  /** More of them for each kB that has come, so that a body has to go on. */
  readonly perKilobyte: number;
  /** However much has come. */
  readonly max: number;
}

/**
 * 1 kB/s is less than the slowest phone sends, and a request is mostly a few kB; whoever drips a body byte by byte is gone
 * after 5 s. In 30 s a phone with 70 kbit/s has sent the longest body of an app, and a provider's computer the longest webhook.
 */
const bodyPace: Pace = { grace: 5_000, perKilobyte: 1_000, max: 30_000 };

/**
 * The whole body, counted as it streams, whatever Content-Length says. Throws ERR_4013 as soon as it is longer than the
 * limit, and leaves the rest unread, for `discardBody`; ERR_4008 where it breaks off or comes too slowly, which is its
 * sender's affair. One that is too slow is given up.
 */
export async function readBody(request: Request, maxBytes: number, pace = bodyPace): Promise<Uint8Array> {
  const tooLarge = () => new AppError(codes["request/too-large"], { details: { limit_bytes: maxBytes } });
  if (Number(request.headers.get("content-length")) > maxBytes) throw tooLarge();
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const startedAt = performance.now();
  let isLate = false;
  // Ends a read that waits, too.
  const giveUp = () => {
    isLate = true;
    void reader.cancel().catch(() => {});
  };
  let timer = setTimeout(giveUp, pace.grace);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      length += piece.value.byteLength;
      if (length > maxBytes) {
        // For whoever discards the rest. A body that was read, or given up, has none, and its lock costs more to undo.
        reader.releaseLock();
        throw tooLarge();
      }
      chunks.push(piece.value);
      const allowed = Math.min(pace.max, pace.grace + (length / 1024) * pace.perKilobyte);
      const left = startedAt + allowed - performance.now();
      clearTimeout(timer);
      // At once: pieces that come quickly would put off a timer for ever.
      if (left <= 0) giveUp();
      else timer = setTimeout(giveUp, left);
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw malformed([{ path: "", message: "The body broke off" }], "The sender has gone");
  } finally {
    clearTimeout(timer);
  }
  if (isLate) throw malformed([{ path: "", message: "The body came too slowly" }], "The body was given up");
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/**
 * What is read of a body that nobody wants. 8 MiB cost 5 ms of CPU on Deno 2.1, of the 2 s that the platform grants, and
 * no memory; a photo that is sent to the wrong endpoint is shorter. In 3 s a phone that sends 1 Mbit/s has sent the longest
 * body that an endpoint takes.
 */
export const discarded = { bytes: 8 * 1024 * 1024, milliseconds: 3_000 };

/** Of a network that is over its limit: enough for a request of an app, and next to no time. */
export const discardedOfRefused = { bytes: 64 * 1024, milliseconds: 250 };

/**
 * Reads what is left of the body and drops it, up to a number of bytes and milliseconds, and gives up the rest. Called
 * before each answer: the platform's Deno closes a connection whose request has not been read, and the sender, who is
 * still sending, then gets a reset instead of the answer. Never rejects.
 */
export async function discardBody(request: Request, bounds = discarded): Promise<void> {
  if (request.body === null || request.body.locked) return;
  const reader = request.body.getReader();
  const timer = setTimeout(() => giveUp(), bounds.milliseconds);
  // Ends a read that waits, too.
  const giveUp = () => void reader.cancel().catch(() => {});
  try {
    let length = 0;
    while (length < bounds.bytes) {
      const { done, value } = await reader.read();
      if (done) return;
      length += value.byteLength;
    }
    giveUp();
  } catch {
    // The sender has gone.
  } finally {
    clearTimeout(timer);
  }
}

/** Throws ERR_4018 unless the headers say JSON, UTF-8 where they name a charset, and no compression. */
export function requireJson(headers: Headers): void {
  const contentType = headers.get("content-type");
  const codings = (headers.get("content-encoding") ?? "").toLowerCase().split(",").map((coding) =>
    coding.trim()
  );
  const isPlain = codings.every((coding) => coding === "" || coding === "identity");
  const [type = "", ...parameters] = (contentType ?? "").toLowerCase().split(";").map((part) => part.trim());
  const charsets = parameters.filter((parameter) => parameter.startsWith("charset="));
  const isUtf8 = charsets.every((charset) => /^charset="?utf-?8"?$/.test(charset));
  if (type !== "application/json" || !isUtf8 || !isPlain) throw new AppError(codes["request/not-json"]);
}

/**
 * The value of a JSON text in UTF-8. Throws ERR_4008 where it is empty, is neither, or gives a member twice:
 * readers differ on which of the two counts.
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) throw malformed([{ path: "", message: "The body is empty" }]);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw malformed([{ path: "", message: "The body is not UTF-8" }], cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The parser's message quotes the body, which may hold a prompt or a token: it is not passed on.
    throw malformed(
      [{ path: "", message: "The body is not JSON" }],
      cause instanceof Error ? cause.name : cause,
    );
  }
  if (countMembers(value) !== countNames(text)) {
    throw malformed([{ path: "", message: "A field is given more than once" }]);
  }
  return value;
}

/** Without recursion: 256 kB of brackets nest deeper than the stack. */
function countMembers(value: unknown): number {
  const open = [value];
  let count = 0;
  for (let current = open.pop(); current !== undefined; current = open.pop()) {
    if (typeof current !== "object" || current === null) continue;
    const members: unknown[] = Object.values(current);
    if (!Array.isArray(current)) count += members.length;
    for (const member of members) open.push(member);
  }
  return count;
}

/** In a text that is known to be JSON, the strings that a colon follows are the members' names. */
function countNames(text: string): number {
  return Array.from(text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g)).filter(([, colon]) => colon).length;
}
