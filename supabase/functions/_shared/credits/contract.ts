/** What the domain shows: a user's credits, and what moved them. */
import * as z from "zod/mini";

const credits = z.int().check(z.nonnegative());
const timestamp = z.iso.datetime({ precision: 3 });

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
  "merge",
] as const;

/** An entry of a user's account. */
export const Transaction = z.object({
  id: z.uuid(),
  /** Signed. */
  amount: z.int(),
  kind: z.enum(transactionKinds),
  balance_after: credits,
  job_id: z.nullable(z.uuid()),
  created_at: timestamp,
});

export const Credits = z.object({
  credits_remaining: credits,
  /** In escrow, for the jobs that run. */
  credits_held: credits,
  credits_owed: credits,
  /** Within the next 30 days, soonest first. */
  expiring: z.array(z.object({ credits: z.int().check(z.positive()), expires_at: timestamp })),
  /** A page of them, newest first. */
  transactions: z.array(Transaction),
});
export type Credits = z.infer<typeof Credits>;
