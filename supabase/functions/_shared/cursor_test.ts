import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { base64url } from "jose";
import * as z from "zod/mini";
import { type Cursors, cursors, type List, pageQuery } from "./cursor.ts";
import type { JsonValue } from "./json.ts";
import { testConfig } from "./testing/config.ts";
import { secretKey } from "./testing/tokens.ts";

const [endpoint, userId, filter] = ["video-jobs", "0190a000-0000-7000-8000-000000000001", "failed"] as const;
const list: List = [endpoint, userId, filter];
const position = {
  created_at: "2026-11-20T12:00:00.123456+00:00",
  id: "0190a000-0000-7000-8000-0000000000aa",
};
const own = cursors(testConfig(), list);

async function write(from: Cursors = own, at: JsonValue = position): Promise<string> {
  const cursor = await from.write(at);
  assert(cursor !== null);
  return cursor;
}

async function assertRefused(by: Cursors, cursor: string, what = cursor): Promise<void> {
  const fields = [{ path: "cursor", message: "Must be the next_cursor of this list" }];
  await assert.rejects(by.read(cursor), { code: "ERR_4008", details: { fields } }, what);
}

Deno.test("a cursor brings back the place that it was made for, whatever its form", async () => {
  for (const at of [position, 17, "é", [1, { a: null }]]) {
    const cursor = await write(own, at);
    assert.match(cursor, /^[\w-]+$/, "it fits a URL as it is");
    assert.deepEqual(await own.read(cursor), at);
  }
});

Deno.test("a list ends without a cursor, and begins without one", async () => {
  assert.equal(await own.write(null), null);
  assert.equal(await own.read(undefined), null);
});

Deno.test("a cursor counts for its own user, endpoint and filter alone, and under the key it was made with", async () => {
  const cursor = await write();
  const others: List[] = [
    ["credits", userId, filter],
    [endpoint, "0190a000-0000-7000-8000-000000000002", filter],
    [endpoint, userId, "completed"],
    [endpoint, userId, null],
    [endpoint, userId],
  ];
  for (const other of others) {
    await assertRefused(cursors(testConfig(), other), cursor, JSON.stringify(other));
  }
  const rotated = testConfig({ SUPABASE_SECRET_KEYS: JSON.stringify({ default: `${secretKey}2` }) });
  await assertRefused(cursors(rotated, list), cursor);
  assert.deepEqual(await cursors(testConfig(), list).read(cursor), position);
});

Deno.test("a cursor with one character changed, added or missing is refused", async () => {
  const cursor = await write();
  for (let index = 0; index < cursor.length; index++) {
    for (const character of ["A", "B", "z", "_", "="]) {
      const changed = cursor.slice(0, index) + character + cursor.slice(index + 1);
      if (changed !== cursor) await assertRefused(own, changed);
    }
    await assertRefused(own, cursor.slice(0, index));
    await assertRefused(own, cursor.slice(0, index) + cursor.slice(index + 1));
    await assertRefused(own, `${cursor.slice(0, index)} ${cursor.slice(index)}`);
  }
  for (const added of ["A", "AAAA", "=", "==", "\n"]) await assertRefused(own, cursor + added);
});

Deno.test("what is no cursor at all is refused as one that was changed", async () => {
  for (const text of ["", "1", "null", "é", "%00", "A".repeat(43), "A".repeat(100_000)]) {
    await assertRefused(own, text);
  }
});

Deno.test("the project's key itself signs no cursor: the one that does is made for them alone", async () => {
  const text = JSON.stringify(position);
  const signature = createHmac("sha256", secretKey).update(`${JSON.stringify(list)}\n${text}`).digest();
  await assertRefused(own, base64url.encode(Buffer.concat([signature, Buffer.from(text)])));
});

Deno.test("a page has 20 entries where nothing is said, and 1 to 100 where it is", () => {
  const query = z.strictObject(pageQuery);
  assert.deepEqual(query.parse({}), { limit: 20 });
  assert.deepEqual(query.parse({ limit: "1" }), { limit: 1 });
  assert.deepEqual(query.parse({ limit: "100", cursor: "c" }), { limit: 100, cursor: "c" });
  for (const limit of ["", "0", "101", "-1", "1.5", "ten", "1,5", "NaN", "Infinity", "9".repeat(400)]) {
    assert.equal(query.safeParse({ limit }).success, false, limit);
  }
});
