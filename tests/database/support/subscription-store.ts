/** One subscription at Apple: what its customer and Apple do with it, and what Apple signs about that. */
import type { StoreRenewal } from "../../../supabase/functions/_shared/purchases/app-store/renewal.ts";
import type { StoreNotification } from "../../../supabase/functions/_shared/purchases/app-store/notification.ts";
import type { StoreTransaction } from "../../../supabase/functions/_shared/purchases/app-store/transaction.ts";
import { notificationOf, transactionOf } from "./purchases.ts";

export const day = 86_400_000;
/** A month, at the tests' Apple. */
export const periodDays = 30;
export const trialDays = 7;

/** Two levels of one group, and one that is as high as the first. */
export const levels = { basic: 100, plus: 300, other: 100 } as const;
export type Level = keyof typeof levels;
export const trialCredits = 20;

interface SubscriptionOptions {
  /** `appAccountToken`. */
  readonly token?: string | null;
  /** `appTransactionId`: the Apple Account, with this app. */
  readonly app?: string | null;
  readonly isFamilyShared?: boolean;
  /** Milliseconds since 1970, by Apple's clock. */
  now(): number;
}

export class AppleSubscription {
  /** Each period as Apple signed it last, in their order. */
  readonly periods: StoreTransaction[] = [];
  /** All that Apple told or would tell of it, in the order in which it was signed. */
  readonly messages: StoreNotification[] = [];
  #next: Level = "basic";
  #isAutoRenewing = true;
  #isInRetry = false;
  #graceUntil: number | null = null;
  #intent: number | null = null;
  #signatures = 0;

  constructor(private readonly options: SubscriptionOptions) {}

  get current(): StoreTransaction {
    const current = this.periods.at(-1);
    if (current === undefined) throw new Error("Nothing was subscribed to");
    return current;
  }

  get isRunning(): boolean {
    return this.periods.length > 0 && endOf(this.current) > this.#now && this.current.revoked_at === null;
  }

  /** Also again, after a gap. */
  subscribe(level: Level, offer: "none" | "trial" | "paid trial" = "none"): StoreNotification {
    const subtype = this.periods.length === 0 ? "INITIAL_BUY" : "RESUBSCRIBE";
    this.#begin(level, this.#now, {
      days: offer === "none" ? periodDays : trialDays,
      is_free_trial: offer === "trial",
      price_milliunits: offer === "trial" ? 0 : 4_990,
    });
    return this.#tell("SUBSCRIBED", subtype);
  }

  renew(): StoreNotification {
    this.#begin(this.#next, endOf(this.current), { is_renewal: true });
    return this.#tell("DID_RENEW");
  }

  /** To a higher level, or to one of the same height: at once. What was left of the old period is paid back. */
  upgrade(level: Level): StoreNotification {
    this.#sign({ ...this.current, is_upgraded: true });
    this.#begin(level, this.#now, {});
    return this.#tell("DID_CHANGE_RENEWAL_PREF", "UPGRADE");
  }

  /** To a lower level: from the next period on. */
  downgrade(level: Level): StoreNotification {
    this.#next = level;
    return this.#tell("DID_CHANGE_RENEWAL_PREF", "DOWNGRADE");
  }

  cancel(): StoreNotification {
    this.#isAutoRenewing = false;
    return this.#tell("DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_DISABLED");
  }

  /** The next period is not paid. With days of grace, the customer is to be served that long. */
  fail(graceDays = 0): StoreNotification {
    this.#isInRetry = true;
    this.#graceUntil = graceDays === 0 ? null : endOf(this.current) + graceDays * day;
    return this.#tell("DID_FAIL_TO_RENEW", graceDays === 0 ? null : "GRACE_PERIOD");
  }

  endGrace(): StoreNotification {
    this.#graceUntil = null;
    return this.#tell("GRACE_PERIOD_EXPIRED");
  }

  /** The payment that failed succeeds: the next period begins now. */
  recover(): StoreNotification {
    this.#begin(this.#next, this.#now, { is_renewal: true });
    return this.#tell("DID_RENEW", "BILLING_RECOVERY");
  }

  expire(): StoreNotification {
    this.#intent = this.#isAutoRenewing ? 2 : 1;
    this.#isAutoRenewing = false;
    this.#isInRetry = false;
    return this.#tell("EXPIRED", this.#intent === 2 ? "BILLING_RETRY" : "VOLUNTARY");
  }

  /** The customer wants a period's price back; of the latest without a number. */
  askForRefund(which = this.periods.length - 1): StoreNotification {
    return this.#tell("CONSUMPTION_REQUEST", null, which);
  }

  declineRefund(which = this.periods.length - 1): StoreNotification {
    return this.#tell("REFUND_DECLINED", null, which);
  }

  /** Some of a period's price, or all of it; of the latest without a number. */
  refund(percent = 100, which = this.periods.length - 1): StoreNotification {
    this.#sign({
      ...this.#period(which),
      revoked_at: iso(this.#now),
      revocation_reason: 0,
      revocation_type: percent === 100 ? "full" : "prorated",
      revocation_percentage: percent === 100 ? null : percent * 1000,
    }, which);
    return this.#tell("REFUND", null, which);
  }

  reverse(which = this.periods.length - 1): StoreNotification {
    this.#sign({
      ...this.#period(which),
      revoked_at: null,
      revocation_reason: null,
      revocation_type: null,
      revocation_percentage: null,
    }, which);
    return this.#tell("REFUND_REVERSED", null, which);
  }

  /** Family Sharing ends. */
  revoke(): StoreNotification {
    this.#sign({ ...this.current, revoked_at: iso(this.#now), revocation_type: "family_revoke" });
    return this.#tell("REVOKE");
  }

  #period(which: number): StoreTransaction {
    const period = this.periods[which];
    if (period === undefined) throw new Error(`There is no period ${which}`);
    return period;
  }

  #begin(level: Level, from: number, period: Partial<StoreTransaction> & { days?: number }): void {
    const { days = periodDays, ...changes } = period;
    const first = this.periods[0];
    this.#next = level;
    this.#isAutoRenewing = true;
    this.#isInRetry = false;
    this.#graceUntil = null;
    this.#intent = null;
    const begun = transactionOf({
      kind: "subscription",
      product_id: level,
      app_account_token: this.options.token ?? null,
      app_transaction_id: this.options.app ?? null,
      is_family_shared: this.options.isFamilyShared ?? false,
      purchased_at: iso(from),
      expires_at: iso(from + days * day),
      signed_at: this.#signedAt(),
      ...changes,
    });
    this.periods.push({ ...begun, ...(first && { original_transaction_id: first.original_transaction_id }) });
  }

  #sign(period: StoreTransaction, which = this.periods.length - 1): void {
    this.periods[which] = { ...period, signed_at: this.#signedAt() };
  }

  #tell(type: string, subtype: string | null = null, which = this.periods.length - 1): StoreNotification {
    this.#sign(this.#period(which), which);
    const transaction = this.#period(which);
    const renewal: StoreRenewal = {
      original_transaction_id: transaction.original_transaction_id,
      product_id: this.current.product_id,
      auto_renew_product_id: this.#next,
      auto_renew_status: this.#isAutoRenewing ? "on" : "off",
      expiration_intent: this.#intent,
      grace_period_expires_at: this.#graceUntil === null ? null : iso(this.#graceUntil),
      is_in_billing_retry: this.#isInRetry,
      renewal_at: this.current.expires_at,
      environment: transaction.environment,
      signed_at: transaction.signed_at,
    };
    const message = notificationOf(type, transaction, { subtype, renewal });
    this.messages.push(message);
    return message;
  }

  get #now(): number {
    return this.options.now();
  }

  /** No two signatures at the same time. */
  #signedAt(): string {
    this.#signatures += 1;
    return iso(this.#now + this.#signatures);
  }
}

export function endOf({ expires_at }: StoreTransaction): number {
  return Date.parse(expires_at ?? "");
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
