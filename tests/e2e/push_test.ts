/** What happens to a user is pushed to their devices, over HTTP and through Apple's push service. */
import assert from "node:assert/strict";
import { type ApnsRule, newPushToken, type PushRequest } from "../../local/simulators/apns/apns.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { ended, generate, priceOfKling } from "./support/videos.ts";

const backend = shared(startBackend);
const apns = () => backend.stack.simulators.apns.control;

type Environment = PushRequest["environment"];

/** A device of the guest's, as the app registers it. */
async function register(guest: Guest, token = newPushToken(), environment: Environment = "production") {
  const { status, body } = await guest.call("push-tokens", { body: { token, environment } });
  assert.equal(status, 204, JSON.stringify(body));
  return token;
}

/** All that was asked of Apple about a device, once so many pushes were sent to it. */
async function pushesTo(token: string, count: number): Promise<PushRequest[]> {
  return await eventually(`${count} pushes are sent`, async () => {
    await backend.stack.tick();
    const { requests } = await apns().report();
    const own = requests.filter((request) => request.token === token);
    return own.filter(({ isSent }) => isSent).length >= count ? own : undefined;
  });
}

interface Outcome {
  outcome: string | null;
  reason: string | null;
}

/** How the deliveries of a guest's pushes ended, once all have. */
async function outcomesOf(guest: Guest, count: number): Promise<Outcome[]> {
  return await eventually(`${count} pushes have ended`, async () => {
    await backend.stack.tick();
    const rows = await backend.database.sql<Outcome[]>`
      select d.outcome, d.reason from events.deliveries as d join events.log as l on l.id = d.event_id
      where l.user_id = ${guest.id} and d.channel = 'push' and d.outcome is not null order by d.created_at`;
    return rows.length >= count ? rows.map((row) => ({ ...row })) : undefined;
  });
}

async function devicesOf(guest: Guest): Promise<{ token: string; environment: Environment }[]> {
  const rows = await backend.database.sql<{ token: string; environment: Environment }[]>`
    select t.token, t.environment from notify.push_tokens as t where t.user_id = ${guest.id} order by t.token`;
  return rows.map((row) => ({ ...row }));
}

Deno.test("a video that is ready and one that failed are pushed, in each language, by job, and never with the prompt", async () => {
  const guest = await backend.signIn(6 * priceOfKling);
  const phone = await register(guest);
  const tablet = await register(guest, newPushToken("sandbox"), "sandbox");
  const titles = {
    en: ["Your video is ready", "Your video could not be made"],
    tr: ["Videonuz hazır", "Videonuz oluşturulamadı"],
    es: ["Tu vídeo está listo", "No se ha podido crear tu vídeo"],
  };
  let count = 0;
  for (const [language, expected] of Object.entries(titles)) {
    await guest.call("user-profile", { method: "PATCH", body: { language } });
    for (const [index, title] of expected.entries()) {
      const prompt = `A canary that nobody shall read, ${language} ${index}`;
      if (index === 1) await backend.stack.simulators.fal.control.rules({ prompt, outcome: "failed" });
      const { job_id } = await generate(guest, prompt);
      await ended(backend, guest, job_id);
      count++;
      for (const token of [phone, tablet]) {
        const request = (await pushesTo(token, count)).at(-1);
        const payload = request?.payload;
        assert.deepEqual(payload, {
          aps: { alert: { title, body: bodyOf(payload) }, sound: "default" },
          id: Object(payload).id,
          type: index === 0 ? "video.completed" : "video.failed",
          data: { job_id },
        });
        assert.match(bodyOf(payload), /Kling/);
        assert.doesNotMatch(JSON.stringify(payload), /canary|https?:/);
        assert.equal(request?.headers["apns-collapse-id"], job_id);
        assert.equal(request?.headers["apns-priority"], "10");
        const [event] = await backend.database.sql<{ ends: string }[]>`
          select floor(extract(epoch from l.created_at + interval '24 hours'))::text as ends
          from events.log as l where l.id = ${Object(payload).id}`;
        assert.equal(request?.headers["apns-expiration"], event?.ends);
      }
    }
  }
  const sent = [...await pushesTo(phone, 6), ...await pushesTo(tablet, 6)];
  assert.equal(sent.length, 12, "each was sent once");
  assert.equal(new Set(sent.map(({ headers }) => headers["apns-id"])).size, 12);
});

const bodyOf = (payload: unknown): string => Object(payload).aps?.alert?.body;

Deno.test("what a user has switched off is not pushed, and stands in the inbox all the same", async () => {
  const guest = await backend.signIn(2 * priceOfKling);
  const token = await register(guest);
  const body = { notification_preferences: { "video.completed": { push: false } } };
  assert.equal((await guest.call("user-profile", { method: "PATCH", body })).status, 200);
  await ended(backend, guest, (await generate(guest)).job_id);
  assert.deepEqual(await outcomesOf(guest, 1), [{ outcome: "dropped", reason: "its user does not want it" }]);
  const prompt = crypto.randomUUID();
  await backend.stack.simulators.fal.control.rules({ prompt, outcome: "failed" });
  await ended(backend, guest, (await generate(guest, prompt)).job_id);
  const pushes = await pushesTo(token, 1);
  assert.deepEqual(pushes.map(({ payload }) => Object(payload).type), ["video.failed"]);
  assert.equal(await guest.kinora.inbox.unread(), 2);
  for (
    const preferences of [
      { "account.merged": { push: false } },
      { "video.failed": { push: "no" } },
      { "video.failed": { sms: true } },
      { "video.started": { push: true } },
    ]
  ) {
    const { status } = await guest.call("user-profile", {
      method: "PATCH",
      body: { notification_preferences: preferences },
    });
    assert.equal(status, 400, JSON.stringify(preferences));
  }
});

Deno.test("without a device there is no delivery, and a device that another registers is the other's", async () => {
  const first = await backend.signIn(2 * priceOfKling);
  await ended(backend, first, (await generate(first)).job_id);
  const none = await backend.database.sql`
    select from events.deliveries as d join events.log as l on l.id = d.event_id
    where l.user_id = ${first.id} and d.channel = 'push'`;
  assert.equal(none.length, 0);
  const token = await register(first);
  const second = await backend.signIn(priceOfKling);
  await register(second, token.toUpperCase());
  assert.deepEqual(await devicesOf(first), []);
  await ended(backend, second, (await generate(second)).job_id);
  await ended(backend, first, (await generate(first)).job_id);
  assert.equal((await pushesTo(token, 1)).length, 1);
  // Nobody takes away another's.
  for (const guest of [first, second]) {
    assert.equal((await devicesOf(second)).length, 1);
    const { status } = await guest.call(`push-tokens?token=${token}`, { method: "DELETE" });
    assert.equal(status, 204);
  }
  assert.deepEqual(await devicesOf(second), []);
});

Deno.test("a device in the wrong environment is told once, and found at once the next time", async () => {
  const guest = await backend.signIn(2 * priceOfKling);
  const token = await register(guest, newPushToken("sandbox"), "production");
  await ended(backend, guest, (await generate(guest)).job_id);
  await pushesTo(token, 1);
  await outcomesOf(guest, 1);
  assert.deepEqual(await devicesOf(guest), [{ token, environment: "sandbox" }]);
  await ended(backend, guest, (await generate(guest)).job_id);
  const requests = await pushesTo(token, 2);
  assert.deepEqual(requests.map(({ environment }) => environment), ["production", "sandbox", "sandbox"]);
});

Deno.test("a device that is gone is forgotten, unless it was registered after Apple saw it go", async () => {
  const guest = await backend.signIn(2 * priceOfKling);
  const kept = await register(guest);
  const gone = await register(guest);
  const nowhere = await register(guest, "c".repeat(64));
  const rule = (token: string, timestamp: number): ApnsRule => ({
    effect: "refused",
    status: 410,
    reason: "Unregistered",
    token,
    timestamp,
  });
  const now = Number(
    (await backend.database.sql`select extract(epoch from core.now()) * 1000 as now`)[0]?.now,
  );
  await apns().rules(rule(kept, Math.floor(now - 60_000)), rule(gone, Math.floor(now + 60_000)));
  await ended(backend, guest, (await generate(guest)).job_id);
  assert.deepEqual(await outcomesOf(guest, 1), [{
    outcome: "dropped",
    reason: "Apple answered Unregistered",
  }]);
  assert.deepEqual((await devicesOf(guest)).map(({ token }) => token), [kept]);
  await ended(backend, guest, (await generate(guest)).job_id);
  await pushesTo(kept, 1);
  const { requests } = await apns().report();
  assert.equal(requests.filter(({ token }) => token === gone).length, 1);
  assert.deepEqual(
    requests.filter(({ token }) => token === nowhere).map(({ reason }) => reason),
    ["BadDeviceToken", "BadDeviceToken"],
  );
});

Deno.test("what Apple cannot take now is sent later, under the same id, and to the other devices once", async () => {
  const guest = await backend.signIn(priceOfKling);
  const [busy, quick] = [await register(guest), await register(guest)];
  const refused = { effect: "refused", token: busy } as const;
  await apns().rules(
    { ...refused, status: 429, reason: "TooManyRequests", retryAfterSeconds: 40 },
    { ...refused, status: 503, reason: "ServiceUnavailable" },
    { effect: "down", token: busy },
  );
  await ended(backend, guest, (await generate(guest)).job_id);
  const waiting = async () => {
    const [task] = await backend.database.sql<{ seconds: number; last_error: string | null }[]>`
      select extract(epoch from t.run_at - t.claimed_at)::float as seconds, t.last_error
      from queue.tasks as t where t.owner_id = ${guest.id} and t.kind = 'deliver_push' and t.leased_until is null
        and t.last_error is not null`;
    return task;
  };
  const first = await eventually("it waits", async () => {
    await backend.stack.tick();
    return await waiting();
  });
  assert.equal(first.last_error, "TooManyRequests");
  assert(first.seconds >= 40, `Apple asked for 40 s: ${first.seconds}`);
  const requests = await eventually("it is sent", async () => {
    if (await waiting()) await backend.database.advance(900_000);
    await backend.stack.tick();
    const own = (await apns().report()).requests.filter(({ token }) => token === busy);
    return own.some(({ isSent }) => isSent) ? own : undefined;
  });
  assert.equal(new Set(requests.map(({ headers }) => headers["apns-id"])).size, 1);
  assert.deepEqual(await outcomesOf(guest, 1), [{ outcome: "delivered", reason: null }]);
  assert.equal((await pushesTo(quick, 1)).length, 1);
});

Deno.test("nothing is sent to whoever was suspended or has left since", async () => {
  const { sql } = backend.database;
  const reasons = { suspended: "the account is suspended", closed: "the account is closed" };
  for (const [what, reason] of Object.entries(reasons)) {
    const guest = await backend.signIn();
    const token = await register(guest);
    await sql.begin(async (sql) => {
      await sql`select events.publish('purchase.credited', ${guest.id}, '{"credits": 5}')`;
      // Nobody takes it before everything has changed.
      await sql`
        update queue.tasks set run_at = core.now() + interval '1 hour'
        where owner_id = ${guest.id} and kind = 'deliver_push'`;
    });
    if (what === "suspended") await sql`update accounts.users set is_banned = true where id = ${guest.id}`;
    else assert.equal((await guest.call("user-profile", { method: "DELETE" })).status, 202);
    await backend.database.advance(3_700_000);
    assert.deepEqual(await outcomesOf(guest, 1), [{ outcome: "dropped", reason }]);
    const { requests } = await apns().report();
    assert.deepEqual(requests.filter((request) => request.token === token), []);
  }
});
