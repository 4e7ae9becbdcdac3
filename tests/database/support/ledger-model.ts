/**
 * The ledger of one user, and of the guests whom they were, as docs/ledger.md tells it, in memory: what the database is held to. Times are hours. It knows no
 * transfers, entries or locks, so that it cannot be wrong in the same way.
 */
import type { Outcome } from "./ledger.ts";

type SystemAccount = "grants" | "purchases" | "escrow" | "revenue" | "breakage" | "forfeited";
type AddKind = "grant" | "purchase" | "refund" | "adjustment";

interface ModelLot {
  expiresAt: number | null;
  remaining: number;
  /** How much of it has paid debts, and was not put back. */
  paid: number;
  /** Every reversal of what added it that was, the latest last. */
  readonly reversals: Reversal[];
}

type Draw = readonly [lot: ModelLot, amount: number];

/** Something that added a lot. */
interface Addition {
  readonly kind: AddKind;
  readonly amount: number;
  readonly lot: ModelLot;
  /** Every reversal of it that was, the latest last. */
  readonly reversals: Reversal[];
}

/** A reversal of an addition, or one that gave such a reversal back. */
interface Reversal {
  readonly of: Addition;
  readonly amount: number;
  /** What its own lot gave; the rest became a debt. */
  readonly taken: number;
  isUndone: boolean;
}

interface Hold {
  readonly draws: readonly Draw[];
  readonly amount: number;
  end: "capture" | "release" | null;
}

/** Outcomes as the database gives them, but for the ids. */
export type ModelOutcome = Omit<Outcome, "transfer_id">;

export interface Snapshot {
  available: number;
  owed: number;
  /** `[expiry, remaining]` in spending order. */
  lots: [number | null, number][];
  system: Partial<Record<SystemAccount, number>>;
}

const source: Record<AddKind, SystemAccount> = {
  grant: "grants",
  adjustment: "grants",
  purchase: "purchases",
  refund: "revenue",
};

export class LedgerModel {
  now = 0;
  #lots: ModelLot[] = [];
  /** What became breakage, in its order, and how much of that was not given back. */
  readonly #expiries: { readonly lot: ModelLot; amount: number }[] = [];
  #owed = 0;
  #isClosed = false;
  readonly #system = new Map<SystemAccount, number>();

  snapshot(): Snapshot {
    return {
      available: this.#available,
      owed: this.#owed,
      lots: this.#spendable().map(({ expiresAt, remaining }) => [expiresAt, remaining]),
      system: Object.fromEntries([...this.#system].filter(([, balance]) => balance !== 0)),
    };
  }

  /** Books what has expired; every posting begins with it, a repeated one too. */
  expire(): void {
    for (const lot of this.#spendable()) {
      if (lot.expiresAt === null || lot.expiresAt > this.now) continue;
      this.#book("breakage", lot.remaining);
      this.#expiries.push({ lot, amount: lot.remaining });
      lot.remaining = 0;
    }
  }

  add(
    kind: AddKind,
    amount: number,
    expiresInHours: number | null,
  ): [ModelOutcome, Addition] {
    this.expire();
    const lot = this.#newLot(expiresInHours === null ? null : this.now + expiresInHours);
    this.#book(source[kind], -amount);
    this.#putBack([[lot, amount]]);
    return [{ credits_remaining: this.#available }, { kind, amount, lot, reversals: lot.reversals }];
  }

  deduct(amount: number): ModelOutcome {
    this.expire();
    if (amount > this.#available) return this.#insufficient();
    this.#spend(amount);
    this.#book("grants", amount);
    return { credits_remaining: this.#available };
  }

  hold(amount: number): [ModelOutcome, Hold | null] {
    this.expire();
    if (amount > this.#available) return [this.#insufficient(), null];
    const draws = this.#spend(amount);
    this.#book("escrow", amount);
    return [{ credits_remaining: this.#available }, { draws, amount, end: null }];
  }

  end(hold: Hold, kind: "capture" | "release"): ModelOutcome {
    this.expire();
    if (hold.end !== null && hold.end !== kind) return { error: "already_ended" };
    if (hold.end === null) {
      hold.end = kind;
      this.#book("escrow", -hold.amount);
      if (kind === "capture") this.#book("revenue", hold.amount);
      else {
        this.#comeBack(hold.draws);
        this.#payOwnDebts(hold.draws);
        this.#settle();
      }
    }
    return { amount: hold.amount };
  }

  reverse(addition: Addition): [ModelOutcome, Reversal | null] {
    this.expire();
    if (addition.reversals.length > 0) return [{ error: "already_reversed" }, null];
    const reversal = this.#take(addition, addition.amount);
    return [this.#afterReversal(), reversal];
  }

  /** So much of it is taken back then, whatever was before; what expired of it before is what is taken first. */
  reverseTo(addition: Addition, amount: number): void {
    this.expire();
    const open = () => addition.reversals.filter(({ isUndone }) => !isUndone);
    const reversed = () => open().reduce((sum, reversal) => sum + reversal.amount, 0);
    for (const reversal of open().reverse()) {
      if (reversed() > amount) this.undo(reversal);
    }
    const missing = amount - reversed();
    if (missing <= 0) return;
    this.#restoreExpired(addition, missing);
    this.#take(addition, missing);
  }

  /** What an addition brought lives until then at least; what expired of it before comes back. */
  extend(addition: Addition, expiresAt: number): void {
    this.expire();
    const { lot } = addition;
    if (lot.expiresAt !== null) lot.expiresAt = Math.max(lot.expiresAt, expiresAt);
    if (expiresAt <= this.now) return;
    this.#restoreExpired(addition, Infinity);
    this.#settle();
  }

  #restoreExpired(addition: Addition, amount: number): void {
    for (const expiry of this.#expiries) {
      if (expiry.lot !== addition.lot) continue;
      const restored = Math.min(expiry.amount, amount);
      expiry.amount -= restored;
      amount -= restored;
      expiry.lot.remaining += restored;
      this.#book("breakage", -restored);
    }
  }

  /** Of its own lot, with what that has paid of debts, which are owed again; the rest is owed, and whatever is there pays. */
  #take(addition: Addition, amount: number): Reversal {
    const { lot } = addition;
    this.#putBackPayments([lot], amount - lot.remaining);
    const taken = Math.min(lot.remaining, amount);
    lot.remaining -= taken;
    this.#owed += amount - taken;
    this.#book(source[addition.kind], amount);
    this.#settle();
    const reversal: Reversal = { of: addition, amount, taken, isUndone: false };
    addition.reversals.push(reversal);
    return reversal;
  }

  /** What paid debts is there again, up to an amount, and so are they. */
  #putBackPayments(lots: readonly ModelLot[], amount: number): Draw[] {
    const draws: Draw[] = [];
    for (const lot of lots) {
      const back = Math.min(lot.paid, Math.max(0, amount));
      if (back === 0) continue;
      amount -= back;
      lot.paid -= back;
      lot.remaining += back;
      this.#owed += back;
      draws.push([lot, back]);
    }
    return draws;
  }

  undo(reversal: Reversal): [ModelOutcome, Reversal | null] {
    this.expire();
    if (reversal.isUndone) return [{ error: "already_reversed" }, null];
    reversal.isUndone = true;
    this.#book(source[reversal.of.kind], -reversal.amount);
    const owed = reversal.amount - reversal.taken;
    // What would be spent last comes back first.
    for (const [lot] of this.#putBackPayments(inSpendingOrder(this.#lots).reverse(), owed - this.#owed)) {
      this.#revive(lot);
    }
    this.#owed -= owed;
    this.#putBack([[reversal.of.lot, reversal.taken]]);
    // What gave it back is itself a reversal, and cannot be undone.
    return [this.#afterReversal(), { ...reversal, isUndone: true }];
  }

  close(): ModelOutcome {
    this.expire();
    if (this.#isClosed) throw new Error("A second close is a repeated call");
    this.#isClosed = true;
    const forfeited = this.#available;
    this.#settle();
    return { forfeited };
  }

  /** Makes a guest's ledger a part of this one: `moved` and `owed` are what the guest had and owed. */
  absorb(guest: LedgerModel): { moved: number; owed: number; credits_remaining: number } {
    this.expire();
    guest.expire();
    const [moved, owed] = [guest.#available, guest.#owed];
    // The same lots, younger than all of ours: what was drawn of them comes back into them.
    this.#lots.push(...guest.#lots);
    this.#expiries.push(...guest.#expiries.splice(0));
    this.#owed += guest.#owed;
    for (const [account, balance] of guest.#system) this.#book(account, balance);
    [guest.#lots, guest.#owed] = [[], 0];
    this.#settle();
    return { moved, owed, credits_remaining: this.#available };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get #available(): number {
    return this.#lots.reduce((sum, { remaining }) => sum + remaining, 0);
  }

  #spendable(): ModelLot[] {
    return inSpendingOrder(this.#lots.filter(({ remaining }) => remaining > 0));
  }

  #newLot(expiresAt: number | null): ModelLot {
    const lot: ModelLot = { expiresAt, remaining: 0, paid: 0, reversals: [] };
    this.#lots.push(lot);
    return lot;
  }

  #spend(amount: number): Draw[] {
    return draw(this.#spendable(), amount);
  }

  #putBack(draws: readonly Draw[]): void {
    this.#comeBack(draws);
    this.#settle();
  }

  #comeBack(draws: readonly Draw[]): void {
    for (const [lot, amount] of draws) {
      if (amount === 0) continue;
      this.#revive(lot);
      lot.remaining += amount;
    }
  }

  /** What comes back of a lot that was taken back without it pays for that, and what has paid in its place comes back. */
  #payOwnDebts(draws: readonly Draw[]): void {
    const own = draws.map(([lot, amount]): Draw => {
      const owed = lot.reversals.filter(({ isUndone }) => !isUndone)
        .reduce((sum, reversal) => sum + reversal.amount - reversal.taken, 0);
      return [lot, Math.min(amount, Math.max(0, owed - lot.paid))];
    }).filter(([, amount]) => amount > 0);
    let due = own.reduce((sum, [, amount]) => sum + amount, 0);
    const others = inSpendingOrder(this.#lots).reverse().filter((lot) => !own.some(([each]) => each === lot));
    for (const [lot] of this.#putBackPayments(others, due - this.#owed)) this.#revive(lot);
    due = Math.min(due, this.#owed);
    for (const [lot, amount] of this.#inAge(own)) {
      const paid = Math.min(due, amount);
      lot.remaining -= paid;
      lot.paid += paid;
      this.#owed -= paid;
      due -= paid;
    }
  }

  /** The oldest first. */
  #inAge(draws: readonly Draw[]): Draw[] {
    return [...draws].sort(([one], [other]) => this.#lots.indexOf(one) - this.#lots.indexOf(other));
  }

  #revive(lot: ModelLot): void {
    if (lot.expiresAt !== null && lot.expiresAt <= this.now) lot.expiresAt = this.now + 24;
  }

  /** Debt first; and a closed account keeps nothing. */
  #settle(): void {
    const payment = Math.min(this.#owed, this.#available);
    for (const [lot, amount] of this.#spend(payment)) lot.paid += amount;
    this.#owed -= payment;
    if (!this.#isClosed) return;
    this.#book("forfeited", this.#available);
    this.#spend(this.#available);
  }

  #insufficient(): ModelOutcome {
    return { error: "insufficient_credits", current_credits: this.#available };
  }

  #afterReversal(): ModelOutcome {
    return { credits_remaining: this.#available, credits_owed: this.#owed };
  }

  #book(account: SystemAccount, amount: number): void {
    this.#system.set(account, (this.#system.get(account) ?? 0) + amount);
  }
}

/** By expiry, then age: the sort is stable. */
function inSpendingOrder(lots: readonly ModelLot[]): ModelLot[] {
  const never = Number.MAX_SAFE_INTEGER;
  return [...lots].sort((one, other) => (one.expiresAt ?? never) - (other.expiresAt ?? never));
}

/** Takes an amount from lots in their order, as far as they have it. */
function draw(lots: readonly ModelLot[], amount: number): Draw[] {
  const draws: Draw[] = [];
  let missing = amount;
  for (const lot of lots) {
    if (missing === 0) break;
    const drawn = Math.min(lot.remaining, missing);
    lot.remaining -= drawn;
    missing -= drawn;
    draws.push([lot, drawn]);
  }
  return draws;
}
