/** Asks the providers what is left of our balance, whether they still work for us, and what they billed. */
import * as z from "zod/mini";
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import { type Attempt, attemptOf, type Task } from "../queue/task.ts";
import type { Providers } from "./providers/registry.ts";

/** A day is billed in full some hours after its end. */
const settledAfterMilliseconds = 30 * 60 * 60_000;

/** Notes what each provider says. One that says nothing, or cannot be asked, is what it was when it was asked last. */
export async function readProviderAccounts(
  task: Task,
  { providers, database, now }: { providers: Providers; database: Database; now(): number },
  { log }: Attempt,
): Promise<void> {
  // The last one that was over six hours ago.
  const day = new Date(now() - settledAfterMilliseconds).toISOString().slice(0, 10);
  const accounts = await Promise.all(providers.names.map(async (provider) => {
    const account = await providers.get(provider)?.account?.(day) ?? null;
    if (account === null) log.info("provider_account_unknown", { provider });
    return account === null ? [] : [{
      provider,
      balance_cents: account.balanceCents,
      is_locked: account.isLocked,
      day,
      billed_cents: account.billedCents,
    }];
  }));
  const args = { ...attemptOf(task), p_accounts: accounts.flat() };
  await whileDatabaseIsAway(() =>
    database.call("record_provider_accounts", args, z.object({ finished: z.boolean() }))
  );
}
