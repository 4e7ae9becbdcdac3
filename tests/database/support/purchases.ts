/** The store's transactions and notifications, and the procedures that are told of them, as functions call them. */
import type { StoreNotification } from "../../../supabase/functions/_shared/purchases/app-store/notification.ts";
import type { StoreTransaction } from "../../../supabase/functions/_shared/purchases/app-store/transaction.ts";
import type { TestDatabase } from "../harness.ts";
import { createGuest } from "./accounts.ts";
import { acceptJob, settle } from "./jobs.ts";
import { first, type Sql } from "./ledger.ts";

/** A consumable that the tests sell: 100 credits for one. */
export const pack = "com.example.app.credits.100";

export async function sellPack(sql: Sql, credits = 100, productId = pack): Promise<void> {
  await sql`
    insert into purchases.products (product_id, kind, name, description, credits)
    values (${productId}, 'consumable', 'A pack', '', ${credits})`;
}

export interface Buyer {
  readonly userId: string;
  readonly token: string;
}

/** A guest without credits, with the token that their app gives the store. */
export async function createBuyer(database: TestDatabase): Promise<Buyer> {
  const userId = await createGuest(database, 0);
  const { token } = await first(database.sql<{ token: string }[]>`
    select u.app_account_token as token from accounts.users as u where u.id = ${userId}`);
  return { userId, token };
}

let lastTransactionId = 2_000_000_000;

/** A purchase of one pack, for money, by nobody who is named. */
export function transactionOf(changes: Partial<StoreTransaction> = {}): StoreTransaction {
  const id = String(++lastTransactionId);
  return {
    transaction_id: id,
    original_transaction_id: changes.transaction_id ?? id,
    product_id: pack,
    kind: "consumable",
    quantity: 1,
    app_account_token: null,
    environment: "production",
    purchased_at: "2026-11-20T12:00:00.000Z",
    expires_at: null,
    signed_at: "2026-11-20T12:00:01.000Z",
    revoked_at: null,
    revocation_reason: null,
    revocation_type: null,
    revocation_percentage: null,
    is_family_shared: false,
    is_upgraded: false,
    is_free_trial: false,
    is_renewal: false,
    price_milliunits: 9990,
    currency: "USD",
    app_transaction_id: null,
    ...changes,
  };
}

/** The same purchase, as Apple signs it when it has given some of the money back; `percent` of it. */
export function refunded(transaction: StoreTransaction, percent: number, signedAt: string): StoreTransaction {
  return {
    ...transaction,
    signed_at: signedAt,
    revoked_at: signedAt,
    revocation_reason: 0,
    revocation_type: percent === 100 ? "full" : "prorated",
    revocation_percentage: percent === 100 ? null : percent * 1000,
  };
}

/** The same purchase, as Apple signs it when it has taken back a refund, or where there is none. */
export function signedAgain(transaction: StoreTransaction, signedAt: string): StoreTransaction {
  return {
    ...transaction,
    signed_at: signedAt,
    revoked_at: null,
    revocation_reason: null,
    revocation_type: null,
    revocation_percentage: null,
  };
}

export interface Presented {
  data?: {
    transaction_id: string;
    status: "credited" | "already_credited";
    credits_added: number;
    credits_remaining: number;
    expires_at: string | null;
  };
  error?: string;
  details?: { reason?: string; policy?: string; retry_after?: number; feature?: string };
}

/** A client presents a transaction. */
export async function present(sql: Sql, userId: string, transaction: StoreTransaction): Promise<Presented> {
  const { answer } = await first(sql<{ answer: Presented }[]>`
    select api.post_purchases(${userId}, ${sql.json(transaction)}) as answer`);
  return answer;
}

/** What a presentation came to, in a word: its status, its reason, or its code. */
export function outcomeOf({ data, error, details }: Presented): string | undefined {
  return data?.status ?? details?.reason ?? error;
}

export function notificationOf(
  type: string,
  transaction: StoreTransaction | null,
  changes: Partial<StoreNotification> = {},
): StoreNotification {
  return {
    notification_id: crypto.randomUUID(),
    type,
    subtype: null,
    environment: transaction?.environment ?? "production",
    signed_at: transaction?.signed_at ?? "2026-11-20T12:00:01.000Z",
    transaction,
    renewal: null,
    consumption_request_reason: null,
    app_data: null,
    ...changes,
  };
}

/** Apple tells something; gives what was done: "handled", "stored" or "replayed". */
export async function notify(sql: Sql, notification: StoreNotification): Promise<string> {
  const { effect } = await first(sql<{ effect: string }[]>`
    select api.app_store_notifications(${sql.json({ ...notification })}) #>> '{data,effect}' as effect`);
  return effect;
}

/** What the database knows of a transaction. */
export async function stored(sql: Sql, { transaction_id, environment }: StoreTransaction) {
  const row = await first(
    sql<{ owner_id: string | null; reason: string | null; credits: number | null; reversed: number }[]>`
    select t.owner_id, t.reason, t.credits::integer, (
      select coalesce(sum(r.amount), 0)::integer from credits.reversals_of(t.transfer_id) as r
    ) as reversed
    from purchases.transactions as t
    where t.environment = ${environment} and t.transaction_id = ${transaction_id}`,
  );
  return { ...row };
}

/** Makes a video that costs so many credits; it is delivered, or fails. */
export async function makeVideo(
  sql: Sql,
  userId: string,
  price: number,
  end: "completed" | "failed" = "completed",
) {
  const jobId = await acceptJob(sql, userId, { price });
  await sql`update videos.jobs set status = 'processing' where id = ${jobId}`;
  await settle(sql, jobId, end);
}

export async function setFlag(sql: Sql, name: "purchases" | "sandbox_purchases", isEnabled: boolean) {
  await sql`update ops.feature_flags set is_enabled = ${isEnabled} where key = ${name}`;
}
