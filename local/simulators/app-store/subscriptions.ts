/** Subscriptions in the simulated App Store: what becomes of them on command, and by the store's clock. */
import type { CompleteDeed } from "./deeds.ts";
import {
  findTransaction,
  ImpossibleDeed,
  newTransaction,
  newTransactionId,
  type Outcome,
  type StoreApp,
  type StoreState,
  storeTime,
  type Subscription,
  type Transaction,
} from "./store.ts";

const day = 24 * 60 * 60_000;
/** As long as Apple tries to be paid after a payment failed. */
const retryMilliseconds = 60 * day;
/** A store that was not asked for years catches up with so many periods at once. */
const catchUp = 100;

export type SubscriptionDeed = Extract<CompleteDeed, {
  deed: "subscribe" | "renew" | "upgrade" | "downgrade" | "cancel" | "lapse" | "recover" | "expire";
}>;

export function isSubscriptionDeed(what: CompleteDeed): what is SubscriptionDeed {
  return "subscription" in what || what.deed === "subscribe";
}

/** Does what a customer or Apple does with a subscription. Throws ImpossibleDeed. */
export function performOnSubscription(state: StoreState, app: StoreApp, what: SubscriptionDeed): Outcome {
  if (what.deed === "subscribe") return subscribe(state, app, what);
  const subscription = findSubscription(state, what.subscription);
  const current = periodOf(state, subscription);
  const now = storeTime(state);
  const isOver = (current.expiresDate ?? 0) <= now;
  switch (what.deed) {
    case "renew":
      return begin(state, subscription, current.expiresDate ?? now, "RENEWAL", { type: "DID_RENEW" });
    case "upgrade": {
      if (isOver) throw new ImpossibleDeed("The period is over: there is nothing to upgrade");
      current.isUpgraded = true;
      subscription.productId = what.productId;
      if (what.price !== null) subscription.price = what.price;
      const told = { type: "DID_CHANGE_RENEWAL_PREF", subtype: "UPGRADE" };
      return begin(state, subscription, now, "PURCHASE", told);
    }
    case "downgrade":
      subscription.productId = what.productId;
      if (what.price !== null) subscription.price = what.price;
      return { transaction: current, told: { type: "DID_CHANGE_RENEWAL_PREF", subtype: "DOWNGRADE" } };
    case "cancel":
      subscription.isAutoRenewing = false;
      return {
        transaction: current,
        told: { type: "DID_CHANGE_RENEWAL_STATUS", subtype: "AUTO_RENEW_DISABLED" },
      };
    case "lapse":
      // Nobody waits for a month: what runs is over now.
      if (!isOver) current.expiresDate = now;
      return lapse(subscription, current, what.graceDays * day);
    case "recover":
      if (!subscription.isInBillingRetry) throw new ImpossibleDeed("No payment has failed");
      return begin(state, subscription, now, "RENEWAL", { type: "DID_RENEW", subtype: "BILLING_RECOVERY" });
    case "expire":
      if (!isOver) current.expiresDate = now;
      return expire(subscription, current);
  }
}

/** Does what is due by the store's clock: periods that begin by themselves, or that end. */
export function passTime(state: StoreState): Outcome[] {
  const outcomes: Outcome[] = [];
  for (const subscription of state.subscriptions) {
    for (let passed = 0; passed < catchUp; passed++) {
      const due = dueAt(state, subscription);
      if (due === null || due > storeTime(state)) break;
      outcomes.push(passDue(state, subscription));
    }
  }
  return outcomes;
}

/** When the clock has something to do next; null where it has nothing. */
export function nextDueAt(state: StoreState): number | null {
  const due = state.subscriptions.map((each) => dueAt(state, each)).filter((each) => each !== null);
  return due.length === 0 ? null : Math.min(...due);
}

/** `JWSRenewalInfoDecodedPayload`, without the time of its signature; null for what is no subscription. */
export function renewalInfo(
  state: StoreState,
  { originalTransactionId, environment, appTransactionId }: Transaction,
): Record<string, unknown> | null {
  const subscription = state.subscriptions.find((each) =>
    each.originalTransactionId === originalTransactionId
  );
  if (subscription === undefined) return null;
  const { productId: autoRenewProductId, graceUntil, expirationIntent } = subscription;
  const { productId, expiresDate } = periodOf(state, subscription);
  return {
    ...{ originalTransactionId, environment, appTransactionId, autoRenewProductId, productId },
    autoRenewStatus: subscription.isAutoRenewing ? 1 : 0,
    isInBillingRetryPeriod: subscription.isInBillingRetry,
    ...(graceUntil === null ? {} : { gracePeriodExpiresDate: graceUntil }),
    ...(expirationIntent === null ? {} : { expirationIntent }),
    renewalDate: expiresDate,
  };
}

function subscribe(
  state: StoreState,
  app: StoreApp,
  what: Extract<CompleteDeed, { deed: "subscribe" }>,
): Outcome {
  const { productId, price, periodMilliseconds, trial } = what;
  const transaction = newTransaction(state, app, {
    ...{ ...what, type: "Auto-Renewable Subscription", quantity: 1, price: trial ? 0 : price },
  });
  const next = { productId, price, periodMilliseconds };
  const renewing = {
    isAutoRenewing: true,
    isInBillingRetry: false,
    graceUntil: null,
    expirationIntent: null,
  };
  const { appTransactionId } = transaction;
  const before = what.familyShared
    ? undefined
    : state.subscriptions.find((each) => each.appTransactionId === appTransactionId);
  if (before === undefined) {
    const { transactionId: originalTransactionId } = transaction;
    state.subscriptions.push({ originalTransactionId, appTransactionId, ...next, ...renewing });
  } else {
    const current = periodOf(state, before);
    if ((current.expiresDate ?? 0) > storeTime(state) && current.revocationDate === undefined) {
      throw new ImpossibleDeed("This Apple Account has a subscription that runs: upgrade it");
    }
    Object.assign(before, next, renewing);
  }
  Object.assign(transaction, {
    originalTransactionId: before?.originalTransactionId ?? transaction.transactionId,
    expiresDate: transaction.purchaseDate + periodMilliseconds,
    subscriptionGroupIdentifier: "20000001",
    // 1: introductory.
    ...(trial ? { offerType: 1, offerDiscountType: "FREE_TRIAL" } : {}),
  });
  state.transactions.push(transaction);
  const subtype = before === undefined ? "INITIAL_BUY" : "RESUBSCRIBE";
  return { transaction, told: { type: "SUBSCRIBED", subtype } };
}

/** The period after the latest one, of the product that is to come. */
function begin(
  state: StoreState,
  subscription: Subscription,
  from: number,
  transactionReason: Transaction["transactionReason"],
  told: Outcome["told"],
): Outcome {
  const { productId, price, periodMilliseconds } = subscription;
  Object.assign(subscription, {
    ...{ isAutoRenewing: true, isInBillingRetry: false, graceUntil: null, expirationIntent: null },
  });
  const before = periodOf(state, subscription);
  const transaction: Transaction = {
    ...before,
    transactionId: newTransactionId(before.environment),
    ...{ productId, price },
    purchaseDate: from,
    expiresDate: from + periodMilliseconds,
    transactionReason,
  };
  for (const field of ["Date", "Reason", "Type", "Percentage"] as const) {
    delete transaction[`revocation${field}`];
  }
  delete transaction.isUpgraded;
  delete transaction.offerType;
  delete transaction.offerDiscountType;
  state.transactions.push(transaction);
  return { transaction, told };
}

function lapse(subscription: Subscription, current: Transaction, graceMilliseconds: number): Outcome {
  subscription.isInBillingRetry = true;
  subscription.graceUntil = graceMilliseconds === 0 ? null : (current.expiresDate ?? 0) + graceMilliseconds;
  const subtype = graceMilliseconds === 0 ? null : "GRACE_PERIOD";
  return { transaction: current, told: { type: "DID_FAIL_TO_RENEW", subtype } };
}

function expire(subscription: Subscription, current: Transaction): Outcome {
  // 1: the customer cancelled. 2: they were not paid.
  const isVoluntary = !subscription.isInBillingRetry;
  Object.assign(subscription, {
    ...{ isAutoRenewing: false, isInBillingRetry: false, graceUntil: null },
    expirationIntent: isVoluntary ? 1 : 2,
  });
  const subtype = isVoluntary ? "VOLUNTARY" : "BILLING_RETRY";
  return { transaction: current, told: { type: "EXPIRED", subtype } };
}

function dueAt(state: StoreState, subscription: Subscription): number | null {
  const end = periodOf(state, subscription).expiresDate ?? 0;
  if (subscription.expirationIntent !== null) return null;
  if (subscription.graceUntil !== null) return subscription.graceUntil;
  return subscription.isInBillingRetry ? end + retryMilliseconds : end;
}

function passDue(state: StoreState, subscription: Subscription): Outcome {
  const current = periodOf(state, subscription);
  if (subscription.graceUntil !== null) {
    subscription.graceUntil = null;
    return { transaction: current, told: { type: "GRACE_PERIOD_EXPIRED" } };
  }
  // A customer who got their money back is not asked for more.
  const isRenewed = subscription.isAutoRenewing && !subscription.isInBillingRetry &&
    current.revocationDate === undefined;
  if (!isRenewed) return expire(subscription, current);
  return begin(state, subscription, current.expiresDate ?? 0, "RENEWAL", { type: "DID_RENEW" });
}

/** By any of its transactions. */
function findSubscription(state: StoreState, transactionId: string): Subscription {
  const { originalTransactionId } = findTransaction(state, transactionId);
  const found = state.subscriptions.find((each) => each.originalTransactionId === originalTransactionId);
  if (found === undefined) throw new ImpossibleDeed(`${transactionId} is no subscription`);
  return found;
}

/** The latest. */
function periodOf(state: StoreState, { originalTransactionId }: Subscription): Transaction {
  const found = state.transactions.findLast((each) => each.originalTransactionId === originalTransactionId);
  if (found === undefined) throw new Error(`The subscription ${originalTransactionId} has no period`);
  return found;
}
