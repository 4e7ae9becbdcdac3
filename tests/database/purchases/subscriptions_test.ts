import assert from "node:assert/strict";
import { type TestDatabase, testDatabase } from "../harness.ts";
import { closeAccount } from "../support/accounts.ts";
import { freezeClock, type FrozenClock } from "../support/frozen-clock.ts";
import { acceptJob, settle } from "../support/jobs.ts";
import { balancesOf, first, type Sql, violations } from "../support/ledger.ts";
import {
  type Buyer,
  createBuyer,
  makeVideo,
  notificationOf,
  notify,
  outcomeOf,
  present,
  sellPack,
  transactionOf,
} from "../support/purchases.ts";
import { runTask } from "../support/scheduled-tasks.ts";
import { type Life, type LifeDeed, lives, type Seen, type Who } from "../support/subscription-lives.ts";
import { AppleSubscription, day } from "../support/subscription-store.ts";
import { sellLevels } from "../support/subscriptions.ts";

/** One life that is played: its subscription at Apple, and two users. */
class Play {
  readonly #apple: AppleSubscription;
  #now: number;
  #jobId: string | undefined;

  constructor(
    private readonly sql: Sql,
    private readonly clock: FrozenClock,
    private readonly users: Readonly<Record<Who, Buyer>>,
    private readonly startedAt: number,
    { isNamed = true, isFamilyShared = false }: Life,
  ) {
    this.#now = startedAt;
    const token = isNamed ? users.owner.token : null;
    this.#apple = new AppleSubscription({ token, isFamilyShared, now: () => this.#now });
  }

  static async begin(database: TestDatabase, clock: FrozenClock, life: Life): Promise<Play> {
    const { sql } = database;
    const users = { owner: await createBuyer(database), other: await createBuyer(database) };
    if (life.owner === "user") {
      await sql`update auth.users set is_anonymous = false where id = ${users.owner.userId}`;
    }
    const { now } = await first(sql<{ now: Date }[]>`select core.now() as now`);
    return new Play(sql, clock, users, now.getTime(), life);
  }

  async step(at: number, deed: LifeDeed): Promise<void> {
    const then = this.startedAt + at * day;
    await this.clock.advance(then - this.#now);
    this.#now = then;
    await runTask(this.sql, "expire_credits");
    await this.#do(deed);
  }

  async #do(deed: LifeDeed): Promise<void> {
    const { sql, users } = this;
    switch (deed[0]) {
      case "buy a pack": {
        const bought = transactionOf({ app_account_token: users.owner.token });
        assert.equal(await notify(sql, notificationOf("ONE_TIME_CHARGE", bought)), "handled");
        break;
      }
      case "present":
        assert.equal(
          outcomeOf(await present(sql, users[deed[1]].userId, this.#apple.current)),
          deed[2],
        );
        break;
      case "close":
        await closeAccount(sql, users[deed[1]].userId);
        break;
      case "spend":
        await makeVideo(sql, users.owner.userId, deed[1]);
        break;
      case "hold":
        this.#jobId = await acceptJob(sql, users.owner.userId, { price: deed[1] });
        break;
      case "fail the video":
        assert(this.#jobId);
        await settle(sql, this.#jobId, "failed");
        break;
      case "look":
        break;
      default: {
        const message = tellOf(this.#apple, deed);
        assert.equal(await notify(sql, message), "handled");
        // Apple's patience: the same again.
        assert.equal(await notify(sql, message), "replayed");
      }
    }
  }

  async sees(who: Who, expected: Seen): Promise<void> {
    const { sql } = this;
    const { userId } = this.users[who];
    const { available, owed, lots } = await balancesOf(sql, userId);
    const { shown } = await first(
      sql<{ shown: { purchases: ShownPurchase[]; subscription: Shown | null } }[]>`
      select jsonb_build_object(
        'subscription', purchases.subscription_of(${userId}),
        'purchases', coalesce((
          select jsonb_agg(purchases.transaction_json(t) order by t.purchased_at desc)
          from purchases.transactions as t where t.owner_id = ${userId} and t.credited_at is not null
        ), '[]')
      ) as shown`,
    );
    const seen: Required<Seen> = {
      credits: available,
      owed,
      lots: lots.map((lot) => [lot.expires_at && this.#day(lot.expires_at), lot.remaining]),
      subscription: shown.subscription && this.#subscription(shown.subscription),
      purchases: shown.purchases.map((each) => `${each.product_id} ${each.status} ${each.credits_added}`),
    };
    const wanted = Object.fromEntries(
      Object.keys(expected).map((name) => [name, seen[name as keyof Seen]]),
    );
    assert.deepEqual(wanted, expected, who);
  }

  #subscription({ product_id, status, expires_at, renews_at }: Shown): string {
    const words = [product_id, status, String(this.#day(new Date(expires_at)))];
    if (renews_at !== null) {
      assert.equal(renews_at, expires_at);
      words.push("renews");
    }
    return words.join(" ");
  }

  #day(time: Date): number {
    return (time.getTime() - this.startedAt) / day;
  }
}

interface Shown {
  product_id: string;
  status: string;
  expires_at: string;
  renews_at: string | null;
}

interface ShownPurchase {
  product_id: string;
  status: string;
  credits_added: number;
}

function tellOf(apple: AppleSubscription, deed: LifeDeed) {
  switch (deed[0]) {
    case "subscribe":
      return apple.subscribe(deed[1], deed[2]);
    case "upgrade":
    case "downgrade":
      return apple[deed[0]](deed[1]);
    case "renew":
    case "recover":
    case "cancel":
    case "expire":
    case "revoke":
      return apple[deed[0]]();
    case "end of grace":
      return apple.endGrace();
    case "fail":
      return apple.fail(deed[1]);
    case "refund":
      return apple.refund(deed[1], deed[2]);
    case "ask for a refund":
      return apple.askForRefund(deed[1]);
    case "refund declined":
      return apple.declineRefund(deed[1]);
    case "refund reversed":
      return apple.reverse(deed[1]);
    default:
      throw new Error(`Apple knows no ${deed[0]}`);
  }
}

for (const life of lives) {
  Deno.test(`a subscription's life: ${life.name}`, async () => {
    await using database = await testDatabase();
    const { sql } = database;
    const clock = await freezeClock(database);
    await sellLevels(sql);
    await sellPack(sql);
    const play = await Play.begin(database, clock, life);
    for (const [at, deed, owner, other] of life.steps) {
      await play.step(at, deed);
      if (owner !== undefined) await play.sees("owner", owner);
      if (other !== undefined) await play.sees("other", other);
    }
    assert.deepEqual(await violations(sql), []);
  });
}
