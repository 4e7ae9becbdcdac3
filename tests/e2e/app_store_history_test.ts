/** Notifications that are lost, doubled and late, against Apple's history of them. */
import assert from "node:assert/strict";
import type { Deed } from "../../local/simulators/app-store/deeds.ts";
import { runs } from "../runs.ts";
import { eventually } from "./eventually.ts";
import { type Backend, startBackend } from "./support/backend.ts";
import {
  buy,
  createCustomer,
  creditsOf,
  letTimePass,
  purchasesOf,
  sellPack,
  untilDone,
  untilTold,
} from "./support/shop.ts";

const hour = 60 * 60_000;
const customers = runs(4, 20);

/** What each customer does after buying, by turns: also a refund of what was refunded in part, and of what was given back. */
const stories: readonly (readonly ((transactionId: string) => Deed)[])[] = [
  [],
  [(transactionId) => ({ deed: "refund", transactionId, percentage: 25_000 })],
  [
    (transactionId) => ({ deed: "refund", transactionId, percentage: 40_000 }),
    (transactionId) => ({ deed: "refund", transactionId }),
  ],
  [
    (transactionId) => ({ deed: "refund", transactionId }),
    (transactionId) => ({ deed: "reverse", transactionId }),
  ],
];

/** Plays all stories, and tells how they ended: of each customer their credits, their debt and what they keep. */
async function play(backend: Backend): Promise<unknown[]> {
  await sellPack(backend);
  const { appStore } = backend.stack.simulators;
  const all = await Promise.all(Array.from({ length: customers }, () => createCustomer(backend)));
  for (const [index, customer] of all.entries()) {
    const { transactionId } = await buy(backend, customer, { quantity: 1 + index % 2 });
    for (const deed of stories[index % stories.length] ?? []) await appStore.do(deed(transactionId));
  }
  await untilTold(backend);
  await backend.stack.tick();
  await letTimePass(backend, 2 * hour);
  await untilTold(backend);
  await backend.database.sql`select purchases.ask_for_history()`;
  await untilDone(backend, "read_notification_history");
  // What was found is acted upon by the tick.
  await letTimePass(backend, hour);
  await backend.stack.tick();
  await backend.proveLedger();
  return await Promise.all(all.map(async (customer) => {
    const { credits_remaining, credits_owed } = await creditsOf(customer);
    // What was refunded in full before it came is never credited, and so is not listed: nothing of it is left either way.
    const kept = (await purchasesOf(customer)).filter(({ status }) => status !== "refunded");
    return { credits_remaining, credits_owed, kept };
  }));
}

/** How often each type was stored, and how many were not acted upon. */
async function storedOf({ database }: Backend) {
  return [
    ...await database.sql`
    select n.type, count(*)::int as stored, count(*) filter (where n.handled_at is null)::int as open
    from purchases.notifications as n group by n.type order by n.type`,
  ];
}

Deno.test("where every third notification is lost, every third doubled and all are late, all ends as without", async () => {
  await using clean = await startBackend();
  const expected = await play(clean);
  assert(expected.length === customers);
  assert.notDeepEqual(expected[0], expected[1], "the stories end differently");

  await using disturbed = await startBackend();
  const { appStore } = disturbed.stack.simulators;
  const deliveries = ["lost", "duplicated", "genuine"] as const;
  await appStore.control.rules(
    ...Array.from({ length: customers * 3 }, (_, index) => ({
      for: "notification" as const,
      delivery: deliveries[index % 3] ?? "genuine",
      // Some of them after one that was signed later.
      milliseconds: index % 5 * 40,
    })),
  );
  assert.deepEqual(await play(disturbed), expected);
  assert.deepEqual(await storedOf(disturbed), await storedOf(clean));
  const { notifications, deliveries: sent } = await appStore.control.report();
  const lost = notifications.filter(({ id }) => !sent.some(({ requestId }) => requestId === id));
  assert(lost.length >= Math.floor(notifications.length / 3), "they were lost");
  assert(sent.length > notifications.length - lost.length, "and doubled");
});

Deno.test("nothing is acknowledged that is not stored: what came while the database was away comes again", async () => {
  await using backend = await startBackend();
  await sellPack(backend);
  const customer = await createCustomer(backend);
  const { appStore } = backend.stack.simulators;
  // As if the database could not be written.
  await backend.database.sql`alter table purchases.notifications rename to notifications_away`;
  await buy(backend, customer);
  await untilTold(backend);
  const attempts = async () =>
    (await appStore.control.report()).deliveries.map((
      { attempts, lastStatus, state },
    ) => [attempts, lastStatus !== null && lastStatus >= 500, state]);
  assert.deepEqual(await attempts(), [[1, true, "due"]]);
  await backend.database.sql`alter table purchases.notifications_away rename to notifications`;
  await letTimePass(backend, hour);
  await untilTold(backend);
  assert.deepEqual(await attempts(), [[2, false, "delivered"]]);
  assert.equal(await backend.balanceOf(customer), 100);
});

Deno.test("what was told before the key was there is found when it is", async () => {
  await using backend = await startBackend();
  await sellPack(backend);
  const customer = await createCustomer(backend);
  const { appStore } = backend.stack.simulators;
  await appStore.control.rules({ for: "notification", delivery: "lost" });
  await buy(backend, customer);
  // In both environments: production alone may be the app's that is not released yet.
  await appStore.control.rules({ for: "api", operation: "history", effect: "unauthorized", times: 2 });
  await backend.database.sql`select purchases.ask_for_history()`;
  await eventually("the operator is told", async () => {
    await backend.stack.tick();
    const [alert] = await backend.database
      .sql`select from ops.alerts as a where a.rule = 'app_store_key_refused'`;
    return alert && true;
  });
  assert.equal(await backend.balanceOf(customer), 0);
  await letTimePass(backend, hour);
  await untilDone(backend, "read_notification_history");
  await letTimePass(backend, hour);
  await backend.stack.tick();
  assert.equal(await backend.balanceOf(customer), 100);
});
