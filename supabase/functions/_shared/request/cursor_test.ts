import assert from "node:assert/strict";
import { base64url } from "jose";
import * as z from "zod/mini";
import { pageQuery, positionTime, readCursor, writeCursor } from "./cursor.ts";
import type { JsonValue } from "../platform/json.ts";

/** As the two lists of the app have them. */
const CreditsPosition = z.strictObject({ number: z.int().check(z.positive()) });
const VideoJobsPosition = z.strictObject({ created_at: positionTime, id: z.uuid() });

const id = "0190a000-0000-7000-8000-0000000000aa";
const time = "2026-11-20T12:00:00.123456+00:00";

function assertRefused(position: z.ZodMiniType, cursor: string, what = cursor): void {
  const fields = [{ path: "cursor", message: "Must be the next_cursor of this list" }];
  assert.throws(() => readCursor(position, cursor), { code: "ERR_4008", details: { fields } }, what);
}

Deno.test("a cursor brings back the place that it was made for, and fits a URL as it is", () => {
  const places: [z.ZodMiniType, JsonValue][] = [
    [CreditsPosition, { number: 17 }],
    [CreditsPosition, { number: Number.MAX_SAFE_INTEGER }],
    [VideoJobsPosition, { id, created_at: time }],
    // As another time zone of the database has it, and to the second.
    [VideoJobsPosition, { id, created_at: "2026-11-20T17:30:00+05:30" }],
  ];
  for (const [position, place] of places) {
    const cursor = writeCursor(place);
    assert.match(cursor ?? "", /^[\w-]+$/);
    assert.deepEqual(readCursor(position, cursor ?? ""), place);
  }
});

Deno.test("a list ends without a cursor, and begins without one", () => {
  assert.equal(writeCursor(null), null);
  assert.equal(readCursor(CreditsPosition, undefined), null);
});

Deno.test("a cursor of another list, or with a value that the database could not read, is refused", () => {
  const numbers = [
    "1e400",
    "-1",
    "0",
    "1.5",
    "9007199254740993",
    "1e300",
    '"2"',
    "null",
    "[2]",
    "true",
    "{}",
  ];
  for (const number of numbers) {
    assertRefused(CreditsPosition, base64url.encode(`{"number":${number}}`), number);
  }
  const times: JsonValue[] = [
    "infinity",
    "-infinity",
    "now",
    "epoch",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "294277-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00+16:00",
    "2026-01-01T00:00:00",
    `2026-01-01T00:00:00.${"0".repeat(200)}Z`,
    "2026-01-01",
    "",
    null,
    0,
  ];
  for (const created_at of times) {
    assertRefused(VideoJobsPosition, writeCursor({ id, created_at }) ?? "", JSON.stringify(created_at));
  }
  for (const other of ["", "1", "'", `${id}0`, `{${id}`, null, 7]) {
    assertRefused(
      VideoJobsPosition,
      writeCursor({ id: other, created_at: time }) ?? "",
      JSON.stringify(other),
    );
  }
  assertRefused(VideoJobsPosition, writeCursor({ number: 2 }) ?? "");
  assertRefused(CreditsPosition, writeCursor({ id, created_at: time }) ?? "");
  assertRefused(CreditsPosition, writeCursor({ number: 2, more: 1 }) ?? "");
});

Deno.test("what is no cursor at all is refused", () => {
  const cursor = writeCursor({ number: 2 });
  for (
    const text of [
      "",
      "1",
      "null",
      "é",
      "%00",
      "A".repeat(43),
      "A".repeat(100_000),
      `${cursor}A`,
      `${cursor}=`,
    ]
  ) {
    assertRefused(CreditsPosition, text);
  }
  for (const text of ["", "null", "[]", '"', '{"number":2', '{"__proto__":{"number":2}}', "\0", "é"]) {
    assertRefused(CreditsPosition, base64url.encode(text), text);
  }
  assertRefused(CreditsPosition, base64url.encode(Uint8Array.of(0xff, 0xfe)));
});

Deno.test("a page has 20 entries where nothing is said, and 1 to 100 where it is", () => {
  const query = z.strictObject(pageQuery);
  assert.deepEqual(query.parse({}), { limit: 20 });
  assert.deepEqual(query.parse({ limit: "1" }), { limit: 1 });
  assert.deepEqual(query.parse({ limit: "100", cursor: "c" }), { limit: 100, cursor: "c" });
  for (
    const limit of [
      "",
      "0",
      "101",
      "-1",
      "1.5",
      "ten",
      "1,5",
      "NaN",
      "Infinity",
      "9".repeat(400),
      "0x10",
      "1e1",
      " 5",
      "5 ",
      "+5",
      "5.0",
      "5_0",
      "５",
    ]
  ) {
    assert.equal(query.safeParse({ limit }).success, false, limit);
  }
});
