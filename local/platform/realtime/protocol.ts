/**
 * The messages of Phoenix' channels as they go over a WebSocket: in version 1 objects, in version 2 arrays, and broadcasts
 * in a binary form of their own. As github.com/supabase/realtime and realtime-js have them.
 */
import * as z from "zod";

export const versions = ["1.0.0", "2.0.0"] as const;
export type Version = typeof versions[number];

const Reference = z.union([z.string(), z.number()]).nullish().transform((ref) => ref ?? null);
type Reference = z.infer<typeof Reference>;

const Payload = z.record(z.string(), z.unknown());

const VersionOne = z.object({
  topic: z.string(),
  event: z.string(),
  payload: Payload,
  ref: Reference,
  join_ref: Reference,
});
const VersionTwo = z.tuple([Reference, Reference, z.string(), z.string(), Payload]);

export interface Message {
  /** Of the join to whose channel it belongs. */
  joinRef: Reference;
  /** Of the message that is answered. */
  ref: Reference;
  topic: string;
  event: string;
  payload: Record<string, unknown>;
}

/** A message that came. Throws what is thrown where it is none. */
export function readMessage(data: unknown, version: Version): Message {
  if (data instanceof ArrayBuffer) return readBroadcast(new Uint8Array(data));
  if (typeof data !== "string") throw new TypeError("A message is a text or bytes");
  const json: unknown = JSON.parse(data);
  if (version === "1.0.0") {
    const { join_ref: joinRef, ...message } = VersionOne.parse(json);
    return { joinRef, ...message };
  }
  const [joinRef, ref, topic, event, payload] = VersionTwo.parse(json);
  return { joinRef, ref, topic, event, payload };
}

/** The first byte of a binary message. */
const kinds = { fromClient: 3, fromServer: 4 };
/** How the payload of a binary message is written: 0 is as bytes. */
const jsonEncoding = 1;

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** After its kind five sizes and the encoding, then what has these sizes, then the payload. */
function readBroadcast(bytes: Uint8Array): Message {
  const [kind, ...rest] = bytes.subarray(0, 7);
  const [encoding] = rest.splice(5);
  if (kind !== kinds.fromClient || rest.length < 5 || encoding !== jsonEncoding) {
    throw new TypeError("Only a broadcast of JSON may come as bytes");
  }
  let end = 7;
  const [joinRef = "", ref = "", topic = "", event = ""] = rest.map((size) => {
    const start = end;
    end += size;
    if (end > bytes.length) throw new TypeError("The message is shorter than it says");
    return decoder.decode(bytes.subarray(start, end));
  });
  const payload: unknown = JSON.parse(decoder.decode(bytes.subarray(end)));
  return {
    joinRef: joinRef || null,
    ref: ref || null,
    topic,
    event: "broadcast",
    payload: { type: "broadcast", event, payload },
  };
}

/** A message to send. */
export function writeMessage({ joinRef, ref, topic, event, payload }: Message, version: Version): string {
  return JSON.stringify(
    version === "1.0.0"
      ? { topic, event, payload, ref, join_ref: joinRef }
      : [joinRef, ref, topic, event, payload],
  );
}

/** What somebody said on a channel. */
export interface Broadcast {
  event: string;
  payload: unknown;
  /** Of the row that it was, where it comes from the database. */
  id?: string;
}

/** A broadcast to send: in version 2 as bytes, where the names are short enough for their sizes, each of one byte. */
export function writeBroadcast(
  topic: string,
  { event, payload, id }: Broadcast,
  version: Version,
): string | Uint8Array<ArrayBuffer> {
  const meta = id === undefined ? undefined : { id };
  if (version === "2.0.0") {
    const parts = [topic, event, meta === undefined ? "" : JSON.stringify(meta)].map((text) =>
      encoder.encode(text)
    );
    const sizes = parts.map(({ length }) => length);
    if (sizes.every((size) => size <= 255)) {
      const head = Uint8Array.from([kinds.fromServer, ...sizes, jsonEncoding]);
      return concatenated([head, ...parts, encoder.encode(JSON.stringify(payload))]);
    }
  }
  const said = { type: "broadcast", event, payload, ...(meta === undefined ? {} : { meta }) };
  return writeMessage({ joinRef: null, ref: null, topic, event: "broadcast", payload: said }, version);
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}
