/** How generations fail, in the terms of each provider and of our registry. */
import assert from "node:assert/strict";
import type { ProviderState } from "../../../supabase/functions/_shared/videos/providers/provider.ts";
import type { Rule } from "./provider-contract.ts";

export const minute = 60_000;

/** How a generation ends, and what the adapter makes of it. */
export const endings: readonly { rule: Rule; code: string; reason?: string }[] = [
  { rule: { outcome: "failed" }, code: "ERR_5002" },
  { rule: { outcome: "content_policy" }, code: "ERR_4003", reason: "provider_policy" },
  { rule: { outcome: "result_missing" }, code: "ERR_5003", reason: "invalid_result" },
  { rule: { outcome: "result_malformed" }, code: "ERR_5003", reason: "invalid_result" },
];

export function failureOf(state: ProviderState, name: string): { code: string; reason?: string } {
  assert(state.state === "failed", `${name}: ${state.state}`);
  const { code, details: { reason }, cause } = state.failure;
  assert(!cause.includes("secret"), `${name}: ${cause}`);
  return reason === undefined ? { code } : { code, reason };
}
