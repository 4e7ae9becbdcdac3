/** Other servers are told by way of the operator's proxy, where there is one, and never around it. */
import assert from "node:assert/strict";
import { WebhookDelivery, WebhookWithSecret } from "../../supabase/functions/_shared/webhooks/contract.ts";
import { WebhookDeliveriesResponse } from "../../supabase/functions/admin-webhook-deliveries/schema.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { bodyOf } from "./support/answer.ts";
import { startBackend } from "./support/backend.ts";

/** A proxy that knows CONNECT alone. */
function startProxy() {
  const heads: string[] = [];
  let refuses = false;
  const open = new Set<Deno.TcpConn>();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async (client: Deno.TcpConn) => {
    open.add(client);
    let head = "";
    const buffer = new Uint8Array(1024);
    while (!head.includes("\r\n\r\n")) {
      const count = await client.read(buffer);
      if (count === null) return client.close();
      head += new TextDecoder().decode(buffer.subarray(0, count));
    }
    heads.push(head);
    const [, hostname = "", port = ""] = /^CONNECT ([\d.]+):(\d+) HTTP\/1\.1\r\n/.exec(head) ?? [];
    if (refuses || port === "") {
      await client.write(new TextEncoder().encode("HTTP/1.1 403 Forbidden\r\n\r\n"));
      return client.close();
    }
    const server = await Deno.connect({ hostname, port: Number(port) });
    open.add(server);
    await client.write(new TextEncoder().encode("HTTP/1.1 200 Connection established\r\nX-Proxy: a\r\n\r\n"));
    await Promise.allSettled([
      client.readable.pipeTo(server.writable),
      server.readable.pipeTo(client.writable),
    ]);
  };
  const serving = (async () => {
    for await (const client of listener) serve(client).catch(() => {});
  })();
  return {
    heads,
    url: `http://user:p%40ss@127.0.0.1:${listener.addr.port}`,
    refuse: (whether: boolean) => void (refuses = whether),
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving.catch(() => {});
      for (const connection of open) {
        try {
          connection.close();
        } catch {
          // It is closed.
        }
      }
    },
  };
}

const proxy = shared(() => Promise.resolve(startProxy()));
const backend = shared(() => startBackend({ environment: { WEBHOOK_PROXY_URL: proxy.url } }));

Deno.test("a message goes through the proxy, to an address that was checked, and not around it", async () => {
  const admin = await backend.signInAdmin();
  const { control } = backend.stack.simulators.web;
  const body = { url: "https://hooks.example.com/kinora", types: ["webhook.test"], reason: "for a test" };
  const { webhook_id } = bodyOf(await admin.call("admin-webhooks", { body }), 201, WebhookWithSecret);
  const attempted = async () => {
    const { delivery_id } = bodyOf(
      await admin.call("admin-webhook-deliveries", { body: { webhook_id, test: true } }),
      202,
      WebhookDelivery,
    );
    return await eventually("it is tried", async () => {
      await backend.stack.tick();
      const answer = await admin.call(`admin-webhook-deliveries?webhook_id=${webhook_id}`);
      const { deliveries } = bodyOf(answer, 200, WebhookDeliveriesResponse);
      const shown = deliveries.find((each) => each.delivery_id === delivery_id);
      return shown && shown.attempts > 0 ? shown : undefined;
    });
  };
  assert.equal((await attempted()).status, "delivered");
  const [head = ""] = proxy.heads;
  assert.match(head, /^CONNECT 127\.0\.0\.1:\d+ HTTP\/1\.1\r\n/, "an address, and no name");
  assert.match(head, new RegExp(`\r\nProxy-Authorization: Basic ${btoa("user:p@ss")}\r\n`));
  assert.equal((await control.report()).requests.length, 1);

  proxy.refuse(true);
  const refused = await attempted();
  assert.deepEqual([refused.status, refused.response?.status], ["pending", null]);
  assert.match(refused.response?.text ?? "", /no connection/);
  assert.equal((await control.report()).requests.length, 1, "nothing goes around it");
});
