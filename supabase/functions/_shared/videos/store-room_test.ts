import assert from "node:assert/strict";
import { storeRoom } from "./store-room.ts";

const megabyte = 1024 * 1024;

Deno.test("an isolate stores one at a time, however the one before it ends", () => {
  const room = storeRoom();
  assert(room.isFree(0));
  const first = room.enter();
  assert(!room.isFree(0));
  const second = room.enter();
  first.leave(10);
  assert(!room.isFree(10), "the second is still at it");
  second.leave(20);
  assert(room.isFree(20));
});

Deno.test("after 50 MB within 25 s, in one file or in many, read to the end or not, it begins no other until they are over", () => {
  for (const sizes of [[50], [150], [10, 10, 10, 10, 10], [20, 29, 1]]) {
    const room = storeRoom();
    for (const [second, size] of sizes.entries()) {
      assert(room.isFree(second * 1000), `${sizes}: ${second}`);
      const { count, leave } = room.enter();
      for (let piece = 0; piece < size; piece++) count(megabyte);
      leave(second * 1000);
    }
    const end = (sizes.length - 1) * 1000;
    for (const later of [0, 1, 24_999 - end]) assert(!room.isFree(end + later), `${sizes}: ${later}`);
    assert(room.isFree(25_000 + end), `${sizes}: later`);
  }
});

Deno.test("what is stored slowly, or is small, never fills it", () => {
  const room = storeRoom();
  for (let second = 0; second < 100; second++) {
    assert(room.isFree(second * 1000));
    const { count, leave } = room.enter();
    count(1.9 * megabyte);
    leave(second * 1000);
  }
});
