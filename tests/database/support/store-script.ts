/** What a user and Apple may do with purchases, in any order, and what must have become of it: for property tests. */
import fc from "fast-check";
import type { StoreTransaction } from "../../../supabase/functions/_shared/purchases/app-store/transaction.ts";
import { refunded, signedAgain, transactionOf } from "./purchases.ts";

/** A step of the test. `told` says which of the messages that Apple has signed and nobody has heard yet comes now. */
export const storeStep = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("buy" as const), quantity: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("refund" as const),
      which: fc.nat({ max: 5 }),
      percent: fc.constantFrom(0, 1, 33, 50, 99, 100, 100),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("reverse" as const), which: fc.nat({ max: 5 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("tell" as const),
      told: fc.nat({ max: 9 }),
      by: fc.constantFrom("notification" as const, "client" as const, "both" as const, "history" as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("video" as const),
      price: fc.integer({ min: 1, max: 40 }),
      isDelivered: fc.boolean(),
    }),
  },
  // One that is made while other things happen, and its end.
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("accept" as const), price: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("end" as const),
      which: fc.nat({ max: 5 }),
      isDelivered: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("grant" as const), amount: fc.integer({ min: 1, max: 30 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("pass" as const), hours: fc.integer({ min: 1, max: 30 }) }),
  },
);
export type StoreStep = typeof storeStep extends fc.Arbitrary<infer Value> ? Value : never;

interface Bought {
  /** As Apple signed it last. */
  transaction: StoreTransaction;
  /** All that Apple signed about it, in that order. */
  readonly signed: StoreTransaction[];
}

/** Apple: what it has sold, and what it has signed and nobody heard. */
export class ModelStore {
  readonly bought: Bought[] = [];
  readonly untold: StoreTransaction[] = [];
  #signatures = 0;

  constructor(private readonly token: string) {}

  buy(quantity: number): void {
    const transaction = transactionOf({ quantity, app_account_token: this.token, signed_at: this.#now() });
    this.bought.push({ transaction, signed: [] });
    this.#sign(this.bought.length - 1, transaction);
  }

  refund(which: number, percent: number): void {
    const bought = this.bought[which % this.bought.length];
    if (bought === undefined) return;
    this.#sign(which % this.bought.length, refunded(bought.transaction, percent, this.#now()));
  }

  reverse(which: number): void {
    const bought = this.bought[which % this.bought.length];
    if (bought === undefined) return;
    this.#sign(which % this.bought.length, signedAgain(bought.transaction, this.#now()));
  }

  /** Any of what nobody has heard yet, which stays heard. */
  hear(which: number): StoreTransaction | undefined {
    return this.untold.splice(which % Math.max(1, this.untold.length), 1)[0];
  }

  #sign(index: number, transaction: StoreTransaction): void {
    const bought = this.bought[index];
    if (bought === undefined) return;
    bought.transaction = transaction;
    bought.signed.push(transaction);
    this.untold.push(transaction);
  }

  #now(): string {
    this.#signatures += 1;
    return new Date(Date.UTC(2026, 10, 20, 12, 0, this.#signatures)).toISOString();
  }
}

/** What a purchase comes to, by what was signed last of all that was heard; null where that leaves it uncredited. */
export class ModelPurchases {
  readonly #last = new Map<string, StoreTransaction>();
  readonly #credited = new Set<string>();

  hear(transaction: StoreTransaction): void {
    const id = transaction.transaction_id;
    const last = this.#last.get(id);
    if (last === undefined || last.signed_at < transaction.signed_at) this.#last.set(id, transaction);
    if (shareOf(this.#last.get(id)) < 100_000) this.#credited.add(id);
  }

  /** Credits that purchases have brought, less what was taken back. */
  get kept(): number {
    let kept = 0;
    for (const id of this.#credited) {
      const last = this.#last.get(id);
      const credits = 100 * (last?.quantity ?? 0);
      kept += credits - Math.floor(credits * shareOf(last) / 100_000);
    }
    return kept;
  }
}

function shareOf(transaction: StoreTransaction | undefined): number {
  if (transaction === undefined || transaction.revoked_at === null) return 0;
  return transaction.revocation_type === "prorated" ? transaction.revocation_percentage ?? 100_000 : 100_000;
}
