import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { closeAccount } from "../support/accounts.ts";
import { manyConnections, times } from "../support/connections.ts";
import { balancesOf, first, type Sql, violations } from "../support/ledger.ts";
import {
  createBuyer,
  notificationOf,
  notify,
  outcomeOf,
  pack,
  present,
  refunded,
  sellPack,
  setFlag,
  stored,
  transactionOf,
} from "../support/purchases.ts";
import { runTask } from "../support/scheduled-tasks.ts";

async function purchasesOf(sql: Sql, userId: string): Promise<number> {
  const { count } = await first(sql<{ count: number }[]>`
    select count(*)::integer as count from credits.transfers as t where t.owner_id = ${userId} and t.kind = 'purchase'`);
  return count;
}

async function alerts(sql: Sql): Promise<string[]> {
  const rows = await sql<{ alert: string }[]>`
    select a.rule || ' ' || a.subject as alert from ops.open_alerts as a order by 1`;
  return rows.map(({ alert }) => alert);
}

Deno.test("a transaction is credited once, to whoever it names, and is told truly after that", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const { userId, token } = await createBuyer(database);
  const bought = transactionOf({ app_account_token: token, quantity: 3 });
  const first = await present(sql, userId, bought);
  assert.deepEqual(first.data, {
    transaction_id: bought.transaction_id,
    product_id: pack,
    status: "credited",
    credits_added: 300,
    credits_remaining: 300,
    expires_at: null,
  });
  assert.deepEqual((await present(sql, userId, bought)).data, { ...first.data, status: "already_credited" });
  // A later price changes nothing of what was bought.
  await sql`update purchases.products set credits = 1`;
  assert.deepEqual((await present(sql, userId, bought)).data, { ...first.data, status: "already_credited" });
  assert.equal(await purchasesOf(sql, userId), 1);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("50 at once, by client and notification in any mixture, are one posting, and every answer is true", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  await sellPack(sql);
  for (const named of [true, false]) {
    const { userId, token } = await createBuyer(database);
    const bought = transactionOf(named ? { app_account_token: token } : {});
    const answers = await times(50, async (index) => {
      // 30 are what a client may ask in a minute.
      if (index % 5 < 2) {
        return await notify(sql, notificationOf("ONE_TIME_CHARGE", bought));
      }
      return (await present(sql, userId, { ...bought, signed_at: `2026-11-20T12:00:${10 + index}.000Z` }))
        .data;
    });
    const told = answers.filter((answer) => typeof answer === "object");
    assert(told.every((data) => data?.credits_added === 100 && data.credits_remaining === 100));
    // Whoever was first: where a notification was, no client is told that theirs did it.
    const credited = told.filter((data) => data?.status === "credited").length;
    assert(named ? credited <= 1 : credited === 1, String(credited));
    assert.equal(told.length, 30);
    assert(answers.every((answer) => typeof answer === "object" || answer === "handled"));
    assert.equal(await purchasesOf(sql, userId), 1);
    assert.equal((await balancesOf(sql, userId)).available, 100);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("whoever a transaction names is credited, whoever presents it, also when Apple tells first", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const owner = await createBuyer(database);
  const other = await createBuyer(database);
  const presented = transactionOf({ app_account_token: owner.token });
  assert.equal(outcomeOf(await present(sql, other.userId, presented)), "other_account");
  assert.equal(outcomeOf(await present(sql, owner.userId, presented)), "already_credited");
  const told = transactionOf({ app_account_token: owner.token });
  assert.equal(await notify(sql, notificationOf("ONE_TIME_CHARGE", told)), "handled");
  assert.equal(outcomeOf(await present(sql, other.userId, told)), "other_account");
  assert.equal((await balancesOf(sql, owner.userId)).available, 200);
  assert.equal((await balancesOf(sql, other.userId)).available, 0);
});

Deno.test("without a name, whoever presents it first has it, of two at once one; Apple's word alone waits", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  await sellPack(sql);
  for (let round = 0; round < 5; round++) {
    const one = await createBuyer(database);
    const two = await createBuyer(database);
    const bought = transactionOf();
    await notify(sql, notificationOf("ONE_TIME_CHARGE", bought));
    assert.equal((await stored(sql, bought)).reason, "unclaimed");
    const answers = await times(16, (index) => present(sql, (index % 2 === 0 ? one : two).userId, bought));
    const outcomes = answers.map((answer) => outcomeOf(answer));
    assert.equal(outcomes.filter((outcome) => outcome === "credited").length, 1);
    assert.equal(outcomes.filter((outcome) => outcome === "already_credited").length, 7);
    assert.equal(outcomes.filter((outcome) => outcome === "other_account").length, 8);
    const balances = await Promise.all([one, two].map(({ userId }) => balancesOf(sql, userId)));
    assert.deepEqual(balances.map(({ available }) => available).sort(), [0, 100]);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("of many who present at once what cannot be credited yet, the first has it, and is who is credited later", async () => {
  await using database = await testDatabase();
  await using sql = manyConnections(database);
  for (let round = 0; round < 5; round++) {
    await sql`delete from purchases.products`;
    const buyers = await times(8, () => createBuyer(database));
    const bought = transactionOf();
    const outcomes = await times(8, async (index) => {
      const userId = buyers[index]?.userId ?? "";
      return [userId, outcomeOf(await present(sql, userId, bought))];
    });
    const waiting = outcomes.filter(([, outcome]) => outcome === "unknown_product");
    assert.equal(waiting.length, 1, JSON.stringify(outcomes));
    assert.equal(outcomes.filter(([, outcome]) => outcome === "other_account").length, 7);
    await sellPack(sql);
    await runTask(sql, "credit_purchases");
    assert.equal((await stored(sql, bought)).owner_id, waiting[0]?.[0]);
    assert.equal((await balancesOf(sql, waiting[0]?.[0] ?? "")).available, 100);
  }
});

Deno.test("what names a closed account, or nobody's, is nobody's, and the operator hears of it", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const owner = await createBuyer(database);
  const other = await createBuyer(database);
  await closeAccount(sql, owner.userId);
  const transactions = {
    closed_account: transactionOf({ app_account_token: owner.token, product_id: pack }),
    unknown_account: transactionOf({ app_account_token: crypto.randomUUID() }),
  };
  for (const [reason, bought] of Object.entries(transactions)) {
    await notify(sql, notificationOf("ONE_TIME_CHARGE", bought));
    assert.equal(outcomeOf(await present(sql, other.userId, bought)), "other_account", reason);
    assert.deepEqual(await stored(sql, bought), { owner_id: null, reason, credits: null, reversed: 0 });
    assert((await alerts(sql)).includes(`purchase_${reason} ${pack}`), reason);
  }
  assert.equal(outcomeOf(await present(sql, owner.userId, transactions.closed_account)), "ERR_4005");
});

Deno.test("an account that closes before its purchase can be credited is credited nothing", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const { userId } = await createBuyer(database);
  const bought = transactionOf();
  assert.equal(outcomeOf(await present(sql, userId, bought)), "unknown_product");
  await closeAccount(sql, userId);
  await sellPack(sql);
  await runTask(sql, "credit_purchases");
  const { reason, credits } = await stored(sql, bought);
  assert.deepEqual([reason, credits], ["closed_account", null]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("what was shared with a family is credited to nobody", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const { userId, token } = await createBuyer(database);
  for (const app_account_token of [null, token]) {
    const shared = transactionOf({ is_family_shared: true, app_account_token });
    assert.equal(outcomeOf(await present(sql, userId, shared)), "family_shared");
    assert.equal(await notify(sql, notificationOf("ONE_TIME_CHARGE", shared)), "handled");
    assert.equal((await stored(sql, shared)).credits, null);
  }
});

Deno.test("nobody pays for nothing: what waits for the operator alerts, and is credited by itself once it is mended", async () => {
  await using database = await testDatabase();
  const { sql, advance } = database;
  await sellPack(sql);
  const { userId, token } = await createBuyer(database);
  const unknown = "com.example.app.credits.200";
  const waits: [
    string,
    ReturnType<typeof transactionOf>,
    (isMended: boolean) => Promise<unknown>,
    string | null,
  ][] = [
    [
      "unknown_product",
      transactionOf({ product_id: unknown }),
      async (isMended) => {
        if (isMended) await sellPack(sql, 200, unknown);
      },
      `purchase_unknown_product ${unknown}`,
    ],
    [
      "unknown_product",
      transactionOf({ product_id: "com.example.app.kind" }),
      // There is one, of another kind.
      (isMended) =>
        sql`insert into purchases.products (product_id, kind, name, description, credits)
          values ('com.example.app.kind', ${
          isMended ? "consumable" : "subscription"
        }, 'A', '', 7) on conflict (product_id) do update set kind = excluded.kind`,
      "purchase_unknown_product com.example.app.kind",
    ],
    [
      "wrong_environment",
      transactionOf({ environment: "sandbox" }),
      (isMended) => setFlag(sql, "sandbox_purchases", isMended),
      `purchase_wrong_environment ${pack}`,
    ],
    ["ERR_6004", transactionOf(), (isMended) => setFlag(sql, "purchases", isMended), null],
  ];
  for (const [reason, bought, mend, alert] of waits) {
    for (const app_account_token of [token, null]) {
      const mine = {
        ...bought,
        app_account_token,
        ...(app_account_token && { transaction_id: `1${bought.transaction_id}` }),
      };
      // What the sandbox may have in a day is another test's.
      await advance(86_400_000);
      await mend(false);
      if (app_account_token !== null && reason !== "ERR_6004") {
        await notify(sql, notificationOf("ONE_TIME_CHARGE", mine));
      }
      const before = await balancesOf(sql, userId);
      assert.equal(outcomeOf(await present(sql, userId, mine)), reason);
      await runTask(sql, "credit_purchases");
      await advance(3_600_000);
      await runTask(sql, "alert_purchases");
      if (alert !== null) assert((await alerts(sql)).includes(alert), `${alert} stays open`);
      assert.deepEqual(await balancesOf(sql, userId), before);
      await mend(true);
      await advance(60_000);
      await runTask(sql, "credit_purchases");
      const { credits, owner_id } = await stored(sql, mine);
      assert.deepEqual([owner_id, (await balancesOf(sql, userId)).available], [
        userId,
        before.available + (credits ?? 0),
      ]);
      assert.equal(outcomeOf(await present(sql, userId, mine)), "already_credited", reason);
      if (reason === "unknown_product" && app_account_token !== null) {
        await sql`delete from purchases.products where product_id = ${mine.product_id}`;
      }
    }
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("what is switched off is stored, and says so as every feature does", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  await setFlag(sql, "purchases", false);
  const { userId, token } = await createBuyer(database);
  const answer = await present(sql, userId, transactionOf());
  assert.deepEqual([answer.error, answer.details?.feature], ["ERR_6004", "purchases"]);
  const told = transactionOf({ app_account_token: token });
  assert.equal(await notify(sql, notificationOf("ONE_TIME_CHARGE", told)), "stored");
  await runTask(sql, "handle_notifications");
  assert.equal((await balancesOf(sql, userId)).available, 0);
  await setFlag(sql, "purchases", true);
  await database.advance(60_000);
  await runTask(sql, "handle_notifications");
  await runTask(sql, "credit_purchases");
  assert.equal((await balancesOf(sql, userId)).available, 200);
});

Deno.test("a purchase that was refunded before it was presented is not credited, and is once the refund is undone", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  const { userId, token } = await createBuyer(database);
  const bought = transactionOf({ app_account_token: token });
  const back = refunded(bought, 100, "2026-11-21T12:00:00.000Z");
  await notify(sql, notificationOf("REFUND", back));
  // What the client has was signed before.
  assert.equal(outcomeOf(await present(sql, userId, bought)), "revoked");
  assert.equal(outcomeOf(await present(sql, userId, back)), "revoked");
  assert.equal(await purchasesOf(sql, userId), 0, "what was never credited is not taken back");
  assert.equal((await balancesOf(sql, userId)).available, 0);
  await notify(
    sql,
    notificationOf("REFUND_REVERSED", { ...bought, signed_at: "2026-11-22T12:00:00.000Z" }),
  );
  assert.equal((await balancesOf(sql, userId)).available, 100);
  assert.equal(outcomeOf(await present(sql, userId, back)), "already_credited");
});
