/** The procedure behind credits. */
import type { Port } from "../endpoint/context.ts";
import type { JsonValue } from "../platform/json.ts";
import { procedures } from "./procedures.ts";

/** What moves a user's balance; a capture does not, since its hold did. */
export const transactionKinds = [
  "grant",
  "purchase",
  "hold",
  "release",
  "refund",
  "adjustment",
  "expiry",
  "reversal",
  "debt_payment",
] as const;

export interface Transaction {
  id: string;
  /** Signed. */
  amount: number;
  kind: (typeof transactionKinds)[number];
  balance_after: number;
  job_id: string | null;
  created_at: string;
}

export interface CreditsPage {
  credits_remaining: number;
  /** In escrow, for the jobs that run. */
  credits_held: number;
  credits_owed: number;
  /** Within the next 30 days, soonest first. */
  expiring: { credits: number; expires_at: string }[];
  /** Newest first. */
  transactions: Transaction[];
  /** Where the next page begins; null at the end. */
  next: JsonValue;
}

export interface CreditsDatabase {
  /** A page of transactions from a position that an earlier page told. Throws ERR_4004, 4005 and 4017. */
  listCredits(userId: string, page: { limit: number; after: JsonValue }): Promise<CreditsPage>;
}

export const credits: Port<CreditsDatabase> = (runtime) => {
  const call = procedures(runtime);
  return {
    listCredits: (userId, { limit, after }) =>
      call("credits", { p_user_id: userId, p_limit: limit, p_after: after }),
  };
};
