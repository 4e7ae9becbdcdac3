/**
 * A crash at every step of telling another server, of which the quick tests run a sample: the functions are killed before and
 * after each of their calls, and so on both sides of each message that they send.
 */
import assert from "node:assert/strict";
import { Webhook as Verifier } from "standardwebhooks";
import { type ReceivedMessage, startReceiver } from "../../local/simulators/receiver/receiver.ts";
import { WebhookWithSecret } from "../../supabase/functions/_shared/webhooks/contract.ts";
import { WebhooksResponse } from "../../supabase/functions/admin-webhooks/schema.ts";
import { publish } from "../database/support/events.ts";
import { shared } from "../shared.ts";
import { bodyOf } from "./support/answer.ts";
import type { Guest } from "./support/backend.ts";
import { assertSurvivesCrashes, procedure } from "./support/crash-points.ts";
import { backend, calls, isTrue, restart, tick, until, untilQuiet } from "./support/crash-steps.ts";
import type { Point } from "./support/port-calls.ts";

const receiver = shared(startReceiver);
let admin: Guest;
Deno.test.beforeAll(async () => {
  admin = await backend.signInAdmin();
});

interface Told {
  readonly name: string;
  readonly secret: string;
  readonly eventIds: readonly string[];
  readonly messages: readonly ReceivedMessage[];
}

/** Two events, of which the first attempt at one fails. */
async function play(target: Point | null, name: string): Promise<Told> {
  const { sql } = backend.database;
  // Of the play before: it would be told of this one's events, and fail in its place.
  for (const { webhook_id } of bodyOf(await admin.call("admin-webhooks"), 200, WebhooksResponse).webhooks) {
    const query = new URLSearchParams({ webhook_id, reason: "for a test" });
    assert.equal((await admin.call(`admin-webhooks?${query}`, { method: "DELETE" })).status, 204);
  }
  await receiver.control.reset();
  await receiver.control.rules({ effect: "answer", status: 503 });
  const path = `/${crypto.randomUUID()}`;
  const made = await admin.call("admin-webhooks", {
    body: { url: `${receiver.url}${path}`, types: ["video.progressed"], reason: "for a test" },
  });
  const { webhook_id, secret } = bodyOf(made, 201, WebhookWithSecret);
  await untilQuiet();
  calls.reset(target, restart);
  const eventIds = [
    await publish(sql, "video.progressed", null),
    await publish(sql, "video.progressed", null),
  ];
  await tick();
  await until("the first attempts are made", () =>
    isTrue(sql`
      select from events.deliveries as d where d.target = ${webhook_id} having sum(d.attempts) >= 2`));
  // When the one that failed is due.
  await backend.database.advance(6_000);
  await tick();
  await until("nothing is left to do", () => isTrue(sql`select where not exists (select from queue.tasks)`));
  await untilQuiet();
  const ended = await sql<{ outcome: string }[]>`
    select d.outcome from events.deliveries as d where d.target = ${webhook_id}`;
  assert.deepEqual(ended.map(({ outcome }) => outcome), ["delivered", "delivered"], name);
  const { requests } = await receiver.control.report();
  return { name, secret, eventIds, messages: requests.filter((request) => request.path === path) };
}

/** No event is lost, and what comes again has the same id and the same words. */
function prove({ name, secret, eventIds, messages }: Told): Promise<void> {
  const byId = Map.groupBy(messages, ({ headers }) => headers["webhook-id"]);
  assert.deepEqual([...byId.keys()].sort(), eventIds.toSorted(), name);
  for (const repetitions of byId.values()) {
    assert.equal(new Set(repetitions.map(({ body }) => body)).size, 1, name);
    for (const { body, headers } of repetitions) new Verifier(secret).verify(body, headers);
  }
  // The one that failed once, the two that did not, and one more for a crash.
  assert(messages.length >= 3 && messages.length <= 5, `${name}: ${messages.length} messages`);
  return Promise.resolve();
}

Deno.test("what another server is to be told survives a crash at every step: nothing is lost, and repetitions have the same id", () =>
  assertSurvivesCrashes(play, prove, ["claim_tasks", "finish_webhook_delivery"].map(procedure)));
