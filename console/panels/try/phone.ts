/**
 * A simulated phone: a guest of its own beside the operator, who is forgotten with the page. What only a phone has, a device
 * token and the App Store, the local stack plays.
 */
import { createClient } from "@supabase/supabase-js";
import { type CallOptions, Kinora } from "@kinora/client";
import { settings } from "../../session/session.ts";

export interface Phone {
  readonly kinora: Kinora;
  /** Signs the guest in, and checks the device. Gives what is needed to buy something. */
  start(options: CallOptions): Promise<{ credits_remaining: number; app_account_token: string }>;
  /** Buys in the simulated store, as StoreKit would; gives the signed transaction. */
  buy(product: { product_id: string; kind: string }, appAccountToken: string): Promise<string>;
}

export function newPhone(): Phone {
  const { url, publishableKey } = settings();
  const supabase = createClient(url, publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false, storageKey: "kinora.phone" },
  });
  const kept = new Map<string, string>();
  const kinora = new Kinora(supabase, {
    store: {
      getItem: (name) => kept.get(name) ?? null,
      setItem: (name, value) => void kept.set(name, value),
      removeItem: (name) => void kept.delete(name),
    },
  });
  const phone = crypto.randomUUID();
  return {
    kinora,
    start: (options) =>
      kinora.start(async () => (await askPhone<{ token: string }>("device-token", { phone })).token, options),
    async buy({ product_id, kind }, app_account_token) {
      const { signed } = await askPhone<{ signed: string }>("purchase", {
        product_id,
        kind,
        app_account_token,
      });
      return signed;
    },
  };
}

/** What the phone's system would answer. */
async function askPhone<Answer>(name: string, asked: Record<string, string>): Promise<Answer> {
  const response = await fetch(name, { method: "POST", body: JSON.stringify(asked) });
  if (!response.ok) throw new Error(`The simulated phone answered ${response.status}`);
  return await response.json();
}
