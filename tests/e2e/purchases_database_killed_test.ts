/** One transaction, from everywhere at once, while the database is killed. */
import assert from "node:assert/strict";
import { startStack } from "../../local/stack.ts";
import { withConnection } from "../../local/postgres/database.ts";
import { Profile } from "../../supabase/functions/_shared/accounts/contract.ts";
import { CreditedPurchase } from "../../supabase/functions/_shared/purchases/contract.ts";
import { runs } from "../runs.ts";
import { eventually } from "./eventually.ts";
import { type Answer, bodyOf, readAnswer } from "./support/answer.ts";
import { signIn } from "./support/backend.ts";

Deno.test("50 presentations by client, notification and recovery, the database killed among them: one posting, true answers", async () => {
  const dataDirectory = await Deno.makeTempDir();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(dataDirectory, { recursive: true }));
  await Deno.chmod(dataDirectory, 0o711);
  const stack = cleanup.use(
    await startStack({ dataDirectory, tickMilliseconds: 500, appStore: { retryMilliseconds: 200 } }),
  );
  const { appStore } = stack.simulators;
  // Whoever is asked again because the database was away would else wait for a minute's window.
  await withConnection(
    stack.databaseUrl,
    (sql) => sql`update guard.policies set max_hits = 300, window_seconds = 1 where name = 'purchases'`,
  );
  const guest = await signIn(stack);
  const { app_account_token } = bodyOf(await guest.call("user-profile"), 200, Profile);

  for (let round = 0; round < runs(2, 10); round++) {
    const isNamed = round % 2 === 0;
    // The store's own deliveries come beside those below; half of the rounds have no name, so that a client owns it.
    const bought = await appStore.do({
      deed: "buy",
      productId: "credits_60",
      appAccountToken: isNamed ? app_account_token : null,
    });
    const { transactionId } = bought;
    assert(transactionId !== null);
    const { notifications } = await appStore.control.report();
    const signedPayload = notifications.find(({ id }) => id === bought.notificationId)?.signedPayload;

    const client = () => guest.call("purchases", { body: { signed_transaction: bought.signed } });
    const notification = () =>
      fetch(`${stack.url}/functions/v1/app-store-notifications`, {
        method: "POST",
        body: JSON.stringify({ signedPayload }),
      }).then(readAnswer);
    const recovery = async (): Promise<Answer> => {
      await withConnection(
        stack.databaseUrl,
        (sql) =>
          sql`update core.scheduled_tasks set next_run_at = '-infinity' where name = 'read_notification_history'`,
        { arrays: false },
      );
      await stack.tick();
      return { status: 200, headers: new Headers(), body: null };
    };
    /** As an app, or Apple, asks: until there is an answer. */
    const answered = (ask: () => Promise<Answer>) =>
      eventually("an answer", async () => {
        const answer = await ask().catch(() => null);
        return answer === null || answer.status >= 500 || answer.status === 429 ? undefined : answer;
      });

    const asks = Array.from(
      { length: 50 },
      (_, index) => index % 10 === 9 ? recovery : index % 2 === 0 ? client : notification,
    );
    const first = Promise.withResolvers<void>();
    const answers = asks.map(async (ask) => {
      const answer = await answered(ask);
      first.resolve();
      return { ask, answer };
    });
    await first.promise;
    await stack.database.kill();
    await stack.database.start();
    let credited = 0;
    for (const { ask, answer } of await Promise.all(answers)) {
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      if (ask !== client) continue;
      const { status, credits_added, credits_remaining } = bodyOf(answer, 200, CreditedPurchase);
      assert.deepEqual([credits_added, credits_remaining], [60, 60 * (round + 1)]);
      if (status === "credited") credited += 1;
    }
    // None, where the call that did it was a notification's, or its answer was lost with the database.
    assert(credited <= 1, `${credited} clients were told that theirs did it`);
    const [row] = await withConnection(
      stack.databaseUrl,
      (sql) =>
        sql<{ postings: number; violations: number; owner: string }[]>`
      select (
          select count(*)::integer from credits.postings as p
          where p.idempotency_key = 'purchase:production:' || ${transactionId}
        ) as postings,
        (select count(*)::integer from credits.reconcile(true)) as violations,
        (select t.owner_id from purchases.transactions as t where t.transaction_id = ${transactionId}) as owner`,
    );
    assert.deepEqual({ ...row }, { postings: 1, violations: 0, owner: guest.id });
    await withConnection(stack.databaseUrl, (sql) => sql`delete from guard.hits where policy = 'purchases'`);
  }
});
