/** What fal says of our account, by its Platform APIs: https://fal.ai/docs/platform-apis/v1/account/billing. */
import * as z from "zod/mini";
import type { FalConfig } from "../../../platform/config.ts";
import type { BoundedAnswer } from "../../../platform/bounded-fetch.ts";
import { tryParseJson } from "../../../platform/json.ts";
import { type Exchanges, isSuccess } from "../exchanges.ts";
import type { ProviderAccount } from "../provider.ts";

const billing = z.object({ credits: z.object({ current_balance: z.number(), currency: z.literal("USD") }) });
/** The form is assumed: fal's document tells the members of an item, and not where they stand. */
const usage = z.object({
  summary: z.array(z.object({
    quantity: z.number(),
    unit_price: z.number(),
    /** After discounts; older answers have none. */
    cost_total: z.optional(z.number()),
  })),
});
const refusal = z.object({ detail: z.string() });

const isLocked = ({ status, text }: BoundedAnswer) =>
  status === 403 && /\blocked\b/i.test(refusal.safeParse(tryParseJson(text)).data?.detail ?? "");

/**
 * What is left, and what `day` cost. fal tells both only to a key of the scope Admin: with another one nothing is known but
 * whether the account is locked.
 */
export async function readFalAccount(
  fal: Exchanges,
  { apiUrl }: Pick<FalConfig, "apiUrl">,
  day: string,
): Promise<ProviderAccount | null> {
  const account = await fal.look(`${apiUrl}/account/billing?expand=credits`);
  if (account === null) return null;
  if (isLocked(account)) return { balanceCents: null, isLocked: true, billedCents: null };
  const left = isSuccess(account) ? billing.safeParse(tryParseJson(account.text)).data : undefined;
  if (left === undefined) return null;
  const query = new URLSearchParams({ start: day, end: dayAfter(day), timezone: "UTC", expand: "summary" });
  const used = await fal.look(`${apiUrl}/models/usage?${query}`);
  const items = used !== null && isSuccess(used)
    ? usage.safeParse(tryParseJson(used.text)).data?.summary
    : undefined;
  const dollars = items?.reduce(
    (sum, { quantity, unit_price, cost_total }) => sum + (cost_total ?? quantity * unit_price),
    0,
  );
  return {
    balanceCents: centsOf(left.credits.current_balance),
    isLocked: false,
    billedCents: dollars === undefined ? null : centsOf(dollars),
  };
}

/** To a hundredth of a cent: sums of binary fractions are not exact. */
function centsOf(dollars: number): number {
  return Math.round(dollars * 10_000) / 100;
}

function dayAfter(day: string): string {
  return new Date(Date.parse(day) + 24 * 60 * 60_000).toISOString().slice(0, 10);
}
