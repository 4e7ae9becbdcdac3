import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleWebhook } from "../_shared/webhooks/contract.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

export default {
  GET: {
    description: "All of them, 20 at most, newest first. No answer but the one that made it has a secret.",
    query: {},
    responses: { 200: { webhooks: [exampleWebhook()] } },
  },
  POST: {
    description:
      "`url` is https on port 443 of a public host; in a local project also http on this machine. `types` are patterns of " +
      "[events](events.md): a type, a topic (`video.*`), or all (`#`). `secret` is shown this once; " +
      "[the guide for receivers](webhooks.md) says what a server does with it. `ERR_4009` (`too_many`) where there are 20.",
    request: {
      url: exampleWebhook().url,
      types: exampleWebhook().types,
      reason: "Our billing counts the videos",
    },
    responses: { 201: { ...exampleWebhook(), secret } },
    // Names are looked up for admins alone.
    dataApiCalls: 2,
    walk: { captures: { WEBHOOK: ".webhook_id" } },
  },
  PATCH: {
    description:
      "What is not given stays. `rotate_secret: true` answers a new `secret`; for 24 hours messages carry a signature by the one before, " +
      "too. While `is_enabled` is false the server is told nothing, and what waited for it is dropped; " +
      "enabled again, it hears what happens from then on. `ERR_4009` (`dropping`) where it is to be enabled and more than 1,000 " +
      "deliveries that waited are not dropped yet: 120,000 take a minute.",
    request: {
      webhook_id: exampleIds.webhook,
      rotate_secret: true,
      reason: "The secret was in a log",
    },
    responses: { 200: { ...exampleWebhook(), secret } },
  },
  DELETE: {
    description:
      "What waited for it is told to nobody. `ERR_4007` for one that is not there, as in a second call.",
    query: { webhook_id: exampleIds.webhook, reason: "Its server is gone" },
  },
} satisfies Documentation;
