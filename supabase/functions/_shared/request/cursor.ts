/**
 * How lists are paged. A cursor is the place where a page begins, as the list's procedure told it. It is no secret and no
 * permission: whose list it is, the procedure knows.
 */
import { base64url } from "jose";
import * as z from "zod/mini";
import { type JsonValue, tryParseJson } from "../platform/json.ts";
import { malformed } from "./validation.ts";

/** A number in a query: decimal digits, and nothing else that JavaScript would read as one, such as 0x10, 1e1 or a space. */
const digits = z.transform((text: unknown) =>
  typeof text === "string" && /^\d+$/.test(text) ? Number(text) : text
);

/** The query parameters of every list. */
export const pageQuery = {
  limit: z._default(
    z.pipe(digits, z.int("Must be a whole number in decimal digits").check(z.minimum(1), z.maximum(100))),
    20,
  ),
  cursor: z.optional(z.string()),
};

/** A time as Postgres writes it, and none that it would not read. */
export const positionTime = z.iso.datetime({ offset: true }).check(
  z.maxLength(40),
  z.regex(/^[12]\d{3}-.*(Z|[+-](0\d|1[0-4]):\d{2})$/),
);

/** The cursor of the page that begins there; null at the end of the list. */
export function writeCursor(position: JsonValue): string | null {
  return position === null ? null : base64url.encode(JSON.stringify(position));
}

/** Where the page begins; null without a cursor, at the list's beginning. Throws ERR_4008 where it is no place of the list. */
export function readCursor<Position extends z.ZodMiniType>(
  position: Position,
  cursor: string | undefined,
): z.output<Position> | null {
  if (cursor === undefined) return null;
  const { success, data } = position.safeParse(tryParseJson(decode(cursor)));
  if (!success) throw malformed([{ path: "cursor", message: "Must be the next_cursor of this list" }]);
  return data;
}

function decode(cursor: string): string {
  try {
    return new TextDecoder().decode(base64url.decode(cursor));
  } catch {
    return "";
  }
}
