import * as z from "zod/mini";
import { pageQuery } from "../_shared/request/cursor.ts";
import { transactionKinds } from "../_shared/database/credits.ts";

export const CreditsQuery = z.strictObject(pageQuery);
export type CreditsQuery = z.infer<typeof CreditsQuery>;

/** What a cursor holds: the number of the last transaction that was shown. */
export const CreditsPosition = z.strictObject({ number: z.int().check(z.positive()) });

const credits = z.int().check(z.nonnegative());
const timestamp = z.iso.datetime({ precision: 3 });

export const CreditsResponse = z.object({
  credits_remaining: credits,
  credits_held: credits,
  credits_owed: credits,
  expiring: z.array(z.object({ credits: z.int().check(z.positive()), expires_at: timestamp })),
  transactions: z.array(z.object({
    id: z.uuid(),
    amount: z.int(),
    kind: z.enum(transactionKinds),
    balance_after: credits,
    job_id: z.nullable(z.uuid()),
    created_at: timestamp,
  })),
  next_cursor: z.nullable(z.string()),
});
export type CreditsResponse = z.infer<typeof CreditsResponse>;
