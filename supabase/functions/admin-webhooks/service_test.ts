import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import { testConfig } from "../_shared/testing/config.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import { fakeWeb } from "../_shared/testing/web.ts";
import { exampleWebhook } from "../_shared/webhooks/contract.ts";
import { openSecret } from "../_shared/webhooks/secrets.ts";
import { ChangeWebhookRequest, CreateWebhookRequest } from "./schema.ts";
import { changeWebhook, createWebhook, deleteWebhook, listWebhooks } from "./service.ts";

const key = "a2V5IGtleSBrZXkga2V5IGtleSBrZXkga2V5IGtleSE=";
const webhook = exampleWebhook();
const { webhook_id, url, types } = webhook;
const reason = "for a reason";
const caller = { p_admin_id: adminId, p_session_id: sessionId };
const asked = { ...caller, p_request_id: "test-request", p_reason: reason };

function setting(
  { addresses = ["93.184.215.14"], isAdmin = true, ENVIRONMENT = "production", ...environment }: {
    addresses?: string[] | Error;
    isAdmin?: boolean;
    ENVIRONMENT?: string;
    OUTBOUND_WEBHOOK_KEY?: string;
  } = {},
) {
  const config = testConfig({ OUTBOUND_WEBHOOK_KEY: key, ENVIRONMENT, ...environment });
  const admitted = (answer: unknown) => isAdmin ? answer : Promise.reject(new AppError("ERR_4006"));
  const { database, calls } = fakeDatabase({
    get_admin_webhooks: () => admitted({ webhooks: [webhook] }),
    post_admin_webhooks: () => admitted(webhook),
    patch_admin_webhooks: () => admitted(webhook),
    delete_admin_webhooks: () => ({ webhook_id }),
  });
  const webhookWeb = fakeWeb({ names: { "hooks.example.com": addresses } });
  const writes = () => calls.filter(({ name }) => name !== "get_admin_webhooks");
  return {
    calls,
    writes,
    looks: webhookWeb.events,
    context: testContext("admin", { database, config, webhookWeb }),
  };
}

Deno.test("a webhook gets a secret that its answer alone has; the database gets it sealed, for this webhook", async () => {
  const { context, calls, writes } = setting();
  const { status, body } = await createWebhook({ url, types: ["video.*"], reason }, context);
  assert(body);
  const { secret, ...shown } = body;
  assert.deepEqual([status, shown], [201, webhook]);
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  const [call] = writes();
  const { p_webhook_id, p_sealed_secret, ...rest } = call?.args as Record<string, string>;
  assert.deepEqual(rest, { ...asked, p_url: url, p_types: ["video.*"] });
  assert(p_webhook_id && p_sealed_secret);
  assert(!JSON.stringify(calls).includes(secret.slice("whsec_".length)));
  assert.equal(await openSecret(key, p_webhook_id, p_sealed_secret), secret);
  await assert.rejects(openSecret(key, webhook_id, p_sealed_secret), "another webhook's");
});

Deno.test("what is changed is what was given, and a secret is answered where it is a new one alone", async () => {
  const { context, writes } = setting();
  assert.deepEqual(await changeWebhook({ webhook_id, is_enabled: false, reason }, context), {
    status: 200,
    body: webhook,
  });
  const { body } = await changeWebhook({ webhook_id, rotate_secret: true, reason }, context);
  assert(body?.secret);
  await changeWebhook({ webhook_id, rotate_secret: false, url, reason }, context);
  const [disabled, rotated, moved] = writes().map(({ args }) => args as Record<string, string>);
  assert.deepEqual(disabled, { ...asked, p_webhook_id: webhook_id, p_is_enabled: false });
  const { p_sealed_secret, ...rest } = rotated ?? {};
  assert.deepEqual(rest, { ...asked, p_webhook_id: webhook_id });
  assert.equal(await openSecret(key, webhook_id, p_sealed_secret ?? ""), body.secret);
  assert.deepEqual(moved, { ...asked, p_webhook_id: webhook_id, p_url: url });
});

Deno.test("without the key that secrets are sealed with nothing is made, and the rest works", async () => {
  const { context, calls } = setting({ OUTBOUND_WEBHOOK_KEY: "" });
  const off = { code: "ERR_6004", details: { feature: "webhooks" } };
  await assert.rejects(createWebhook({ url, types: ["#"], reason }, context), off);
  await assert.rejects(changeWebhook({ webhook_id, rotate_secret: true, reason }, context), off);
  assert.deepEqual(calls, []);
  await listWebhooks({}, context);
  await changeWebhook({ webhook_id, is_enabled: false, reason }, context);
  await deleteWebhook({ webhook_id, reason }, context);
  assert.equal(calls.length, 3);
});

Deno.test("a host that leads to an address that is not public is refused; one of which nobody can tell is taken", async () => {
  const refused = [["127.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["::ffff:169.254.169.254"], []];
  for (const addresses of refused) {
    const { context, writes } = setting({ addresses });
    const rejected = {
      code: "ERR_4008",
      details: { fields: [{ path: "url", message: "Must lead to public addresses alone" }] },
    };
    await assert.rejects(createWebhook({ url, types: ["#"], reason }, context), rejected);
    await assert.rejects(changeWebhook({ webhook_id, url, reason }, context), rejected);
    assert.deepEqual(writes(), [], String(addresses));
  }
  const { context, writes } = setting({ addresses: new Error("no name server answers") });
  await createWebhook({ url, types: ["#"], reason }, context);
  assert.equal(writes().length, 1);
});

Deno.test("for whoever is no admin no name is looked up: where it leads is nobody else's to find out", async () => {
  for (const addresses of [["93.184.215.14"], ["10.0.0.1"]]) {
    const { context, looks } = setting({ addresses, isAdmin: false });
    const refused = { code: "ERR_4006" };
    await assert.rejects(createWebhook({ url, types: ["#"], reason }, context), refused);
    await assert.rejects(changeWebhook({ webhook_id, url, reason }, context), refused);
    assert.deepEqual(looks, []);
  }
});

Deno.test("a URL is https on port 443 of a public name, in whatever notation it comes", () => {
  const good: Record<string, string> = {
    "https://hooks.example.com/a?b=c": "https://hooks.example.com/a?b=c",
    "HTTPS://Hooks.Example.COM": "https://hooks.example.com/",
    "https://bücher.example.com/": "https://xn--bcher-kva.example.com/",
  };
  for (const [text, canonical] of Object.entries(good)) {
    assert.equal(CreateWebhookRequest.parse({ url: text, types: ["#"], reason }).url, canonical);
  }
  const bad = [
    ...["http://hooks.example.com/", "https://hooks.example.com:8443/", "https://hooks.example.com:443/"],
    ...["https://u:p@hooks.example.com/", "https://hooks.example.com@10.0.0.1/", "ftp://hooks.example.com/"],
    ...["https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://017700000001/"],
    ...["https://127.1/", "https://①②⑦.0.0.1/", "https://[::1]/", "https://[::ffff:7f00:1]/"],
    ...["https://169.254.169.254/", "https://[64:ff9b::a9fe:a9fe]/", "https://[fd00:ec2::254]/"],
    ...[
      "https://localhost/",
      "https://a.localhost/",
      "https://kinora.local/",
      "https://metadata.google.internal/",
    ],
    ...[
      "https://router.lan/",
      "https://x.test/",
      "https://hooks",
      "https://",
      "",
      "hooks.example.com",
      "//a.example.com/",
    ],
    ...[
      "javascript:alert(1)",
      "file:///etc/passwd",
      "https:\\\\127.0.0.1\\",
      "http://10.0.0.1/",
      "http://[::1]:80/",
    ],
    `https://hooks.example.com/${"x".repeat(2048)}`,
  ];
  for (const text of bad) {
    for (const schema of [CreateWebhookRequest, ChangeWebhookRequest]) {
      const request = {
        url: text,
        ...(schema === CreateWebhookRequest ? { types: ["#"] } : { webhook_id }),
        reason,
      };
      const result = schema.safeParse(request);
      assert.equal(result.success, false, text);
      assert(result.error?.issues.every(({ path }) => path[0] === "url"), text);
    }
  }
});

Deno.test("a server on this machine is told in a local project alone", async () => {
  const local = CreateWebhookRequest.parse({ url: "http://127.0.0.1:4000/hook", types: ["#"], reason });
  const { context } = setting();
  await assert.rejects(createWebhook(local, context), { code: "ERR_4008" });
  const staging = setting({ ENVIRONMENT: "staging" });
  await assert.rejects(createWebhook(local, staging.context), { code: "ERR_4008" });
  const onMachine = setting();
  const webhooks = { ...onMachine.context.config.webhooks, mayBeLocal: true };
  const context2 = { ...onMachine.context, config: { ...onMachine.context.config, webhooks } };
  assert.equal((await createWebhook(local, context2)).status, 201);
});

Deno.test("types are those that there are, topics or everything, each once, and 20 at most", () => {
  const parse = (types: unknown) => CreateWebhookRequest.safeParse({ url, types, reason }).success;
  for (const good of [types, ["#"], ["video.*"], ["webhook.test", "alert.raised"]]) assert(parse(good));
  const bad = [
    [],
    ["video"],
    ["*"],
    ["video.#"],
    ["invented.*"],
    ["video.*", "video.*"],
    "video.*",
    [null],
    undefined,
  ];
  for (const each of bad) assert(!parse(each), String(each));
});
