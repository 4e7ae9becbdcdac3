/** What requests of admins and their answers have in common. */
import * as z from "zod/mini";
import { userText } from "../request/user-text.ts";

export const Reason = userText(500, { lines: "several", fewestCharacters: 3 });

export const UserId = z.guid().check(z.toLowerCase());

/** The most credits of one refund or adjustment. */
export const mostCredits = 10_000;

export const MovedCreditsResponse = z.object({
  success: z.literal(true),
  transaction_id: z.uuid(),
  new_balance: z.int().check(z.nonnegative()),
});
export type MovedCreditsResponse = z.infer<typeof MovedCreditsResponse>;
