import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import { exampleDelivery } from "../_shared/webhooks/contract.ts";
import { SendWebhookRequest, WebhookDeliveriesQuery } from "./schema.ts";
import { listDeliveries, sendWebhook } from "./service.ts";

const delivery = exampleDelivery();
const { delivery_id, webhook_id } = delivery;
const caller = { p_admin_id: adminId, p_session_id: sessionId };

Deno.test("a page of a webhook's deliveries is asked for by the admin of the token, and its cursor leads to the next one", async () => {
  const next = { created_at: "2026-11-20T11:59:00.123456+00:00", id: delivery_id };
  const { database, calls } = fakeDatabase({
    get_admin_webhook_deliveries: () => ({ deliveries: [delivery], next }),
  });
  const context = testContext("admin", { database });
  const query = WebhookDeliveriesQuery.parse({ webhook_id, status: "dead", limit: "1" });
  const { status, body } = await listDeliveries(query, context);
  assert(body?.next_cursor);
  assert.deepEqual([status, body.deliveries], [200, [delivery]]);
  await listDeliveries(WebhookDeliveriesQuery.parse({ webhook_id, cursor: body.next_cursor }), context);
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...caller, p_webhook_id: webhook_id, p_limit: 1, p_status: "dead", p_after: null },
    { ...caller, p_webhook_id: webhook_id, p_limit: 20, p_after: next },
  ]);
  const madeUp = WebhookDeliveriesQuery.parse({ webhook_id, cursor: "made-up" });
  await assert.rejects(listDeliveries(madeUp, context), { code: "ERR_4008" });
});

Deno.test("what is sent is one call, and answered before it is sent", async () => {
  const { database, calls } = fakeDatabase({ post_admin_webhook_deliveries: () => delivery });
  const context = testContext("admin", { database });
  for (const request of [{ delivery_id }, { webhook_id, test: true }]) {
    const answer = await sendWebhook(SendWebhookRequest.parse(request), context);
    assert.deepEqual(answer, { status: 202, body: delivery });
  }
  const asked = { ...caller, p_request_id: "test-request" };
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...asked, p_delivery_id: delivery_id },
    { ...asked, p_webhook_id: webhook_id, p_test: true },
  ]);
});

Deno.test("a delivery is named, or a webhook to be tried, and not both", () => {
  const bad = [{}, { webhook_id }, { test: true }, { webhook_id, test: false }, { delivery_id, webhook_id }];
  for (
    const request of [...bad, { delivery_id, test: true }, { delivery_id: "1" }, { delivery_id, more: 1 }]
  ) {
    assert(!SendWebhookRequest.safeParse(request).success, JSON.stringify(request));
  }
});
