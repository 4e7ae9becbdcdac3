/** Signed data with one thing wrong, which nobody may believe. */
import { Buffer } from "node:buffer";

/** A sequence of numbers from 0 up to 1 that is the same for the same seed (mulberry32). */
function randomSequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Parts {
  header: { alg: string; x5c: string[] };
  payload: Buffer;
  signature: Buffer;
}

/** One change of `jws`, by `seed`: a flipped, cut or added byte of a part or a certificate, another order, number or algorithm. */
export function mutated(jws: string, seed: number): string {
  const random = randomSequence(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const [header = "", payload = "", signature = ""] = jws.split(".");
  const parts: Parts = {
    header: JSON.parse(Buffer.from(header, "base64url").toString()),
    payload: Buffer.from(payload, "base64url"),
    signature: Buffer.from(signature, "base64url"),
  };
  const changed = (bytes: Buffer): Buffer => {
    const place = below(bytes.length);
    switch (below(4)) {
      case 0:
        return bytes.subarray(0, place);
      case 1:
        return Buffer.concat([bytes.subarray(0, place), Buffer.from([below(256)]), bytes.subarray(place)]);
      case 2:
        return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1)]);
      default: {
        const copy = Buffer.from(bytes);
        copy[place] = (copy[place] ?? 0) ^ (1 << below(8));
        return copy;
      }
    }
  };
  const { x5c } = parts.header;
  switch (below(6)) {
    case 0:
      parts.payload = changed(parts.payload);
      break;
    case 1:
      parts.signature = changed(parts.signature);
      break;
    case 2:
      parts.header.alg = ["none", "HS256", "ES384", "RS256", "es256", ""][below(6)] ?? "none";
      break;
    case 3:
      parts.header.x5c = [x5c.slice(1), x5c.toReversed(), [...x5c, ...x5c.slice(-1)], x5c.slice(0, 2), [], [
        ...x5c.slice(0, 1),
        ...x5c.slice(0, 1),
        ...x5c.slice(0, 1),
      ]][below(6)] ?? [];
      break;
    default: {
      const place = below(x5c.length);
      x5c[place] = changed(Buffer.from(x5c[place] ?? "", "base64")).toString("base64");
    }
  }
  const encode = (bytes: Buffer | string) => Buffer.from(bytes).toString("base64url");
  return [JSON.stringify(parts.header), parts.payload, parts.signature].map(encode).join(".");
}
