/** What Runway says of our account: `GET /v1/organization` and `POST /v1/organization/usage`, as its own SDK has them. */
import * as z from "zod/mini";
import type { RunwayConfig } from "../../../platform/config.ts";
import { tryParseJson } from "../../../platform/json.ts";
import { type Exchanges, isSuccess } from "../exchanges.ts";
import type { ProviderAccount } from "../provider.ts";

const organization = z.object({ creditBalance: z.number() });
const usage = z.object({
  results: z.array(z.object({ date: z.string(), usedCredits: z.array(z.object({ amount: z.number() })) })),
});

/** What is left, and what `day` cost. One of Runway's credits is one US cent. An account without any is not locked: it is empty. */
export async function readRunwayAccount(
  runway: Exchanges,
  { apiUrl }: Pick<RunwayConfig, "apiUrl">,
  day: string,
): Promise<ProviderAccount | null> {
  const account = await runway.look(`${apiUrl}/v1/organization`);
  const left = account !== null && isSuccess(account)
    ? organization.safeParse(tryParseJson(account.text)).data
    : undefined;
  if (left === undefined) return null;
  const beforeDate = new Date(Date.parse(day) + 24 * 60 * 60_000).toISOString().slice(0, 10);
  const used = await runway.look(`${apiUrl}/v1/organization/usage`, { startDate: day, beforeDate });
  const results = used !== null && isSuccess(used)
    ? usage.safeParse(tryParseJson(used.text)).data?.results
    : undefined;
  const billedCents = results?.filter(({ date }) => date === day).flatMap(({ usedCredits }) => usedCredits)
    .reduce((sum, { amount }) => sum + amount, 0);
  return { balanceCents: left.creditBalance, isLocked: false, billedCents: billedCents ?? null };
}
