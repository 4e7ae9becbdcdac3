/** What the domain shows to the operator: the servers that are told what happens, and what became of telling them. */
import * as z from "zod/mini";
import { exampleIds } from "../endpoint/example-ids.ts";
import { eventTypeNames } from "../events/catalogue.ts";
import { loopbackUrl, publicHttpsUrl } from "../platform/public-url.ts";

const timestamp = z.iso.datetime({ precision: 3 });

export const WebhookId = z.guid().check(z.toLowerCase());

/** As long as a browser's address bar takes it. */
const maxUrlLength = 2048;

/**
 * Https, a public name, the port 443, no credentials; and, where this is a local project, which the service asks, http on
 * this machine. In its canonical form.
 */
export const WebhookUrl = z.pipe(
  z.string().check(z.maxLength(maxUrlLength)),
  z.transform((text: string, { issues }): string => {
    const url = publicHttpsUrl(text) ?? loopbackUrl(text);
    if (url !== null && url.length <= maxUrlLength) return url;
    issues.push({
      code: "custom",
      input: text,
      message: "Must be https on port 443, with a public DNS name and without credentials",
    });
    return z.NEVER;
  }),
);

const topics = [...new Set(eventTypeNames.map((name) => `${name.split(".")[0]}.*` as const))];

/** One type, a topic or everything; see docs/events.md. */
export const EventPattern = z.enum([...eventTypeNames, ...topics, "#"]);

export const EventPatterns = z.array(EventPattern).check(
  z.minLength(1),
  z.maxLength(20),
  z.refine((patterns) => new Set(patterns).size === patterns.length, "Must name each once"),
);

export const Webhook = z.object({
  webhook_id: z.guid(),
  url: z.string(),
  types: z.array(z.string()),
  is_enabled: z.boolean(),
  /** `gone`: it answered 410; `failing`: nothing has succeeded for five days. */
  disabled_reason: z.nullable(z.enum(["admin", "gone", "failing"])),
  /** Since when no attempt has succeeded; null where the last one did. */
  failing_since: z.nullable(timestamp),
  created_at: timestamp,
});
export type Webhook = z.infer<typeof Webhook>;

/** With the secret, which is shown this once. */
export const WebhookWithSecret = z.extend(Webhook, { secret: z.string() });
export type WebhookWithSecret = z.infer<typeof WebhookWithSecret>;

export const DeliveryStatus = z.enum(["pending", "delivered", "dropped", "dead"]);

export const WebhookDelivery = z.object({
  delivery_id: z.uuid(),
  webhook_id: z.guid(),
  /** The `webhook-id` of all its attempts. */
  event_id: z.uuid(),
  type: z.string(),
  status: DeliveryStatus,
  attempts: z.int().check(z.nonnegative()),
  attempted_at: z.nullable(timestamp),
  next_attempt_at: z.nullable(timestamp),
  /** Of the last attempt. */
  response: z.nullable(z.object({
    /** Null where none came. */
    status: z.nullable(z.int()),
    duration_ms: z.int().check(z.nonnegative()),
    /** The first kilobyte of what the server said, or why there is none. */
    text: z.string(),
  })),
  /** Why it was dropped, or is dead. */
  reason: z.nullable(z.string()),
  created_at: timestamp,
  ended_at: z.nullable(timestamp),
});
export type WebhookDelivery = z.infer<typeof WebhookDelivery>;

export function exampleWebhook(): Webhook {
  return {
    webhook_id: exampleIds.webhook,
    url: "https://hooks.example.com/kinora",
    types: ["video.completed", "video.failed", "alert.*"],
    is_enabled: true,
    disabled_reason: null,
    failing_since: null,
    created_at: "2026-11-21T12:00:00.000Z",
  };
}

export function exampleDelivery(): WebhookDelivery {
  return {
    delivery_id: exampleIds.delivery,
    webhook_id: exampleIds.webhook,
    event_id: exampleIds.event,
    type: "webhook.test",
    status: "delivered",
    attempts: 1,
    attempted_at: "2026-11-21T12:00:06.000Z",
    next_attempt_at: null,
    response: { status: 200, duration_ms: 84, text: "ok" },
    reason: null,
    created_at: "2026-11-21T12:00:05.000Z",
    ended_at: "2026-11-21T12:00:06.000Z",
  };
}
