/** What other servers are told, over HTTP: signed, repeated by the schedule, and nowhere that they lead us. */
import assert from "node:assert/strict";
import { Webhook as Verifier } from "standardwebhooks";
import {
  type ReceivedMessage,
  type ReceiverRule,
  startReceiver,
} from "../../local/simulators/receiver/receiver.ts";
import { WebhookDeliveriesResponse } from "../../supabase/functions/admin-webhook-deliveries/schema.ts";
import { ChangeWebhookResponse, WebhooksResponse } from "../../supabase/functions/admin-webhooks/schema.ts";
import {
  WebhookDelivery,
  type WebhookWithSecret,
  WebhookWithSecret as WithSecret,
} from "../../supabase/functions/_shared/webhooks/contract.ts";
import { publish } from "../database/support/events.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";

const backend = shared(startBackend);
const receiver = shared(startReceiver);
let admin: Guest;
Deno.test.beforeAll(async () => {
  admin = await backend.signInAdmin();
});
Deno.test.afterEach(async () => {
  const { webhooks } = bodyOf(await admin.call("admin-webhooks"), 200, WebhooksResponse);
  for (const { webhook_id } of webhooks) await remove(webhook_id);
  await receiver.control.reset();
  await backend.database.sql`delete from guard.hits`;
});

const reason = "for a test";

async function create(path: string, types = ["webhook.test"]): Promise<WebhookWithSecret> {
  const body = { url: `${receiver.url}${path}`, types, reason };
  return bodyOf(await admin.call("admin-webhooks", { body }), 201, WithSecret);
}

async function change(webhook_id: string, changes: object): Promise<ChangeWebhookResponse> {
  const answer = await admin.call("admin-webhooks", {
    method: "PATCH",
    body: { webhook_id, reason, ...changes },
  });
  return bodyOf(answer, 200, ChangeWebhookResponse);
}

async function remove(webhookId: string): Promise<void> {
  const query = new URLSearchParams({ webhook_id: webhookId, reason });
  assert.equal((await admin.call(`admin-webhooks?${query}`, { method: "DELETE" })).status, 204);
}

async function test(webhook_id: string): Promise<WebhookDelivery> {
  const answer = await admin.call("admin-webhook-deliveries", { body: { webhook_id, test: true } });
  return bodyOf(answer, 202, WebhookDelivery);
}

async function deliveriesOf(webhookId: string, query = ""): Promise<WebhookDelivery[]> {
  const answer = await admin.call(`admin-webhook-deliveries?webhook_id=${webhookId}&limit=100${query}`);
  return bodyOf(answer, 200, WebhookDeliveriesResponse).deliveries;
}

/** The delivery, once so many attempts have ended. */
async function attempted(delivery: WebhookDelivery, attempts: number): Promise<WebhookDelivery> {
  return await eventually(`${attempts} attempts are made`, async () => {
    await backend.stack.tick();
    const shown = (await deliveriesOf(delivery.webhook_id)).find(({ delivery_id }) =>
      delivery_id === delivery.delivery_id
    );
    return shown && shown.attempts >= attempts ? shown : undefined;
  });
}

async function received(path: string): Promise<ReceivedMessage[]> {
  const { requests } = await receiver.control.report();
  return requests.filter((request) => request.path === path);
}

/** What the message says, by the word of the public library. Throws where the signature is not the secret's. */
const verify = (secret: string, { body, headers }: ReceivedMessage) => {
  const now = Date.now();
  // The clock of the functions is the machine's, as the library's is.
  assert(Math.abs(now - Number(headers["webhook-timestamp"]) * 1000) < 300_000);
  return new Verifier(secret).verify(body, headers) as Record<string, unknown>;
};

Deno.test("a server is told what it asked for, signed by the secret that was shown once", async () => {
  const { secret, webhook_id } = await create("/told", ["video.*", "alert.raised"]);
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  const { sql } = backend.database;
  const eventId = await publish(sql, "video.progressed", null, { percent: 40 });
  await publish(sql, "account.merged", null);
  await publish(sql, "alert.raised", null, { rule: "a_rule", subject: "a subject" });
  const messages = await eventually("it is told", async () => {
    await backend.stack.tick();
    const all = await received("/told");
    return all.length === 2 ? all : undefined;
  });
  const told = messages.map((message) => verify(secret, message));
  assert.deepEqual(told.map(({ type }) => type).sort(), ["alert.raised", "video.progressed"]);
  const video = messages.find(({ headers }) => headers["webhook-id"] === eventId);
  assert(video);
  assert.equal(video.headers["content-type"], "application/json");
  const { timestamp, ...rest } = JSON.parse(video.body);
  assert.deepEqual(rest, { id: eventId, type: "video.progressed", user_id: null, data: { percent: 40 } });
  assert.match(timestamp, /^\d{4}-.*Z$/);
  assert.throws(() => verify(secret, { ...video, body: video.body.replace("40", "41") }));
  const shown = await eventually("both are told", async () => {
    await backend.stack.tick();
    const all = await deliveriesOf(webhook_id, "&status=delivered");
    return all.length === 2 ? all : undefined;
  });
  for (const { response, attempts, ended_at } of shown) {
    assert.deepEqual([response?.status, response?.text, attempts], [200, "ok", 1]);
    assert(ended_at);
  }
});

Deno.test("the secret is shown by nothing but the answer that made it, and is not in the database", async () => {
  const { secret } = await create("/secret");
  const list = await admin.call("admin-webhooks");
  const { sql } = backend.database;
  const stored = await sql`select s.* from webhooks.secrets as s`;
  const actions = await sql`select a.* from ops.admin_actions as a`;
  const bytes = secret.slice("whsec_".length);
  for (const text of [list.body, stored, actions].map((each) => JSON.stringify(each))) {
    assert(!text.includes(bytes), text);
    assert(!text.includes(btoa(bytes)), text);
  }
});

Deno.test("while a secret is rotated either of both verifies, and after 24 hours the new one alone", async () => {
  const { webhook_id, secret: before } = await create("/rotated");
  const { secret: after } = await change(webhook_id, { rotate_secret: true });
  assert(after && after !== before);
  const both = await attempted(await test(webhook_id), 1);
  assert.equal(both.status, "delivered");
  const [message] = await received("/rotated");
  assert(message);
  for (const secret of [before, after]) assert.equal(verify(secret, message).type, "webhook.test");
  await backend.database.sql`update webhooks.secrets set expires_at = expires_at - interval '24 hours'`;
  await attempted(await test(webhook_id), 1);
  const later = (await received("/rotated")).at(-1);
  assert(later);
  verify(after, later);
  assert.throws(() => verify(before, later));
});

Deno.test("an answer that is no success is tried again under the same id, and shown to the operator", async () => {
  const failures: ReceiverRule[] = [
    { effect: "answer", status: 500, body: "it\u0000 broke" },
    { effect: "answer", status: 404 },
    { effect: "answer", status: 429, headers: { "retry-after": "Fri, 31 Dec 9999 23:59:59 GMT" } },
    { effect: "redirect", location: `${receiver.url}/elsewhere` },
    { effect: "redirect", location: "http://169.254.169.254/latest/meta-data/" },
    { effect: "answer", status: 304 },
    { effect: "lost" },
  ];
  const { webhook_id, secret } = await create("/failing");
  await receiver.control.rules(...failures.map((rule) => ({ ...rule, path: "/failing" })));
  const delivery = await test(webhook_id);
  const statuses: (number | null | undefined)[] = [];
  for (const [index] of failures.entries()) {
    const { status, response, next_attempt_at } = await attempted(delivery, index + 1);
    assert(next_attempt_at);
    assert.equal(status, "pending");
    statuses.push(response?.status);
    await backend.database.sql`
      update queue.tasks set run_at = core.now() where subject = ${delivery.delivery_id}`;
  }
  assert.deepEqual(statuses, [500, 404, 429, 302, 302, 304, null]);
  const ended = await attempted(delivery, failures.length + 1);
  assert.equal(ended.status, "delivered");
  const messages = await received("/failing");
  assert.deepEqual(
    new Set(messages.map(({ headers }) => headers["webhook-id"])),
    new Set([delivery.event_id]),
  );
  assert.equal(messages.length, failures.length + 1);
  for (const message of messages) verify(secret, message);
  assert.deepEqual(await received("/elsewhere"), [], "no redirect is followed");
});

Deno.test("of an answer the first kilobyte is read, be it 5 GB or without an end", async () => {
  for (
    const rule of [
      { effect: "huge", bytes: 5 * 1024 ** 3 },
      { effect: "huge", bytes: 5 * 1024 ** 3, tells: false },
    ] as const
  ) {
    const { webhook_id } = await create("/huge");
    await receiver.control.rules({ ...rule, path: "/huge" });
    const { status, response } = await attempted(await test(webhook_id), 1);
    assert.deepEqual([status, response?.status, response?.text.length], ["delivered", 200, 1024]);
    await remove(webhook_id);
  }
});

Deno.test("an operator sends again what was told, under the same id, and a test to whoever asked for nothing", async () => {
  const { webhook_id, secret } = await create("/again", ["account.closed"]);
  const delivery = await test(webhook_id);
  assert.equal((await attempted(delivery, 1)).status, "delivered");
  const again = bodyOf(
    await admin.call("admin-webhook-deliveries", { body: { delivery_id: delivery.delivery_id } }),
    202,
    WebhookDelivery,
  );
  assert.deepEqual([again.status, again.event_id], ["pending", delivery.event_id]);
  assert.equal((await attempted(delivery, 2)).status, "delivered");
  const messages = await received("/again");
  assert.deepEqual(messages.map((message) => verify(secret, message).id), [
    delivery.event_id,
    delivery.event_id,
  ]);

  await change(webhook_id, { is_enabled: false });
  for (const body of [{ delivery_id: delivery.delivery_id }, { webhook_id, test: true }]) {
    const { details } = errorOf(await admin.call("admin-webhook-deliveries", { body }), "ERR_4009");
    assert.deepEqual(details, { status: "disabled" });
  }
});

Deno.test("410 disables a webhook with an alert; what waited is dropped, and enabling it begins anew", async () => {
  const { webhook_id } = await create("/gone", ["webhook.test", "video.*"]);
  await receiver.control.rules({ effect: "answer", status: 410, path: "/gone" });
  const delivery = await attempted(await test(webhook_id), 1);
  assert.deepEqual([delivery.status, delivery.reason], ["dropped", "the webhook is disabled"]);
  const { webhooks: [shown] } = bodyOf(await admin.call("admin-webhooks"), 200, WebhooksResponse);
  assert.deepEqual([shown?.is_enabled, shown?.disabled_reason], [false, "gone"]);
  const { sql } = backend.database;
  const alerts = await sql`
    select from ops.alerts as a where a.rule = 'webhook_disabled' and a.subject = ${`webhook ${webhook_id}`}`;
  assert.equal(alerts.length, 1);
  await publish(sql, "video.completed", null);
  assert.equal((await deliveriesOf(webhook_id)).length, 1, "nothing more is told");
  const enabled = await change(webhook_id, { is_enabled: true });
  assert.deepEqual([enabled.is_enabled, enabled.disabled_reason, enabled.failing_since], [true, null, null]);
  await publish(sql, "video.completed", null);
  assert.equal((await deliveriesOf(webhook_id)).length, 2);
});

/** A webhook of a server with a name, which the simulated web answers for. */
async function createAt(host: string): Promise<WebhookWithSecret> {
  const body = { url: `https://${host}/kinora`, types: ["webhook.test"], reason };
  return bodyOf(await admin.call("admin-webhooks", { body }), 201, WithSecret);
}

Deno.test("a server with a name is told over TLS; one whose name leads elsewhere by then is not", async () => {
  const { control } = backend.stack.simulators.web;
  await control.reset();
  const { webhook_id } = await createAt("hooks.example.com");
  await control.rules({ effect: "answer", host: "hooks.example.com", status: 202, times: null });
  const told = await attempted(await test(webhook_id), 1);
  assert.deepEqual([told.status, told.response?.status], ["delivered", 202]);
  const elsewhere = [
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "::1",
    "fe80::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
  ];
  const asked = async () => (await control.report()).requests.length;
  const before = await asked();
  for (const address of elsewhere) {
    // It was public when it was registered; whoever owns the name has changed it since, one of its addresses at least.
    await control.reset();
    await control.rules({
      effect: "addresses",
      name: "hooks.example.com",
      addresses: ["93.184.215.14", address],
      times: null,
    });
    const { status, response } = await attempted(await test(webhook_id), 1);
    assert.deepEqual(
      [status, response?.status, response?.text],
      ["pending", null, "its host is not public"],
      address,
    );
    assert.equal(await asked(), 0, address);
  }
  assert.equal(before, 1);
  await control.reset();
});

Deno.test("a name that leads into somebody's own network is refused when it is registered", async () => {
  const { control } = backend.stack.simulators.web;
  await control.rules({
    effect: "addresses",
    name: "inside.example.com",
    addresses: ["192.168.0.1"],
    times: null,
  });
  const body = { url: "https://inside.example.com/", types: ["#"], reason };
  const { details } = errorOf(await admin.call("admin-webhooks", { body }), "ERR_4008");
  assert.partialDeepStrictEqual(details, { fields: [{ path: "url" }] });
  await control.reset();
});

Deno.test("who is no admin neither sees nor changes one, nor has one told anything", async () => {
  const guest = await backend.signIn();
  const { webhook_id } = await create("/closed");
  const delivery = await test(webhook_id);
  const calls: [string, Parameters<Guest["call"]>[1]][] = [
    ["admin-webhooks", {}],
    ["admin-webhooks", { body: { url: `${receiver.url}/x`, types: ["#"], reason } }],
    ["admin-webhooks", { method: "PATCH", body: { webhook_id, rotate_secret: true, reason } }],
    [`admin-webhooks?${new URLSearchParams({ webhook_id, reason })}`, { method: "DELETE" }],
    [`admin-webhook-deliveries?webhook_id=${webhook_id}`, {}],
    ["admin-webhook-deliveries", { body: { delivery_id: delivery.delivery_id } }],
  ];
  for (const [path, options] of calls) {
    const { status, body } = await guest.call(path, options);
    assert([401, 403].includes(status), `${path}: ${status}`);
    assert(!JSON.stringify(body).includes(webhook_id));
  }
});

Deno.test("twenty are all that there can be", async () => {
  for (let number = 0; number < 20; number++) await create(`/${number}`);
  const body = { url: `${receiver.url}/more`, types: ["#"], reason };
  assert.deepEqual(errorOf(await admin.call("admin-webhooks", { body }), "ERR_4009").details, {
    status: "too_many",
  });
});

Deno.test("secrets that are rotated while messages go out lose none, and each verifies by what was in use then", async () => {
  const { webhook_id, secret } = await create("/rotating", ["video.started"]);
  const secrets = [secret];
  const { sql } = backend.database;
  for (let turn = 0; turn < 5; turn++) {
    await Promise.all([1, 2, 3].map(() => publish(sql, "video.started", null)));
    const [changed] = await Promise.all([change(webhook_id, { rotate_secret: true }), backend.stack.tick()]);
    assert(changed.secret);
    secrets.push(changed.secret);
  }
  const messages = await eventually("all are told", async () => {
    await backend.stack.tick();
    const all = await received("/rotating");
    return new Set(all.map(({ headers }) => headers["webhook-id"])).size === 15 ? all : undefined;
  });
  const verifies = (message: ReceivedMessage) => (secret: string) => {
    try {
      return verify(secret, message) !== undefined;
    } catch {
      return false;
    }
  };
  for (const message of messages) {
    const by = secrets.findLastIndex(verifies(message));
    assert(by >= 0, "by none");
    // Whoever still has the secret before verifies it, too.
    if (by > 0) assert(verifies(message)(secrets[by - 1] ?? ""), `not by the secret before ${by}`);
  }
});
