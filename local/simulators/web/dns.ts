/** A DNS server for one kind of question (RFC 1035): the addresses of a name. */
import { createSocket } from "node:dgram";
import { Buffer } from "node:buffer";
import ipaddr from "ipaddr.js";

export interface DnsServer extends AsyncDisposable {
  readonly port: number;
}

const types = { 1: "A", 28: "AAAA" } as const;
export type AddressType = (typeof types)[keyof typeof types];

/** Answers on a free port of 127.0.0.1. `addressesOf` gives the addresses of both kinds, of which the asked one is told. */
export async function startDnsServer(
  addressesOf: (name: string, type: AddressType) => readonly string[],
): Promise<DnsServer> {
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    const answer = answerTo(query, addressesOf);
    if (answer !== null) socket.send(answer, port, address);
  });
  const bound = Promise.withResolvers<void>();
  socket.once("error", bound.reject);
  socket.bind(0, "127.0.0.1", () => bound.resolve());
  await bound.promise;
  return {
    port: socket.address().port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

const headerBytes = 12;

function answerTo(
  query: Uint8Array,
  addressesOf: (name: string, type: AddressType) => readonly string[],
): Buffer | null {
  const view = new DataView(query.buffer, query.byteOffset, query.byteLength);
  const labels: string[] = [];
  let at = headerBytes;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(new TextDecoder().decode(query.subarray(at + 1, at + 1 + length)));
    at += 1 + length;
  }
  const end = at + 5;
  if (query.length < end) return null;
  const code = view.getUint16(at + 1);
  const type = code === 1 || code === 28 ? types[code] : null;
  const kind = type === "A" ? "ipv4" : "ipv6";
  const addresses = type === null
    ? []
    : addressesOf(labels.join(".").toLowerCase(), type).map((address) => ipaddr.parse(address))
      .filter((address) => address.kind() === kind);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(view.getUint16(0), 0);
  // An authoritative answer, and one that could ask others.
  header.writeUInt16BE(0x8580, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((address) => {
    const bytes = address.toByteArray();
    const record = Buffer.alloc(12);
    // The name of the question.
    record.writeUInt16BE(0xc000 | headerBytes, 0);
    record.writeUInt16BE(code, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([record, Buffer.from(bytes)]);
  });
  return Buffer.concat([header, query.subarray(headerBytes, end), ...records]);
}
