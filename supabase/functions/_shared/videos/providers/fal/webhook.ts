/** Proves that a webhook is fal's and about our account, and reads what it says. */
import { createHash } from "node:crypto";
import * as z from "zod/mini";
import { fetchWithRetry, retrying } from "../../../platform/fetch-with-retry.ts";
import type { FalConfig } from "../../../platform/config.ts";
import { tryParseJson } from "../../../platform/json.ts";
import { failureState, outputState, readError } from "./answer.ts";
import type { ProviderState, WebhookVerdict } from "../provider.ts";

/** fal's own tolerance, which also bounds how long a captured delivery can be played again. */
const toleranceMilliseconds = 5 * 60_000;
/** A key that fal removes, perhaps since it leaked, is believed no longer than this; fal would let us keep it for a day. */
const keysLiveMilliseconds = 60 * 60_000;
/** A forged signature misses, too: without this, whoever sends one would make us ask fal for its keys. */
const refreshPauseMilliseconds = 60_000;

const keySet = z.object({ keys: z.array(z.unknown()) });
const ed25519Key = z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: z.string() });

const event = z.object({
  request_id: z.string().check(z.minLength(1)),
  status: z.string(),
  payload: z.optional(z.unknown()),
  payload_error: z.nullish(z.string()),
  error: z.nullish(z.string()),
});

interface KeyCache {
  keys: readonly CryptoKey[];
  fetchedAt: number;
  askedAt: number;
  refresh: Promise<void> | null;
}

/** Outlives a request, as the configuration does: adapters are made anew for each. */
const caches = new WeakMap<FalConfig, KeyCache>();

/** Whether a webhook is to be believed, and what it says. `now` in milliseconds since 1970. */
export async function verifyFalWebhook(
  { config, fetch }: { config: FalConfig; fetch: typeof globalThis.fetch },
  rawBody: Uint8Array,
  headers: Headers,
  now: number,
): Promise<WebhookVerdict> {
  const requestId = headers.get("x-fal-webhook-request-id");
  const accountId = headers.get("x-fal-webhook-user-id");
  const timestamp = headers.get("x-fal-webhook-timestamp");
  const signature = headers.get("x-fal-webhook-signature");
  if (!requestId || !accountId || !timestamp || !signature) return invalid("a header is missing");
  if (!/^\d{1,12}$/.test(timestamp)) return invalid("the timestamp is malformed");
  if (Math.abs(now - Number(timestamp) * 1000) > toleranceMilliseconds) {
    return invalid("the timestamp is off");
  }
  // fal signs the webhooks of all its customers with the same keys.
  if (accountId !== config.accountId) return invalid("the account is not ours");
  if (!/^[0-9a-f]{128}$/i.test(signature)) return invalid("the signature is malformed");

  const body = new Uint8Array(rawBody);
  const message = new TextEncoder().encode(
    `${requestId}\n${accountId}\n${timestamp}\n${createHash("sha256").update(body).digest("hex")}`,
  );
  if (!await isSigned(config, fetch, now, bytes(signature), message)) {
    return invalid("no key fits the signature");
  }

  const parsed = event.safeParse(tryParseJson(new TextDecoder().decode(body)));
  if (!parsed.success) return invalid("the body is not an event");
  // A request ends once, so its id and ending name the event; a delivery has no id of its own.
  return {
    valid: true,
    event: {
      eventId: `${parsed.data.request_id}:${parsed.data.status}`,
      requestId: parsed.data.request_id,
      state: eventState(parsed.data),
    },
  };
}

function eventState(data: z.infer<typeof event>): ProviderState {
  const askAgain: ProviderState = {
    state: "unreachable",
    cause: data.payload_error ? "fal could not send the result" : "the webhook does not tell how it ended",
  };
  if (data.status === "OK") return (data.payload ?? null) === null ? askAgain : outputState(data.payload);
  if (data.status !== "ERROR") return askAgain;
  // The only place that tells the status of the model's answer: "Invalid status code: 422".
  const status = /\bstatus code: (\d{3})\b/.exec(data.error ?? "")?.[1];
  const error = readError(data.payload, status === undefined ? null : Number(status));
  if (error !== null && (error.types.length > 0 || error.status !== null)) return failureState(error);
  return status === undefined ? askAgain : failureState({ status: Number(status), types: [], fields: [] });
}

async function isSigned(
  config: FalConfig,
  fetch: typeof globalThis.fetch,
  now: number,
  signature: Uint8Array<ArrayBuffer>,
  message: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const cache = caches.get(config) ?? { keys: [], fetchedAt: -Infinity, askedAt: -Infinity, refresh: null };
  caches.set(config, cache);
  const fits = async (keys: readonly CryptoKey[]) => {
    const results = await Promise.all(
      keys.map((key) => crypto.subtle.verify("Ed25519", key, signature, message)),
    );
    return results.includes(true);
  };

  if (now - cache.fetchedAt <= keysLiveMilliseconds && await fits(cache.keys)) return true;
  if (cache.refresh === null) {
    if (now - cache.askedAt < refreshPauseMilliseconds) return false;
    cache.askedAt = now;
    cache.refresh = refreshKeys(cache, config, fetch, now).finally(() => cache.refresh = null);
  }
  await cache.refresh;
  return now - cache.fetchedAt <= keysLiveMilliseconds && await fits(cache.keys);
}

async function refreshKeys(
  cache: KeyCache,
  config: FalConfig,
  fetch: typeof globalThis.fetch,
  now: number,
): Promise<void> {
  const keys = await fetchKeys(fetch, config.jwksUrl).catch(() => []);
  // With no answer the old ones stay until their hour is over; polls bring what webhooks then do not.
  if (keys.length > 0) Object.assign(cache, { keys, fetchedAt: now });
}

async function fetchKeys(fetch: typeof globalThis.fetch, url: string): Promise<CryptoKey[]> {
  // Within fal's 15 s for our answer; a set of a few keys has a few hundred bytes.
  const request = { timeoutMilliseconds: 4_000, deadline: Date.now() + 9_000, maxBytes: 64 * 1024 };
  const answer = await fetchWithRetry(url, request, retrying(fetch));
  if (answer.status !== 200) return [];
  const { keys } = keySet.parse(tryParseJson(answer.text));
  const imported = await Promise.allSettled(keys.map(async (key) => {
    const { kty, crv, x } = ed25519Key.parse(key);
    return await crypto.subtle.importKey("jwk", { kty, crv, x }, { name: "Ed25519" }, false, ["verify"]);
  }));
  return imported.flatMap((key) => key.status === "fulfilled" ? [key.value] : []);
}

function invalid(reason: string): WebhookVerdict {
  return { valid: false, reason };
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
