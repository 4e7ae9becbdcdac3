/** Delivering simulated webhooks: when they are due, and again while nobody takes them. */
import * as z from "zod";

/** Times are in milliseconds since 1970. */
export const delivery = z.object({
  id: z.string(),
  requestId: z.string(),
  url: z.string(),
  /** `forged` and `other_account` are an attacker's, who sends once. `rotated` has a second signature, by an old key. */
  kind: z.enum(["genuine", "rotated", "forged", "other_account"]),
  dueAt: z.number(),
  attempts: z.number(),
  state: z.enum(["due", "delivered", "given_up"]),
  /** Of the last attempt; null where nobody answered. */
  lastStatus: z.number().nullable(),
});
export type Delivery = z.infer<typeof delivery>;

/** How a provider delivers. */
export interface DeliveryPolicy {
  readonly timeoutMilliseconds: number;
  /** Milliseconds between an attempt that failed and the next, for each of those that there may be. */
  readonly pauses: readonly number[];
}

/** How a provider repeats: each pause is twice as long as the one before. */
export interface DoublingPolicy {
  readonly timeoutMilliseconds: number;
  /** The first included. */
  readonly maxAttempts: number;
  /** Until the first repeat. */
  readonly retryMilliseconds: number;
  readonly maxPauseMilliseconds: number;
}

export function doublingPauses(
  { maxAttempts, retryMilliseconds, maxPauseMilliseconds }: DoublingPolicy,
): number[] {
  return Array.from(
    { length: maxAttempts - 1 },
    (_, index) => Math.min(retryMilliseconds * 2 ** index, maxPauseMilliseconds),
  );
}

/** The headers that prove a body. */
export type SignDelivery = (delivery: Delivery, body: string) => Promise<Record<string, string>>;

/** What is to be delivered to `url` about a generation that ends at `endsAt`. */
export function deliveriesOf(
  { requestId, url, endsAt, rule }: {
    requestId: string;
    url: string;
    endsAt: number;
    rule: { readonly webhook?: string | undefined; readonly webhookMilliseconds?: number };
  },
): Delivery[] {
  const { webhook, webhookMilliseconds = 0 } = rule;
  if (webhook === "lost") return [];
  const kind = delivery.shape.kind.safeParse(webhook).data ?? "genuine";
  const make = (): Delivery => ({
    id: crypto.randomUUID(),
    requestId,
    url,
    kind,
    dueAt: webhook === "late" ? endsAt + webhookMilliseconds : endsAt,
    attempts: 0,
    state: "due",
    lastStatus: null,
  });
  return webhook === "duplicated" ? [make(), make()] : [make()];
}

export interface Deliveries extends AsyncDisposable {
  /** To be called when a delivery was added or moved: each is sent when it is due. */
  schedule(): void;
  /** Lets time pass for those that are due. */
  elapse(milliseconds: number): void;
  /** Sends one now; resolves when that attempt is over, however it went. */
  send(delivery: Delivery): Promise<void>;
}

/** Sends what is due until it is disposed of. `changed` is called after each attempt. */
export function startDeliveries(
  { all, bodyOf, sign, policy, changed }: {
    all: () => readonly Delivery[];
    bodyOf: (delivery: Delivery) => string;
    sign: SignDelivery;
    policy: DeliveryPolicy;
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

  function send(delivery: Delivery): Promise<void> {
    const attempt = deliver(delivery).finally(() => underWay.delete(delivery.id));
    underWay.set(delivery.id, attempt);
    return attempt.then(schedule);
  }

  async function deliver(delivery: Delivery): Promise<void> {
    const body = bodyOf(delivery);
    // The receiver's status, or null where there was none in time.
    const status = await fetch(delivery.url, {
      method: "POST",
      headers: await sign(delivery, body),
      body,
      redirect: "manual",
      signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(policy.timeoutMilliseconds)]),
    }).then(async (response) => {
      await response.body?.cancel();
      return response.status;
    }).catch(() => null);
    // Ended with the simulator, it was no attempt: the next start makes it.
    if (stopping.signal.aborted) return;
    Object.assign(delivery, afterAttempt(delivery, status, policy));
    changed();
  }

  schedule();
  return {
    schedule,
    elapse(milliseconds) {
      for (const delivery of all()) if (delivery.state === "due") delivery.dueAt -= milliseconds;
      schedule();
    },
    send,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      clearTimeout(timer);
      await Promise.all(underWay.values());
    },
  };
}

function afterAttempt(
  { kind, attempts: before, dueAt }: Delivery,
  status: number | null,
  { pauses }: DeliveryPolicy,
): Pick<Delivery, "attempts" | "lastStatus" | "state" | "dueAt"> {
  const attempts = before + 1;
  const tried = { attempts, lastStatus: status, dueAt };
  if (status !== null && status >= 200 && status < 300) return { ...tried, state: "delivered" };
  // Providers take a redirect for a failure that stays one.
  const isAttack = kind === "forged" || kind === "other_account";
  const pause = pauses[before];
  const isFinal = isAttack || pause === undefined || (status !== null && status >= 300 && status < 400);
  if (isFinal) return { ...tried, state: "given_up" };
  return { ...tried, state: "due", dueAt: Date.now() + pause };
}
