/** What happens to a user's videos and purchases stands in their inbox, over HTTP. */
import assert from "node:assert/strict";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { NotificationsResponse } from "../../supabase/functions/notifications/schema.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { bodyOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { ended, generate, priceOfKling } from "./support/videos.ts";

const backend = shared(startBackend);

/** The inbox, once it has so many. */
async function inboxWith(guest: Guest, count: number, language = "en") {
  return await eventually(`${count} notifications are there`, async () => {
    await backend.stack.tick();
    const answer = await guest.call("notifications", { headers: { "accept-language": language } });
    const inbox = bodyOf(answer, 200, NotificationsResponse);
    return inbox.notifications.length >= count ? inbox : undefined;
  });
}

Deno.test("a video that is ready and one that failed are told, in each language, and never with the prompt", async () => {
  const guest = await backend.signIn(2 * priceOfKling);
  const ready = await generate(guest, "A canary that nobody shall read");
  await ended(backend, guest, ready.job_id);
  const prompt = "Another canary that nobody shall read";
  await backend.stack.simulators.fal.control.rules({ prompt, outcome: "failed" });
  const lost = await generate(guest, prompt);
  assert.equal((await ended(backend, guest, lost.job_id)).status, "failed");
  const titles = {
    en: ["Your video could not be made", "Your video is ready"],
    tr: ["Videonuz oluşturulamadı", "Videonuz hazır"],
    es: ["No se ha podido crear tu vídeo", "Tu vídeo está listo"],
  };
  for (const [language, expected] of Object.entries(titles)) {
    const { notifications, unread } = await inboxWith(guest, 2, language);
    assert.deepEqual(notifications.map(({ title }) => title).sort(), expected.toSorted());
    assert.equal(unread, 2);
    for (const { type, body, data } of notifications) {
      assert.equal(data.job_id, type === "video.completed" ? ready.job_id : lost.job_id);
      assert.match(body, /Kling/);
    }
    assert.doesNotMatch(JSON.stringify(notifications), /canary|https?:/);
  }
});

Deno.test("the client package lists, counts and marks, and what is switched off is not told", async () => {
  const guest = await backend.signIn(3 * priceOfKling);
  const { inbox } = guest.kinora;
  for (let video = 0; video < 2; video++) {
    await ended(backend, guest, (await generate(guest)).job_id);
  }
  await inboxWith(guest, 2);
  const ids: string[] = [];
  for await (const { id } of inbox.list({ limit: 1 })) ids.push(id);
  assert.equal(new Set(ids).size, 2);
  assert.equal(await inbox.unread(), 2);
  assert.equal(await inbox.markRead(ids.slice(0, 1)), 1);
  assert.equal(await inbox.markRead(), 0);
  const unread = [];
  for await (const notification of inbox.list({ unread: "true" })) unread.push(notification);
  assert.deepEqual(unread, []);

  const preferences = { "video.completed": { inbox: false } };
  const changed = await guest.call("user-profile", {
    method: "PATCH",
    body: { notification_preferences: preferences },
  });
  assert.equal(changed.status, 200, JSON.stringify(changed.body));
  await ended(backend, guest, (await generate(guest)).job_id);
  await eventually("it is not told", async () => {
    await backend.stack.tick();
    const rows = await backend.database.sql`
      select from events.deliveries as d join events.log as l on l.id = d.event_id
      where l.user_id = ${guest.id} and d.outcome = 'dropped'`;
    return rows.length === 1 || undefined;
  });
  assert.equal(await inbox.unread(), 0);
});

Deno.test("whoever finds their guest again is told so", async () => {
  const account = crypto.randomUUID();
  const appTransaction = async () => {
    const { signed } = await backend.stack.simulators.appStore.do({ deed: "app_transaction", account });
    assert(signed);
    return signed;
  };
  const lost = await backend.signIn(5);
  const body = {
    device_token: deviceToken(crypto.randomUUID()),
    signed_app_transaction: await appTransaction(),
  };
  assert.equal((await lost.call("device-check", { body })).status, 200);
  await backend.database.sql`
    update auth.sessions set created_at = now() - interval '8 days' where user_id = ${lost.id}`;
  const anew = await backend.signIn();
  const found = await anew.call("recover-guest", {
    body: { signed_app_transaction: await appTransaction() },
  });
  assert.equal(found.status, 200, JSON.stringify(found.body));
  const { notifications: [told, ...others] } = await inboxWith(anew, 1);
  assert.deepEqual([told?.type, told?.data.is_recovery, others], ["account.merged", true, []]);
  assert.equal(told?.body, "Videos that came with it: 0. Credits: 15.");
});

Deno.test("a deleted video takes what was told of it along, and leaves the rest", async () => {
  const guest = await backend.signIn(2 * priceOfKling);
  const [kept, deleted] = [await generate(guest), await generate(guest)];
  for (const { job_id } of [kept, deleted]) await ended(backend, guest, job_id);
  await inboxWith(guest, 2);
  await guest.kinora.delete(deleted.job_id);
  const left = [];
  for await (const { data } of guest.kinora.inbox.list()) left.push(data.job_id);
  assert.deepEqual([left, await guest.kinora.inbox.unread()], [[kept.job_id], 1]);
});
