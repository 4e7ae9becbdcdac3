import assert from "node:assert/strict";
import fc from "fast-check";
import type { StoreTransaction } from "../../../supabase/functions/_shared/purchases/app-store/transaction.ts";
import { propertyOptions } from "../../runs.ts";
import { testDatabase } from "../harness.ts";
import { freezeClock } from "../support/frozen-clock.ts";
import { acceptJob, settle } from "../support/jobs.ts";
import { add, balancesOf, first, type Sql, systemBalances, violations } from "../support/ledger.ts";
import {
  type Buyer,
  createBuyer,
  makeVideo,
  notificationOf,
  notify,
  present,
  sellPack,
} from "../support/purchases.ts";
import { runTask } from "../support/scheduled-tasks.ts";
import { ModelPurchases, ModelStore, type StoreStep, storeStep } from "../support/store-script.ts";

const hour = 3_600_000;

/** One message reaches us, on any of the ways that there are. */
async function hear(
  sql: Sql,
  buyer: Buyer,
  transaction: StoreTransaction,
  by: "notification" | "client" | "both" | "history",
): Promise<void> {
  const notification = notificationOf("ANY", transaction);
  if (by === "notification" || by === "both") assert.equal(await notify(sql, notification), "handled");
  if (by === "client" || by === "both") {
    // No more than 30 in a minute; the limit is another test's.
    await sql`delete from guard.hits where policy = 'purchases'`;
    await present(sql, buyer.userId, transaction);
  }
  if (by === "history") {
    await sql`select api.record_notification_history('production', ${sql.json([{ ...notification }])})`;
    await runTask(sql, "handle_notifications");
  }
}

Deno.test("any purchases, spending, refunds, reversals and expiries, told in any order, leave what Apple signed last", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const clock = await freezeClock(database);
  await sellPack(sql);
  await fc.assert(
    fc.asyncProperty(
      fc.array(storeStep, { minLength: 5, maxLength: 30, size: "max" }),
      fc.array(fc.nat({ max: 50 }), { minLength: 40, maxLength: 40 }),
      async (steps: StoreStep[], order) => {
        const buyer = await createBuyer(database);
        const store = new ModelStore(buyer.token);
        const purchases = new ModelPurchases();
        let granted = 0;
        let delivered = 0;
        const running: { jobId: string; price: number }[] = [];

        async function check(): Promise<void> {
          const { available, owed, lots } = await balancesOf(sql, buyer.userId);
          const { purchases: sold = 0, breakage = 0, revenue = 0 } = await systemBalances(sql, buyer.userId);
          assert.equal(sold + purchases.kept, 0, "what was sold");
          assert.equal(revenue, delivered, "what videos took");
          const held = running.reduce((sum, { price }) => sum + price, 0);
          assert.equal(
            available - owed,
            purchases.kept + granted - delivered - held - breakage,
            "what is left",
          );
          assert(available === 0 || owed === 0, "a debt is paid of what there is");
          assert.equal(lots.reduce((sum, { remaining }) => sum + remaining, 0), available);
        }

        async function canPay(price: number): Promise<boolean> {
          const { balance } = await first(sql<{ balance: number }[]>`
            select (credits.lock_account(${buyer.userId})).balance::integer as balance`);
          return balance >= price;
        }

        async function end(which: number, isDelivered: boolean): Promise<void> {
          const [job] = running.splice(which % Math.max(1, running.length), 1);
          if (job === undefined) return;
          await settle(sql, job.jobId, isDelivered ? "completed" : "failed");
          if (isDelivered) delivered += job.price;
        }

        for (const step of steps) {
          switch (step.type) {
            case "buy":
              store.buy(step.quantity);
              break;
            case "refund":
              store.refund(step.which, step.percent);
              break;
            case "reverse":
              store.reverse(step.which);
              break;
            case "tell": {
              const told = store.hear(step.told);
              if (told === undefined) break;
              await hear(sql, buyer, told, step.by);
              purchases.hear(told);
              break;
            }
            case "video": {
              if (!await canPay(step.price)) break;
              await makeVideo(sql, buyer.userId, step.price, step.isDelivered ? "completed" : "failed");
              if (step.isDelivered) delivered += step.price;
              break;
            }
            case "accept": {
              if (!await canPay(step.price)) break;
              const jobId = await acceptJob(sql, buyer.userId, { price: step.price });
              await sql`update videos.jobs set status = 'processing' where id = ${jobId}`;
              running.push({ jobId, price: step.price });
              break;
            }
            case "end":
              await end(step.which, step.isDelivered);
              break;
            case "grant":
              granted += step.amount;
              await add(sql, buyer.userId, step.amount, { expiresInHours: 24 });
              break;
            case "pass":
              await clock.advance(step.hours * hour);
              await runTask(sql, "expire_credits");
          }
          await check();
        }
        // The rest comes late, twice, and in any order.
        for (const which of order) {
          const told = store.hear(which);
          if (told === undefined) break;
          await hear(sql, buyer, told, which % 2 === 0 ? "notification" : "both");
          purchases.hear(told);
          await check();
        }
        while (running.length > 0) {
          await end(0, running.length % 2 === 0);
          await check();
        }
        const inOrder = new ModelPurchases();
        for (const { signed } of store.bought) for (const each of signed) inOrder.hear(each);
        // Whether a purchase was credited before it was refunded in full, the order decides; what is kept of it, nothing.
        assert.equal(purchases.kept, inOrder.kept, "any order comes to the same");
        assert.deepEqual(await violations(sql, false), []);
      },
    ),
    propertyOptions(12, 1_000),
  );
  assert.deepEqual(await violations(sql), []);
});
