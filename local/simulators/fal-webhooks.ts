/** Signing and delivering the fal simulator's webhooks, with fal's repeats. */
import * as z from "zod";

/** Times are in milliseconds since 1970. */
export const falDelivery = z.object({
  id: z.string(),
  requestId: z.string(),
  url: z.string(),
  /** `forged` and `other_account` are an attacker's, who sends once. */
  kind: z.enum(["genuine", "forged", "other_account"]),
  dueAt: z.number(),
  attempts: z.number(),
  state: z.enum(["due", "delivered", "given_up"]),
  /** Of the last attempt; null where nobody answered. */
  lastStatus: z.number().nullable(),
});
export type FalDelivery = z.infer<typeof falDelivery>;

/** fal's time-out of a delivery. */
const timeoutMilliseconds = 15_000;
/** As fal's documents have it: 10 repeats. */
const maximumAttempts = 11;
/** fal spreads its repeats over 2 hours; nobody waits so long for a simulator. */
const longestPauseMilliseconds = 5 * 60_000;

export interface Signer {
  /** The set that the JWKS endpoint publishes. */
  readonly publicKeys: { readonly keys: readonly unknown[] };
  /** The private key, for the state file. */
  readonly privateKey: JsonWebKey;
  /** The headers that prove a body. */
  headers(delivery: FalDelivery, body: string): Promise<Record<string, string>>;
}

async function importPrivate(key: JsonWebKey): Promise<CryptoKey> {
  return await crypto.subtle.importKey("jwk", key, "Ed25519", true, ["sign"]);
}

async function newPrivate(): Promise<JsonWebKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new Error("Ed25519 makes key pairs");
  return await crypto.subtle.exportKey("jwk", pair.privateKey);
}

/** The signer of an account, with the key of an earlier start or a new one. */
export async function falSigner(accountId: string, earlier: JsonWebKey | null): Promise<Signer> {
  const privateKey = earlier ?? await newPrivate();
  const [ours, stranger] = await Promise.all([
    importPrivate(privateKey),
    newPrivate().then(importPrivate),
  ]);
  const { kty, crv, x } = privateKey;
  return {
    publicKeys: { keys: [{ kty, crv, x, kid: "simulator", alg: "EdDSA", use: "sig" }] },
    privateKey,
    async headers({ requestId, kind }, body) {
      const account = kind === "other_account" ? crypto.randomUUID() : accountId;
      const timestamp = String(Math.floor(Date.now() / 1000));
      const digest = hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body)));
      const message = new TextEncoder().encode([requestId, account, timestamp, digest].join("\n"));
      const signature = await crypto.subtle.sign("Ed25519", kind === "forged" ? stranger : ours, message);
      return {
        "content-type": "application/json",
        "x-fal-webhook-request-id": requestId,
        "x-fal-webhook-user-id": account,
        "x-fal-webhook-timestamp": timestamp,
        "x-fal-webhook-signature": hex(signature),
      };
    },
  };
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export interface Deliveries extends AsyncDisposable {
  /** To be called when a delivery was added or moved: each is sent when it is due. */
  schedule(): void;
  /** Sends one now; resolves when that attempt is over, however it went. */
  send(delivery: FalDelivery): Promise<void>;
}

/** Sends what is due until it is disposed of. `changed` is called after each attempt. */
export function startDeliveries(
  { all, bodyOf, signer, retryMilliseconds, changed }: {
    all: () => readonly FalDelivery[];
    bodyOf: (delivery: FalDelivery) => string;
    signer: Signer;
    retryMilliseconds: number;
    changed: () => void;
  },
): Deliveries {
  const stopping = new AbortController();
  const underWay = new Map<string, Promise<void>>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  function schedule(): void {
    clearTimeout(timer);
    const due = all().filter(({ id, state }) => state === "due" && !underWay.has(id));
    if (due.length === 0 || stopping.signal.aborted) return;
    const wait = Math.min(...due.map(({ dueAt }) => dueAt)) - Date.now();
    timer = setTimeout(() => {
      for (const delivery of due) if (delivery.dueAt <= Date.now()) send(delivery);
      schedule();
    }, Math.max(0, wait));
  }

  function send(delivery: FalDelivery): Promise<void> {
    const attempt = deliver(delivery, bodyOf(delivery), signer, stopping.signal).then((status) => {
      underWay.delete(delivery.id);
      // Ended with the simulator, it was no attempt: the next start makes it.
      if (stopping.signal.aborted) return;
      Object.assign(delivery, afterAttempt(delivery, status, retryMilliseconds));
      changed();
      schedule();
    });
    underWay.set(delivery.id, attempt);
    return attempt;
  }

  schedule();
  return {
    schedule,
    send,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      clearTimeout(timer);
      await Promise.all(underWay.values());
    },
  };
}

/** One attempt: the receiver's status, or null where there was none in time. */
async function deliver(
  delivery: FalDelivery,
  body: string,
  signer: Signer,
  signal: AbortSignal,
): Promise<number | null> {
  try {
    const response = await fetch(delivery.url, {
      method: "POST",
      headers: await signer.headers(delivery, body),
      body,
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMilliseconds)]),
    });
    await response.body?.cancel();
    return response.status;
  } catch {
    return null;
  }
}

function afterAttempt(
  { kind, attempts: before, dueAt }: FalDelivery,
  status: number | null,
  retryMilliseconds: number,
): Pick<FalDelivery, "attempts" | "lastStatus" | "state" | "dueAt"> {
  const attempts = before + 1;
  const tried = { attempts, lastStatus: status, dueAt };
  if (status !== null && status >= 200 && status < 300) return { ...tried, state: "delivered" };
  // fal takes a redirect for a failure that stays one.
  const isFinal = kind !== "genuine" || attempts >= maximumAttempts ||
    (status !== null && status >= 300 && status < 400);
  if (isFinal) return { ...tried, state: "given_up" };
  const pause = Math.min(retryMilliseconds * 2 ** before, longestPauseMilliseconds);
  return { ...tried, state: "due", dueAt: Date.now() + pause };
}
