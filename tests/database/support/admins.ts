/** Admins, and what is written about them. */
import { first, type Sql } from "./ledger.ts";

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
  await sql`select guard.admit_user(${id})`;
  if (credits > 0) await sql`select credits.add(${id}, ${credits}, 'grant', ${`given:${id}`})`;
  return id;
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
