/** Closing accounts, and what a worker does after that. */
import type { TestDatabase } from "../harness.ts";
import { claimTasks, type Task } from "./generation.ts";
import { add, first, type Sql } from "./ledger.ts";

export interface Closed {
  data?: { user_id: string; closed_at: string };
  error?: string;
}

/** A guest whom Auth knows, with an account and so many credits. */
export async function createGuest({ sql, createUser }: TestDatabase, credits = 10): Promise<string> {
  const userId = await createUser();
  await sql`insert into auth.sessions (id, user_id) values (gen_random_uuid(), ${userId})`;
  await sql`select accounts.admit(${userId})`;
  if (credits > 0) await add(sql, userId, credits);
  return userId;
}

export async function closeAccount(sql: Sql, userId: string): Promise<Closed> {
  const { answer } = await first(
    sql<{ answer: Closed }[]>`select api.delete_user_profile(${userId}) as answer`,
  );
  return answer;
}

/** What a worker says when the files that it was given are gone: "erased", "waiting", "dead" or "lost". */
export async function eraseAccount(sql: Sql, { task_id, attempt, subject }: Task): Promise<string> {
  const { state } = await first(sql<{ state: string }[]>`
    select api.erase_account(${task_id}, ${attempt}, ${subject}) -> 'data' ->> 'state' as state`);
  return state;
}

/** Longer than the longest attempt of a task. */
export const untilErasable = 181_000;

export type EraseTask = Task & { paths: string[] };

/** Leases the user's erase_account task, if it is due, and says which files it removes. */
export async function claimErasure(sql: Sql, userId: string): Promise<EraseTask | null> {
  const [task] = await claimTasks(sql, 10, userId);
  if (task === undefined) return null;
  const { paths } = await first(sql<{ paths: string[] }[]>`
    select api.load_erasure(${task.subject}) #> '{data,paths}' as paths`);
  return { ...task, paths };
}

/** Credits that the user has, owes, and has left to the platform. */
export async function creditsOf(sql: Sql, userId: string): Promise<{ available: number; forfeited: number }> {
  const row = await first(sql<{ available: number; forfeited: number }[]>`
    select a.balance::int as available, (
      select coalesce(sum(t.amount), 0)::int from credits.transfers as t
      where t.kind = 'forfeit' and t.from_account_id = a.id
    ) as forfeited
    from credits.accounts as a where a.owner_id = ${userId} and a.kind = 'available'`);
  return { ...row };
}

/** Every table in which the text stands somewhere, ours and the platform's. */
export async function tablesWith({ sql }: TestDatabase, text: string): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    order by 1`;
  const found = [];
  for (const { name } of tables) {
    const [row] = await sql.unsafe(
      `select exists (select from ${name} as t where position($1 in t::text) > 0) as found`,
      [text],
    );
    if (row?.found) found.push(name);
  }
  return found;
}
