/**
 * A crash at every step of a purchase, of which the quick tests run a sample: it is presented, Apple asks how much was used,
 * takes it back, and its history is read. As in crash_test.ts, the functions are killed before and after each of their calls.
 */
import assert from "node:assert/strict";
import { Profile } from "../../supabase/functions/_shared/accounts/contract.ts";
import { CreditedPurchase } from "../../supabase/functions/_shared/purchases/contract.ts";
import { cases } from "../runs.ts";
import { bodyOf } from "./support/answer.ts";
import {
  backend,
  call,
  calls,
  isTrue,
  restart,
  type Run,
  tick,
  until,
  untilQuiet,
} from "./support/crash-steps.ts";
import type { Point } from "./support/port-calls.ts";

const samplePoints = 5;
/** A call may be another one's now and then. */
const maxTries = 10;

const store = () => backend.stack.simulators.appStore;

async function play(target: Point | null): Promise<{ run: Run; transactionId: string }> {
  const { sql } = backend.database;
  const run: Run = { guest: await backend.signIn(), prompt: "", jobId: "" };
  const changed = await run.guest.call("user-profile", {
    method: "PATCH",
    body: { shares_consumption: true },
  });
  const { app_account_token } = bodyOf(changed, 200, Profile);
  // The history is one page, however long ago the store began.
  await sql`
    insert into purchases.history_reads as h (environment, read_until)
    select e, core.now() from unnest(enum_range(null::purchases.environment)) as e
    on conflict (environment) do update set read_until = excluded.read_until`;
  await untilQuiet();
  calls.reset(target, restart);

  const bought = await store().do({
    deed: "buy",
    productId: "credits_60",
    appAccountToken: app_account_token,
  });
  const { transactionId } = bought;
  assert(transactionId !== null);
  const presented = await call(run, "purchases", { body: { signed_transaction: bought.signed } });
  assert.equal(bodyOf(presented, 200, CreditedPurchase).credits_added, 60);

  await store().do({ deed: "request_refund", transactionId });
  await until("Apple's question is heard", () =>
    isTrue(sql`
    select from purchases.notifications as n
    where n.transaction_id = ${transactionId} and n.type = 'CONSUMPTION_REQUEST' and n.handled_at is not null`));
  await tick();
  await until("it is answered", () =>
    isTrue(sql`
    select from purchases.notifications as n where n.transaction_id = ${transactionId} and n.answered_at is not null`));
  await store().do({ deed: "refund", transactionId, percentage: 50_000 });
  await store().do({ deed: "refund", transactionId });
  await until("both refunds are heard", () =>
    isTrue(sql`
    select from purchases.notifications as n
    where n.transaction_id = ${transactionId} and n.type = 'REFUND' and n.handled_at is not null
    having count(*) = 2`));
  await sql`select purchases.ask_for_history()`;
  await tick();
  await until("nothing is left to do", () =>
    isTrue(sql`
    select where not exists (select from queue.tasks)
      and not exists (select from purchases.notifications as n where n.handled_at is null)`));
  await untilQuiet();
  return { run, transactionId };
}

/** Credited once, taken back in full, and answered as it was. */
async function prove({ run, transactionId }: { run: Run; transactionId: string }): Promise<void> {
  const transfers = await backend.database.sql<{ kind: string; amount: number }[]>`
    select t.kind, sum(t.amount)::integer as amount from credits.transfers as t where t.owner_id = ${run.guest.id}
    group by t.kind order by t.kind`;
  assert.deepEqual(transfers.map(({ kind, amount }) => `${kind} ${amount}`), ["purchase 60", "reversal 60"]);
  assert.equal(await backend.balanceOf(run.guest), 0);
  const { consumptions } = await store().control.report();
  const told = consumptions.filter((each) => each.transactionId === transactionId);
  // Once more after a crash that came before it was written down, and the same.
  assert(told.length >= 1 && told.length <= 2, `Apple was told ${told.length} times`);
  assert.equal(new Set(told.map(({ body }) => JSON.stringify(body))).size, 1);
  await backend.proveLedger();
}

function nameOf({ call, occurrence, side }: Point): string {
  return `${side} ${call} (${occurrence})`;
}

Deno.test("a purchase that is presented, asked about and refunded survives a crash at every step", async () => {
  await restart();
  await prove(await play(null));
  const recorded = [...calls.points];
  for (
    const name of [
      "POST /rest/v1/rpc/post_purchases",
      "POST /rest/v1/rpc/app_store_notifications",
      "POST /rest/v1/rpc/load_consumption",
      "POST /rest/v1/rpc/finish_consumption",
      "POST /rest/v1/rpc/record_notification_history",
      "POST /rest/v1/rpc/finish_notification_history",
    ]
  ) assert(recorded.some(({ call }) => call === name), `${name} is no step of it`);
  const points = cases(samplePoints, recorded);
  for (const point of points) {
    for (let attempt = 1; !calls.hasCrashed || attempt === 1; attempt++) {
      assert(attempt <= maxTries, `never reached: ${nameOf(point)}`);
      await prove(
        await play(point).catch((cause) => {
          throw new Error(`${nameOf(point)}: ${calls.points.map(nameOf).join(", ")}`, { cause });
        }),
      );
    }
  }
  console.log(`${points.length} crashes, of ${recorded.length}`);
});
