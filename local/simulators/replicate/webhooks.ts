/** Signing the Replicate simulator's webhooks, in the symmetric form of Standard Webhooks. */
import { createHmac, randomBytes } from "node:crypto";
import type { Delivery, DoublingPolicy, SignDelivery } from "../engine/deliveries.ts";

/** Replicate waits "a few seconds", and repeats for about a minute: after 1, 2, 4, 8, 16 and 32 seconds. */
export const replicateDeliveryPolicy: DoublingPolicy = {
  timeoutMilliseconds: 5_000,
  maxAttempts: 7,
  retryMilliseconds: 1_000,
  maxPauseMilliseconds: 60_000,
};

/** A secret as `GET /v1/webhooks/default/secret` tells it. */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(24).toString("base64")}`;
}

/** Signs with the account's secret or, for an attacker's deliveries, with that of another account. */
export function replicateSigner(secret: string): SignDelivery {
  const stranger = newWebhookSecret();
  const secretsOf: Readonly<Record<Delivery["kind"], string[]>> = {
    genuine: [secret],
    rotated: [stranger, secret],
    forged: [stranger],
    other_account: [stranger],
  };
  return (delivery, body) => {
    const id = `msg_${delivery.id.replaceAll("-", "")}`;
    const timestamp = Math.floor(Date.now() / 1000);
    const signatures = secretsOf[delivery.kind].map((each) => {
      const key = Uint8Array.fromBase64(each.slice("whsec_".length));
      return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
    });
    return Promise.resolve({
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatures.join(" "),
    });
  };
}
