/** Customers who buy credits and have some refunded, while notifications are lost, doubled, late and forged; and what came of it. */
import { setTimeout as pause } from "node:timers/promises";
import type postgres from "postgres";
import type { AppStoreReport } from "../../local/simulators/app-store/control.ts";
import type { Stack } from "../../local/stack.ts";
import { answer, type Client, type Tally } from "./client.ts";
import { drawApiRule, drawNotificationRule } from "./faults.ts";

/** Of the seed: what one unit or one period of each brings. */
const product = "credits_10";
const levels = ["plus_monthly", "pro_monthly"] as const;
const creditsOf: Readonly<Record<string, number>> = { credits_10: 10, plus_monthly: 40, pro_monthly: 100 };

/** Milliseconds between two purchases of a client at most, and before it presents one. */
const maxThought = 1_500;

/**
 * Buys one pack after the other, presents it, or leaves that to Apple's notification, and has every third refunded, until
 * `isOver`. In between a subscription begins, is renewed and goes from level to level.
 */
export async function buyCredits(
  client: Client,
  { stack, tally, random, isOver }: {
    stack: Stack;
    tally: Tally;
    random: () => number;
    isOver: () => boolean;
  },
): Promise<void> {
  const { appStore } = stack.simulators;
  const profile = await answer(client, tally, (options) => client.kinora.account.profile(options));
  const appAccountToken = profile?.app_account_token ?? null;
  let subscription: string | null = null;
  while (!isOver()) {
    await appStore.control.rules(...Array.from({ length: 3 }, () => drawNotificationRule(random)));
    if (random() < 0.3) await appStore.control.rules(drawApiRule(random));
    if (appAccountToken !== null) {
      subscription = await subscribe(stack, appAccountToken, subscription, random);
    }
    const isNamed = random() < 0.7;
    const { transactionId, signed } = await appStore.do({
      deed: "buy",
      productId: product,
      quantity: 1 + Math.floor(random() * 2),
      appAccountToken: isNamed ? appAccountToken : null,
    });
    if (transactionId === null) throw new Error("Nothing was bought");
    const transaction = { signed: signed ?? "", finish: () => Promise.resolve() };
    const present = () =>
      answer(client, tally, (options) => client.kinora.purchases.present(transaction, options), ["ERR_4016"]);
    await pause(random() * maxThought);
    // The app and its background task, both at once; or nobody, and Apple tells it.
    const answers = await Promise.all(
      random() < 0.3 ? [present(), present()] : random() < 0.8 ? [present()] : [],
    );
    if (answers.filter((each) => each?.status === "credited").length > 1) {
      tally.surprises.push(`${transactionId} was credited twice, as its buyer was told`);
    }
    const choice = random();
    if (choice < 0.2) {
      await appStore.do({
        deed: "refund",
        transactionId,
        percentage: 1_000 * (1 + Math.floor(random() * 99)),
      });
    }
    if (choice < 0.1 || (choice > 0.9)) await appStore.do({ deed: "refund", transactionId });
    if (choice > 0.95) await appStore.do({ deed: "reverse", transactionId });
    await pause(random() * maxThought);
  }
}

/** The subscription begins, or something becomes of it: nobody presents its periods, so Apple alone tells of them. */
async function subscribe(
  { simulators: { appStore } }: Stack,
  appAccountToken: string,
  subscription: string | null,
  random: () => number,
): Promise<string | null> {
  const choice = random();
  const productId = levels[choice < 0.5 ? 0 : 1];
  if (subscription === null) {
    const begun = { productId, appAccountToken, account: appAccountToken };
    return (await appStore.do({ deed: "subscribe", ...begun })).transactionId;
  }
  if (choice < 0.3) await appStore.do({ deed: "renew", subscription });
  else if (choice < 0.6) await appStore.do({ deed: "upgrade", subscription, productId });
  else if (choice < 0.7) await appStore.do({ deed: "refund", transactionId: subscription }).catch(() => {});
  return subscription;
}

/** Cancels what would go on for ever, while the clock jumps from period to period. */
export async function endSubscriptions({ simulators: { appStore } }: Stack): Promise<void> {
  const { subscriptions } = await appStore.control.report();
  for (const { originalTransactionId } of subscriptions) {
    await appStore.do({ deed: "cancel", subscription: originalTransactionId });
  }
}

/** What customers paid for and got, and what is wrong with it. */
export interface Sales {
  /** Credits that came in by purchases, less what refunds took. */
  readonly credits: number;
  readonly rows: readonly (readonly [string, string])[];
  readonly problems: readonly string[];
}

interface Row {
  id: string;
  credits: number | null;
  share: number;
  reason: string | null;
  /** Whether it was told that the customer went to another level within it. */
  upgraded: boolean;
  transfers: number;
  named: boolean;
  closed: boolean;
}

type Sold = AppStoreReport["transactions"][number];

/**
 * Of what a period brought, what it had left when the customer bought another level, rounded up. Another level's renewal ends
 * it only where the store has told that it was an upgrade, which it need not.
 */
function leftAtUpgrade(
  period: Sold | undefined,
  all: readonly Sold[],
  { credits, upgraded }: { credits: number; upgraded: boolean },
): number {
  if (period?.expiresDate === undefined) return 0;
  const { purchaseDate: from, expiresDate: until } = period;
  const cuts = all.filter((each) =>
    each.originalTransactionId === period.originalTransactionId && each.purchaseDate > from &&
    each.purchaseDate < until && (each.transactionReason === "PURCHASE" || upgraded)
  ).map(({ purchaseDate }) => purchaseDate);
  if (cuts.length === 0) return 0;
  return credits - Math.floor(credits * (Math.min(...cuts) - from) / (until - from));
}

/** Compares what the store sold and took back with what the ledger has. */
export async function judgeSales(
  sql: postgres.Sql,
  { simulators }: Pick<Stack, "simulators">,
): Promise<Sales> {
  const { transactions, notifications, deliveries } = await simulators.appStore.control.report();
  const rows = await sql<Row[]>`
    select t.transaction_id as id, t.credits::int, t.revoked_share::int as share, t.reason::text,
      t.is_upgraded as upgraded, t.app_account_token is not null as named,
      (select count(*)::int from credits.transfers as x where x.id = t.transfer_id and x.kind = 'purchase') as transfers,
      exists (
        select from accounts.users as u
        where (u.id = t.owner_id or u.app_account_token = t.app_account_token) and u.closed_at is not null
      ) as closed
    from purchases.transactions as t`;
  const [told] = await sql<{ stored: number; unhandled: number }[]>`
    select count(*)::int as stored, (count(*) filter (where n.handled_at is null))::int as unhandled
    from purchases.notifications as n`;
  const known = new Map(rows.map((row) => [row.id, row]));
  const problems = transactions.flatMap(
    ({ transactionId: id, productId, quantity, revocationType, revocationPercentage = 100_000 }) => {
      const row = known.get(id);
      if (row === undefined) return [`${id} was paid for, and nobody knows it`];
      const { credits, share, reason, transfers, named, closed } = row;
      const expected = revocationType === undefined ? 0 : revocationPercentage;
      if (share !== expected) return [`of ${id} Apple took back ${expected}, and we believe ${share}`];
      if (credits === null) {
        const isExcused = (reason === "closed_account" && closed) || (reason === "unclaimed" && !named) ||
          (reason === "revoked" && share === 100_000);
        return isExcused ? [] : [`${id} was paid for, and is not credited: ${reason}`];
      }
      return credits === quantity * (creditsOf[productId] ?? 0) && transfers === 1
        ? []
        : [`${id} of ${quantity} was credited with ${credits}, in ${transfers} transfers`];
    },
  );
  if (told === undefined || told.unhandled > 0 || told.stored !== notifications.length) {
    problems.push(
      `of ${notifications.length} notifications ${told?.stored} are stored, ${told?.unhandled} not acted upon`,
    );
  }
  const bought = rows.reduce((sum, { credits }) => sum + (credits ?? 0), 0);
  const sold = new Map(transactions.map((each) => [each.transactionId, each]));
  const taken = rows.reduce((sum, { id, credits, share, upgraded }) => {
    const refunded = Math.floor((credits ?? 0) * share / 100_000);
    const left = leftAtUpgrade(sold.get(id), transactions, { credits: credits ?? 0, upgraded });
    return sum + Math.max(refunded, left);
  }, 0);
  const heard = new Set(
    deliveries.filter(({ state }) => state === "delivered").map(({ requestId }) => requestId),
  );
  return {
    credits: bought - taken,
    problems,
    rows: [
      ["purchases", `${transactions.length}`],
      ["  credited", `${rows.filter(({ credits }) => credits !== null).length}`],
      ["  refunded, wholly or in part", `${rows.filter(({ share }) => share > 0).length}`],
      ["Apple's notifications", `${notifications.length}`],
      ["  found in its history alone", `${notifications.filter(({ id }) => !heard.has(id)).length}`],
      ["credits bought, less what was taken back", `${bought - taken}`],
    ],
  };
}
