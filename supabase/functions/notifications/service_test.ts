import assert from "node:assert/strict";
import { languages } from "../_shared/errors/languages.ts";
import { exampleNotification } from "../_shared/notify/contract.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { MarkReadRequest, NotificationsQuery } from "./schema.ts";
import { listNotifications, markRead } from "./service.ts";

const { title: _title, body: _body, ...stored } = exampleNotification();
const caller = { p_user_id: userId, p_session_id: sessionId };

Deno.test("a page is that of the caller, and its cursor leads to the next one", async () => {
  const next = { created_at: "2026-11-20T11:59:00.123456+00:00", id: stored.id };
  const { database, calls } = fakeDatabase({
    get_notifications: () => ({ notifications: [stored], unread: 3, next }),
  });
  const context = testContext("user", { database });
  const { status, body } = await listNotifications({ limit: 1 }, context);
  assert(body?.next_cursor);
  assert.deepEqual([status, body.unread, body.notifications], [200, 3, [exampleNotification()]]);
  await listNotifications({ limit: 2, cursor: body.next_cursor, unread: "true" }, context);
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...caller, p_limit: 1, p_after: null, p_unread: false },
    { ...caller, p_limit: 2, p_after: next, p_unread: true },
  ]);
  await assert.rejects(listNotifications({ limit: 1, cursor: "made-up" }, context), { code: "ERR_4008" });
  assert.equal(calls.length, 2, "the database was asked for a cursor that is none");
});

Deno.test("a notification is in the language of the answer, also one of a type that this function does not know", async () => {
  const unknown = { ...stored, type: "video.invented", data: {} };
  const { database } = fakeDatabase({
    get_notifications: () => ({ notifications: [stored, unknown], unread: 2, next: null }),
  });
  const texts = await Promise.all(languages.map(async (language) => {
    const { body } = await listNotifications({ limit: 2 }, testContext("user", { database, language }));
    return body?.notifications.map(({ title, body }) => `${title}: ${body}`) ?? [];
  }));
  assert.equal(new Set(texts.flat()).size, 6);
  for (const text of texts.flat()) assert.doesNotMatch(text, /[{}]|undefined/);
});

Deno.test("what is named is marked as read, or all of it, for the caller of the token", async () => {
  const { database, calls } = fakeDatabase({ patch_notifications: () => ({ unread: 1 }) });
  const context = testContext("user", { database });
  const answer = { status: 200, body: { unread: 1 } };
  assert.deepEqual(await markRead({ ids: [stored.id] }, context), answer);
  assert.deepEqual(await markRead({ all: true }, context), answer);
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...caller, p_ids: [stored.id] },
    { ...caller, p_ids: null },
  ]);
});

Deno.test("either ids are named, or all", () => {
  const { id } = stored;
  assert.deepEqual(MarkReadRequest.parse({ ids: [id.toUpperCase()] }).ids, [id]);
  assert(MarkReadRequest.safeParse({ all: true, ids: null }).success);
  for (
    const body of [
      {},
      { ids: [] },
      { ids: null },
      { all: false },
      { all: null },
      { ids: [id], all: true },
      { ids: ["x"] },
      { ids: id },
      { ids: Array(101).fill(id) },
      { all: true, user_id: userId },
    ]
  ) {
    assert(!MarkReadRequest.safeParse(body).success, JSON.stringify(body));
  }
});

Deno.test("unread is true or false, and nothing else", () => {
  for (const unread of ["true", "false", undefined]) {
    assert(NotificationsQuery.safeParse({ unread }).success);
  }
  for (const unread of ["1", "TRUE", "", null]) {
    assert(!NotificationsQuery.safeParse({ unread }).success, JSON.stringify(unread));
  }
});
