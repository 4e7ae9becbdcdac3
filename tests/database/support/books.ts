/** Books with something of everything in them, and the way to spoil them. */
import type postgres from "postgres";
import { acceptJob, settle } from "./jobs.ts";
import { add, deduct, first, openAccount, type Sql } from "./ledger.ts";

/** Lifts what stops even the owner, for the rest of the transaction. */
export async function disableTriggers(sql: Sql): Promise<void> {
  await sql`
    alter table credits.transfers disable trigger user;
    alter table credits.postings disable trigger user;
    alter table credits.accounts disable trigger user;
    alter table credits.lots disable trigger user;
    alter table videos.jobs disable trigger user;
  `.simple();
}

export interface Books {
  user: string;
  /** Of the user's available account. */
  account: string;
  /** Runs, with 4 credits held. */
  running: string;
  /** Was completed, and paid. */
  completed: string;
  failed: string;
}

/** Books with something of everything, for an account with seven entries. */
export async function keepBooks(sql: postgres.Sql): Promise<Books> {
  const user = await openAccount(sql);
  await add(sql, user, 20);
  const [completed, failed] = [await acceptJob(sql, user), await acceptJob(sql, user)];
  await sql`update videos.jobs set status = 'processing' where id = ${completed}`;
  await settle(sql, completed, "completed");
  await settle(sql, failed, "failed");
  await add(sql, user, 5);
  await deduct(sql, user, 2);
  const running = await acceptJob(sql, user);
  const { account } = await first(sql<{ account: string }[]>`
    select a.id as account from credits.accounts as a where a.owner_id = ${user} and a.entry_count = 7`);
  return { user, account, running, completed, failed };
}
