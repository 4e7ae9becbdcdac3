/** The operator's procedures, as the admin endpoints call them. */
import { acceptJob, settle } from "./jobs.ts";
import { first, type Sql } from "./ledger.ts";
import type { Limit } from "./rate-limits.ts";

export interface AdminAnswer<Data> {
  data?: Data;
  error?: string;
  details?: Record<string, unknown>;
  limits?: Limit[];
  replayed?: boolean;
  language?: string;
}

export interface Moved {
  transaction_id: string;
  new_balance: number;
}

export interface UserJson {
  user: Record<string, unknown>;
  guests: string[];
  legal_hold: { held_at: string } | null;
  credits: { remaining: number; held: number; owed: number };
  jobs: Record<string, number>;
  recent_actions: {
    id: string;
    action: string;
    admin_id: string | null;
    amount: number | null;
    reason: string;
    job_id: string | null;
    created_at: string;
  }[];
}

/** Signs up somebody with an e-mail address, as the platform's Auth does. */
export async function signUp(sql: Sql): Promise<string> {
  const id = crypto.randomUUID();
  await sql`insert into auth.users (id, is_anonymous, email) values (${id}, false, ${`${id}@example.com`})`;
  return id;
}

export async function makeAdmin(sql: Sql, userId: string): Promise<string> {
  const { said } = await first(sql<{ said: string }[]>`select ops.make_admin(${userId}) as said`);
  return said;
}

export async function createAdmin(sql: Sql): Promise<string> {
  const id = await signUp(sql);
  await makeAdmin(sql, id);
  return id;
}

/** A user whom we know, with so many credits. */
export async function createCustomer(sql: Sql, credits = 0): Promise<string> {
  const id = crypto.randomUUID();
  await sql`insert into auth.users (id, is_anonymous) values (${id}, true)`;
  await sql`select accounts.admit(${id})`;
  if (credits > 0) await sql`select credits.add(${id}, ${credits}, 'grant', ${`given:${id}`})`;
  return id;
}

/** A job of 4 credits, in the hands of a provider or done. */
export async function customersJob(
  sql: Sql,
  userId: string,
  status: "processing" | "completed",
): Promise<string> {
  const jobId = await acceptJob(sql, userId);
  await sql`update videos.jobs set status = 'processing' where id = ${jobId}`;
  if (status === "completed") await settle(sql, jobId, status);
  return jobId;
}

/** No admin's limit of requests is in the way; its row would also queue their calls, as only the limit of credits must. */
export async function removeAdminLimit(sql: Sql): Promise<void> {
  await sql`delete from guard.policies where name = 'admin'`;
}

interface Call {
  key?: string;
  fingerprint?: string;
  reason?: string;
}

export async function refund(
  sql: Sql,
  adminId: string,
  userId: string,
  amount: number,
  { jobId = null, key = crypto.randomUUID(), fingerprint = "f", reason = "it flickers" }:
    & Call
    & { jobId?: string | null } = {},
): Promise<AdminAnswer<Moved>> {
  const { answer } = await first(sql<{ answer: AdminAnswer<Moved> }[]>`
    select api.admin_refund_credits(
      ${adminId}, ${key}, ${fingerprint}, 'request', ${userId}, ${amount}, ${reason}, ${jobId}
    ) as answer`);
  return answer;
}

export async function adjust(
  sql: Sql,
  adminId: string,
  userId: string,
  amount: number,
  { key = crypto.randomUUID(), fingerprint = "f", reason = "a contest" }: Call = {},
): Promise<AdminAnswer<Moved>> {
  const { answer } = await first(sql<{ answer: AdminAnswer<Moved> }[]>`
    select api.admin_adjust_credits(
      ${adminId}, ${key}, ${fingerprint}, 'request', ${userId}, ${amount}, ${reason}
    ) as answer`);
  return answer;
}

export async function readUser(sql: Sql, adminId: string, userId: string): Promise<AdminAnswer<UserJson>> {
  const { answer } = await first(sql<{ answer: AdminAnswer<UserJson> }[]>`
    select api.get_admin_users(${adminId}, ${userId}) as answer`);
  return answer;
}

export async function ban(
  sql: Sql,
  adminId: string,
  userId: string,
  action: "ban" | "unban" = "ban",
): Promise<AdminAnswer<UserJson>> {
  const { answer } = await first(sql<{ answer: AdminAnswer<UserJson> }[]>`
    select api.post_admin_users(${adminId}, 'request', ${userId}, ${action}, 'for a reason') as answer`);
  return answer;
}

export async function changeModel(
  sql: Sql,
  adminId: string,
  modelId: string,
  isAvailable: boolean,
): Promise<AdminAnswer<{ id: string; is_available: boolean }>> {
  const { answer } = await first(sql<{ answer: AdminAnswer<{ id: string; is_available: boolean }> }[]>`
    select api.patch_admin_models(${adminId}, 'request', ${modelId}, ${isAvailable}, 'for a reason') as answer`);
  return answer;
}

export interface ActionRow {
  action: string;
  admin_id: string | null;
  user_id: string | null;
  model_id: string | null;
  amount: number | null;
  transfer_id: string | null;
  job_id: string | null;
  reason: string;
  request_id: string | null;
}

/** What is written about a user or model, oldest first. */
export async function actionsAbout(sql: Sql, subject: string): Promise<ActionRow[]> {
  const rows = await sql<ActionRow[]>`
    select a.action, a.admin_id, a.user_id, a.model_id, a.amount::integer, a.transfer_id, a.job_id, a.reason,
      a.request_id
    from ops.admin_actions as a
    where ${subject} in (a.user_id, a.model_id)
    order by a.created_at, a.id`;
  return rows.map((row) => ({ ...row }));
}

export const codeOf = ({ error }: AdminAnswer<unknown>): string => error ?? "data";
