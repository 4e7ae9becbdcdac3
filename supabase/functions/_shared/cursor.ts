/**
 * How lists are paged. A cursor tells where a page begins, as the list's procedure told it, and is signed together with
 * the list that it belongs to: it counts for one user, endpoint and filter, and for nothing that its holder makes up.
 */
import { base64url } from "jose";
import * as z from "zod/mini";
import type { Config } from "./config.ts";
import { secretKey } from "./database/procedures.ts";
import { canonicalJson, type JsonValue, tryParseJson } from "./json.ts";
import { malformed } from "./validation.ts";

/** The query parameters of every list. */
export const pageQuery = {
  limit: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(100)), 20),
  cursor: z.optional(z.string()),
};

/** Which list it is: the endpoint, the user, and whatever its entries are chosen by. */
export type List = readonly [endpoint: string, userId: string, ...filter: JsonValue[]];

export interface Cursors {
  /** The cursor of the page that begins there; null at the end of the list. */
  write(position: JsonValue): Promise<string | null>;
  /** Where the page begins; null without a cursor, at the list's beginning. Throws ERR_4008. */
  read(cursor: string | undefined): Promise<JsonValue>;
}

const algorithm = { name: "HMAC", hash: "SHA-256", length: 256 };
const signatureBytes = 32;

/** The cursors of one list. */
export function cursors(config: Config, list: List): Cursors {
  const message = (position: string) => new TextEncoder().encode(`${canonicalJson(list)}\n${position}`);
  return {
    write: async (position) => {
      if (position === null) return null;
      const text = JSON.stringify(position);
      const signature = await crypto.subtle.sign(algorithm.name, await deriveKey(config), message(text));
      const cursor = [...new Uint8Array(signature), ...new TextEncoder().encode(text)];
      return base64url.encode(Uint8Array.from(cursor));
    },
    read: async (cursor) => {
      if (cursor === undefined) return null;
      const bytes = decode(cursor);
      const signature = bytes.subarray(0, signatureBytes);
      const text = new TextDecoder().decode(bytes.subarray(signatureBytes));
      const isOurs = await crypto.subtle.verify(
        algorithm.name,
        await deriveKey(config),
        signature,
        message(text),
      );
      if (!isOurs) throw malformed([{ path: "cursor", message: "Must be the next_cursor of this list" }]);
      return tryParseJson(text) as JsonValue;
    },
  };
}

/** Its bytes; none where it is not as the encoder writes it, so that no two texts are one cursor. */
function decode(cursor: string): Uint8Array<ArrayBuffer> {
  try {
    const bytes = new Uint8Array(base64url.decode(cursor));
    return base64url.encode(bytes) === cursor ? bytes : new Uint8Array();
  } catch {
    return new Uint8Array();
  }
}

/**
 * From the project's secret key, by HKDF: what is signed with it is valid as nothing else. Another secret key makes the
 * cursors of before void, and lists begin anew.
 */
async function deriveKey(config: Config): Promise<CryptoKey> {
  const encoder = new TextEncoder();
  const secret = await crypto.subtle.importKey("raw", encoder.encode(secretKey({ config })), "HKDF", false, [
    "deriveKey",
  ]);
  const derivation = {
    name: "HKDF",
    hash: "SHA-256",
    salt: new Uint8Array(),
    info: encoder.encode("kinora cursor"),
  };
  return await crypto.subtle.deriveKey(derivation, secret, algorithm, false, ["sign", "verify"]);
}
