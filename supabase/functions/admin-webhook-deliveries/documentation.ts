import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleDelivery } from "../_shared/webhooks/contract.ts";

export default {
  GET: {
    description:
      "`status` names those in one state: `pending`, `delivered`, `dropped` (with a `reason`, as of a webhook that is disabled), " +
      "`dead` (no try was left). `response` is what the last attempt met: `status` is null where no answer came, " +
      "`text` the first kilobyte of what the server said.",
    query: { webhook_id: exampleIds.webhook, status: "delivered", limit: "10" },
    responses: { 200: { deliveries: [exampleDelivery()], next_cursor: null } },
  },
  POST: {
    description:
      "Either `delivery_id`: the same event, under the same `webhook-id`, at once and with all its tries. Or `webhook_id` and " +
      "`test: true`: an event of the type `webhook.test`, whatever the webhook has asked for. `ERR_4009` (`disabled`) where the " +
      "webhook is.",
    request: { webhook_id: exampleIds.webhook, test: true },
    responses: {
      202: {
        ...exampleDelivery(),
        status: "pending",
        attempts: 0,
        attempted_at: null,
        next_attempt_at: "2026-11-21T12:00:05.000Z",
        response: null,
        ended_at: null,
      },
    },
    // The examples have just deleted it.
    walk: { follows: "admin-webhooks", refused: 404 },
  },
} satisfies Documentation;
