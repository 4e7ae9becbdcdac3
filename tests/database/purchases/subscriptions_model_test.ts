import assert from "node:assert/strict";
import fc from "fast-check";
import type { StoreNotification } from "../../../supabase/functions/_shared/purchases/app-store/notification.ts";
import type { StoreTransaction } from "../../../supabase/functions/_shared/purchases/app-store/transaction.ts";
import { propertyOptions } from "../../runs.ts";
import { type TestDatabase, testDatabase } from "../harness.ts";
import { freezeClock, type FrozenClock } from "../support/frozen-clock.ts";
import { balancesOf, first, type Sql, systemBalances, violations } from "../support/ledger.ts";
import { type Buyer, createBuyer, makeVideo, notify, present } from "../support/purchases.ts";
import { runTask } from "../support/scheduled-tasks.ts";
import { AppleSubscription, day, endOf, periodDays } from "../support/subscription-store.ts";
import { sellLevels } from "../support/subscriptions.ts";

/**
 * Apple tries again for 6.6 days, and its history is read every hour. What is spent draws the lots that are there, so once
 * something was, a message that is late takes from others, and what would have paid a debt may be over by then: from then on
 * each comes within its day. A debt is paid of the lots that are there, too (0046), and is there only once something was spent:
 * from the first one on, each comes in its order.
 */
const patience = 6 * day;

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ type: fc.constant("pass" as const), days: fc.integer({ min: 1, max: 16 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("subscribe" as const),
      level: fc.constantFrom("basic" as const, "plus" as const),
      offer: fc.constantFrom("none" as const, "trial" as const, "paid trial" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("upgrade" as const),
      level: fc.constantFrom("plus" as const, "other" as const),
    }),
  },
  { weight: 6, arbitrary: fc.constant({ type: "renew" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("fail" as const), days: fc.constantFrom(0, 3, 16) }),
  },
  { weight: 2, arbitrary: fc.constant({ type: "recover" as const }) },
  { weight: 1, arbitrary: fc.constant({ type: "cancel" as const }) },
  { weight: 1, arbitrary: fc.constant({ type: "downgrade" as const }) },
  { weight: 2, arbitrary: fc.constant({ type: "expire" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("refund" as const),
      which: fc.nat({ max: 3 }),
      percent: fc.constantFrom(1, 33, 50, 99, 100, 100),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("reverse" as const), which: fc.nat({ max: 3 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("tell" as const),
      which: fc.nat({ max: 9 }),
      by: fc.constantFrom("notification" as const, "twice" as const, "history" as const),
    }),
  },
  // The app presents a period, as Apple signs it at that moment.
  { weight: 3, arbitrary: fc.record({ type: fc.constant("present" as const), which: fc.nat({ max: 3 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("spend" as const), price: fc.integer({ min: 1, max: 90 }) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** Two users with one life: of the one everything is told in order and at once, of the other in any way. */
class Twins {
  readonly #apple: AppleSubscription;
  readonly #untold: StoreNotification[] = [];
  #hasSpent = false;
  #hasOwed = false;

  private constructor(
    private readonly sql: Sql,
    private readonly clock: FrozenClock,
    private readonly inOrder: Buyer,
    private readonly anyhow: Buyer,
    private now: number,
  ) {
    this.#apple = new AppleSubscription({ now: () => this.now });
  }

  static async create(database: TestDatabase, clock: FrozenClock): Promise<Twins> {
    const { now } = await first(database.sql<{ now: Date }[]>`select core.now() as now`);
    const [inOrder, anyhow] = [await createBuyer(database), await createBuyer(database)];
    return new Twins(database.sql, clock, inOrder, anyhow, now.getTime());
  }

  async perform(step: Step): Promise<void> {
    switch (step.type) {
      case "pass":
        for (let days = 0; days < step.days; days++) await this.#passDay();
        break;
      case "tell":
        await this.#tell(step.which, step.by);
        break;
      case "present": {
        const { periods } = this.#apple;
        const period = periods[step.which % Math.max(1, periods.length)];
        if (period === undefined) break;
        await this.sql`delete from guard.hits where policy = 'purchases'`;
        await present(this.sql, this.anyhow.userId, told(period, this.anyhow, "2"));
        break;
      }
      case "spend": {
        await this.settle();
        const has = await Promise.all(
          [this.inOrder, this.anyhow].map(({ userId }) => balanceOf(this.sql, userId)),
        );
        if (has.some((balance) => balance < step.price)) break;
        this.#hasSpent = true;
        for (const { userId } of [this.inOrder, this.anyhow]) await makeVideo(this.sql, userId, step.price);
        break;
      }
      default: {
        const before = this.#apple.messages.length;
        this.#do(step);
        for (const message of this.#apple.messages.slice(before)) {
          this.#untold.push(message);
          assert.equal(await notify(this.sql, asToldTo(message, this.inOrder, "1")), "handled");
        }
        this.#hasOwed ||= await hasOwed(this.sql, this.inOrder.userId);
      }
    }
  }

  /** Everything is told; both have come to the same. */
  async settle(): Promise<void> {
    for (let which = 7; this.#untold.length > 0; which += 3) {
      await this.#tell(which, which % 2 === 0 ? "notification" : "history");
    }
    const [expected, actual] = await Promise.all([this.#seenBy(this.inOrder), this.#seenBy(this.anyhow)]);
    assert.deepEqual(actual, expected);
  }

  /** What Apple's customer can do then; else nothing. */
  #do(step: Exclude<Step, { type: "pass" | "tell" | "present" | "spend" }>): void {
    const apple = this.#apple;
    const { periods, isRunning } = apple;
    const isOver = periods.length > 0 && endOf(apple.current) <= this.now &&
      apple.current.revoked_at === null;
    // Nobody buys two at the same millisecond.
    const isNew = periods.some(({ purchased_at }) => Date.parse(purchased_at) === this.now);
    switch (step.type) {
      case "subscribe":
        if (isRunning || isNew) return;
        // One trial for a customer, at first.
        apple.subscribe(step.level, periods.length === 0 ? step.offer : "none");
        return;
      case "upgrade":
        if (isRunning && !isNew && apple.current.product_id !== step.level) apple.upgrade(step.level);
        return;
      case "downgrade":
        if (isRunning) apple.downgrade("basic");
        return;
      case "cancel":
        if (isRunning) apple.cancel();
        return;
      case "renew":
        if (isOver && this.now === endOf(apple.current)) apple.renew();
        return;
      case "fail":
        if (isOver) apple.fail(step.days);
        return;
      case "recover":
        if (isOver && !isNew) apple.recover();
        return;
      case "expire":
        if (isOver) apple.expire();
        return;
      case "refund": {
        const which = step.which % Math.max(1, periods.length);
        const period = periods[which];
        // Apple gives no money back for a period that it has given back, or for one that it paid back as an upgrade.
        if (period === undefined || period.revoked_at !== null || period.is_upgraded) return;
        apple.refund(step.percent, which);
        return;
      }
      case "reverse": {
        const which = step.which % Math.max(1, periods.length);
        const period = periods[which];
        // What comes back into a lot that is over lives for a day from then: it does depend on when it is told.
        if (period?.revoked_at && endOf(period) > this.now + patience) apple.reverse(which);
      }
    }
  }

  async #passDay(): Promise<void> {
    const late = this.#hasSpent ? 0 : patience;
    for (const message of [...this.#untold]) {
      if (Date.parse(message.signed_at) < this.now + day - late) {
        await this.#tell(this.#untold.indexOf(message), "notification");
      }
    }
    this.now += day;
    await this.clock.advance(day);
    await runTask(this.sql, "expire_credits");
  }

  async #tell(which: number, by: "notification" | "twice" | "history"): Promise<void> {
    const { sql } = this;
    const next = this.#hasOwed ? 0 : which % Math.max(1, this.#untold.length);
    const [message] = this.#untold.splice(next, 1);
    if (message === undefined) return;
    const ours = asToldTo(message, this.anyhow, "2");
    if (by === "history") {
      await sql`select api.record_notification_history('production', ${sql.json([{ ...ours }])})`;
      await runTask(sql, "handle_notifications");
    } else {
      assert.equal(await notify(sql, ours), "handled");
      if (by === "twice") assert.equal(await notify(sql, ours), "replayed");
    }
  }

  async #seenBy({ userId }: Buyer): Promise<unknown> {
    const { available, owed, lots } = await balancesOf(this.sql, userId);
    const { shown } = await first(this.sql<{ shown: unknown }[]>`
      select jsonb_build_object(
        'subscription', purchases.subscription_of(${userId}),
        'purchases', (
          select jsonb_agg(purchases.transaction_json(t) - 'transaction_id' order by t.purchased_at desc)
          from purchases.transactions as t
          where t.owner_id = ${userId} and t.credited_at is not null
            -- Whether a period was credited before all of it was refunded, the order decides; what is kept of it, nothing.
            and t.revoked_share < 100000
        )
      ) as shown`);
    const system = await systemBalances(this.sql, userId);
    return { available, owed, lots, system, shown };
  }
}

/** Of the same message, one user's: other ids, and their token. */
function asToldTo(message: StoreNotification, buyer: Buyer, prefix: string): StoreNotification {
  const { transaction, renewal } = message;
  return {
    ...message,
    notification_id: message.notification_id.replace(/^./, prefix),
    transaction: transaction && told(transaction, buyer, prefix),
    renewal: renewal &&
      { ...renewal, original_transaction_id: `${prefix}${renewal.original_transaction_id}` },
  };
}

function told(transaction: StoreTransaction, { token }: Buyer, prefix: string): StoreTransaction {
  return {
    ...transaction,
    transaction_id: `${prefix}${transaction.transaction_id}`,
    original_transaction_id: `${prefix}${transaction.original_transaction_id}`,
    app_account_token: token,
  };
}

async function balanceOf(sql: Sql, userId: string): Promise<number> {
  const { balance } = await first(sql<{ balance: number }[]>`
    select (credits.lock_account(${userId})).balance::integer as balance`);
  return balance;
}

async function hasOwed(sql: Sql, userId: string): Promise<boolean> {
  const owed = await sql`
    select from credits.accounts as a where a.owner_id = ${userId} and a.kind = 'owed' and a.entry_count > 0`;
  return owed.length > 0;
}

Deno.test("periods, grace, upgrades and refunds, told in any order, late, twice or by history alone, end as if in order", async () => {
  await using database = await testDatabase();
  const clock = await freezeClock(database);
  await sellLevels(database.sql);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: "max" }), async (steps) => {
      const twins = await Twins.create(database, clock);
      await twins.perform({ type: "subscribe", level: "basic", offer: "none" });
      for (const each of steps) await twins.perform(each);
      await twins.settle();
      await twins.perform({ type: "pass", days: periodDays });
      await twins.settle();
      assert.deepEqual(await violations(database.sql, false), []);
    }),
    propertyOptions(12, 1_000),
  );
  assert.deepEqual(await violations(database.sql), []);
});
