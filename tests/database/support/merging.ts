/** Guests who become somebody, as merge-guest makes them. */
import type { TestDatabase } from "../harness.ts";
import { createGuest } from "./accounts.ts";
import { signUp } from "./admins.ts";
import { add, first, type Sql } from "./ledger.ts";

export interface MergeAnswer {
  data?: {
    user_id: string;
    merged_user_id: string;
    credits_moved: number;
    jobs_moved: number;
    credits_remaining: number;
  };
  error?: string;
  details?: { status?: string; fields?: { path: string }[] };
}

/** A guest with a session, and so many credits. */
export async function signedInGuest(database: TestDatabase, credits = 10) {
  const id = await createGuest(database, credits);
  const { session } = await first(database.sql<{ session: string }[]>`
    select s.id as session from auth.sessions as s where s.user_id = ${id}`);
  return { id, session };
}
export type SignedInGuest = Awaited<ReturnType<typeof signedInGuest>>;

/** Somebody with an account of their own, and so many credits. */
export async function createHeir(sql: Sql, credits = 0): Promise<string> {
  const id = await signUp(sql);
  await sql`select accounts.admit(${id})`;
  if (credits > 0) await add(sql, id, credits);
  return id;
}

/** As the endpoint calls it for a token that Auth signed for the guest's session. */
export async function mergeGuest(
  sql: Sql,
  heirId: string,
  { id, session }: SignedInGuest,
  isFresh = true,
): Promise<MergeAnswer> {
  const { answer } = await first(sql<{ answer: MergeAnswer }[]>`
    select api.merge_guest(${heirId}, ${id}, ${session}, ${isFresh}) as answer`);
  return answer;
}
