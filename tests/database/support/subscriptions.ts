/** The subscriptions that the tests sell. */
import { type Sql } from "./ledger.ts";
import { levels, trialCredits } from "./subscription-store.ts";

/** One group, with the levels of the tests' Apple. */
export async function sellLevels(sql: Sql): Promise<void> {
  for (const [level, credits] of Object.entries(levels)) {
    await sql`
      insert into purchases.products (product_id, kind, name, description, credits, trial_credits)
      values (${level}, 'subscription', ${level}, '', ${credits}, ${trialCredits})`;
  }
}
