/** The ledger's procedures and state, as the tests call and read them. */
import type postgres from "postgres";

/** A pool, or one transaction of it. */
export type Sql = postgres.Sql | postgres.TransactionSql;

/** What a posting answers; each kind has some of these. */
export interface Outcome {
  transfer_id?: string;
  credits_remaining?: number;
  credits_owed?: number;
  amount?: number;
  forfeited?: number;
  error?: string;
  current_credits?: number;
}

export interface Lot {
  expires_at: Date | null;
  remaining: number;
}

export interface Balances {
  available: number;
  owed: number;
  /** Those with something left, in the order in which they are spent. */
  lots: Lot[];
}

/** The first row of a query that has one. */
export async function first<Row>(query: PromiseLike<readonly Row[]>): Promise<Row> {
  const [row] = await query;
  if (row === undefined) throw new Error("The query gave no row");
  return row;
}

async function outcome(query: PromiseLike<readonly { outcome: Outcome }[]>): Promise<Outcome> {
  return (await first(query)).outcome;
}

/** Opens an account for somebody new, and gives their id. */
export async function openAccount(sql: Sql): Promise<string> {
  const userId = crypto.randomUUID();
  await sql`select credits.open_account(${userId})`;
  return userId;
}

export interface AddOptions {
  kind?: "grant" | "purchase" | "refund" | "adjustment";
  key?: string;
  /** From now, by the database's clock. */
  expiresInHours?: number;
}

/** Adds a lot. */
export function add(sql: Sql, userId: string, amount: number, options: AddOptions = {}): Promise<Outcome> {
  const { kind = "grant", key = crypto.randomUUID(), expiresInHours = null } = options;
  return outcome(
    sql`
      select credits.add(
        ${userId}, ${amount}, ${kind}, ${key},
        core.now() + ${expiresInHours}::integer * interval '1 hour'
      ) as outcome`,
  );
}

export function deduct(
  sql: Sql,
  userId: string,
  amount: number,
  key: string = crypto.randomUUID(),
): Promise<Outcome> {
  return outcome(sql`select credits.deduct(${userId}, ${amount}, ${key}) as outcome`);
}

/** Locks the account, and holds credits for a job that need not exist; reconcile would find it. */
export function hold(sql: Sql, userId: string, amount: number, jobId: string): Promise<Outcome> {
  return outcome(
    sql`select credits.hold(credits.lock_account(${userId}), ${amount}, ${jobId}) as outcome`,
  );
}

export function capture(sql: Sql, jobId: string): Promise<Outcome> {
  return outcome(sql`select credits.capture(${jobId}) as outcome`);
}

export function release(sql: Sql, jobId: string): Promise<Outcome> {
  return outcome(sql`select credits.release(${jobId}) as outcome`);
}

export function reverse(
  sql: Sql,
  transferId: string | undefined,
  key: string = crypto.randomUUID(),
): Promise<Outcome> {
  return outcome(sql`select credits.reverse(${transferId ?? null}, ${key}) as outcome`);
}

export function closeAccount(sql: Sql, userId: string): Promise<Outcome> {
  return outcome(sql`select credits.close_account(${userId}) as outcome`);
}

/** What a user has and owes, as booked: nothing is expired by looking. */
export async function balancesOf(sql: Sql, userId: string): Promise<Balances> {
  const { available, owed, lots } = await first(
    sql<{ available: number; owed: number; lots: Lot[] | null }[]>`
    select
      coalesce(sum(a.balance) filter (where a.kind = 'available'), 0)::integer as available,
      coalesce(sum(a.balance) filter (where a.kind = 'owed'), 0)::integer as owed,
      (
        select jsonb_agg(
          jsonb_build_object('expires_at', l.expires_at, 'remaining', l.remaining)
          order by l.expires_at nulls last, l.id
        )
        from credits.lots as l
        join credits.accounts as mine on mine.id = l.account_id
        where mine.owner_id = ${userId} and l.remaining > 0
      ) as lots
    from credits.accounts as a
    where a.owner_id = ${userId}`,
  );
  return {
    available,
    owed,
    lots: (lots ?? []).map((lot) => ({
      ...lot,
      expires_at: lot.expires_at === null ? null : new Date(lot.expires_at),
    })),
  };
}

/** What a user's postings have moved to and from the platform's accounts, where it is not zero. */
export async function systemBalances(sql: Sql, userId: string): Promise<Record<string, number>> {
  const rows = await sql<{ kind: string; balance: number }[]>`
    select a.kind, sum(e.amount)::integer as balance
    from credits.transfers as t
    join credits.entries as e on e.transfer_id = t.id
    join credits.accounts as a on a.id = e.account_id and a.owner_id is null
    where t.owner_id = ${userId}
    group by a.kind
    having sum(e.amount) <> 0`;
  return Object.fromEntries(rows.map(({ kind, balance }) => [kind, balance]));
}

/** What the reconciliation finds, as "violation subject", sorted. */
export async function violations(sql: Sql, full = true): Promise<string[]> {
  const rows = await sql<{ violation: string; subject: string }[]>`
    select r.violation, r.subject from credits.reconcile(${full}) as r`;
  return rows.map(({ violation, subject }) => `${violation} ${subject}`).sort();
}

class RolledBack extends Error {}

/** Runs `work` in a transaction that leaves nothing behind. */
export async function rolledBack(
  sql: postgres.Sql,
  work: (sql: postgres.TransactionSql) => Promise<unknown>,
): Promise<void> {
  try {
    await sql.begin(async (transaction) => {
      await work(transaction);
      throw new RolledBack();
    });
  } catch (error) {
    if (!(error instanceof RolledBack)) throw error;
  }
}
