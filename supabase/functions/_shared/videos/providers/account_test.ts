/** What the adapters make of what providers say of our account. */
import assert from "node:assert/strict";
import { testConfig } from "../../testing/config.ts";
import { broken, type FakeAnswer, fakeFetch, gatewayPage, json } from "../../testing/fake-fetch.ts";
import { providers } from "./registry.ts";
import type { ProviderAccount } from "./provider.ts";

const config = testConfig({
  FAL_KEY: "id:secret",
  FAL_ACCOUNT_ID: "user_1",
  RUNWAY_API_SECRET: "key_secret",
  REPLICATE_API_TOKEN: "r8_token",
  REPLICATE_WEBHOOK_SECRET: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
});

/** What the provider says, and the paths that it was asked for. */
async function ask(
  name: string,
  ...answers: FakeAnswer[]
): Promise<[ProviderAccount | null | undefined, string[]]> {
  const { sent, fetch } = fakeFetch(...answers);
  const account = await providers(config, fetch).get(name)?.account?.("2026-11-30");
  return [
    account,
    sent.map(({ method, url, body }) => {
      const { pathname, search } = new URL(url);
      return `${method} ${pathname}${search}${body === null ? "" : ` ${JSON.stringify(body)}`}`;
    }),
  ];
}

const balance = json({ username: "kinora", credits: { current_balance: 24.5, currency: "USD" } });
const usage = json({
  has_more: false,
  summary: [{ quantity: 3, unit_price: 0.35 }, { quantity: 8, unit_price: 0.1, cost_total: 0.72 }],
});

Deno.test("fal says what is left, and what a day cost, after discounts", async () => {
  const [account, asked] = await ask("fal", balance, usage);
  assert.deepEqual(account, { balanceCents: 2450, isLocked: false, billedCents: 177 });
  assert.deepEqual(asked, [
    "GET /v1/account/billing?expand=credits",
    "GET /v1/models/usage?start=2026-11-30&end=2026-12-01&timezone=UTC&expand=summary",
  ]);
});

Deno.test("Runway says what is left, and what a day cost, in credits of a cent", async () => {
  const used = (date: string, ...amounts: number[]) => ({
    date,
    usedCredits: amounts.map((amount) => ({ amount, model: "veo3.1" })),
  });
  const results = json({ models: ["veo3.1"], results: [used("2026-11-29", 7), used("2026-11-30", 100, 20)] });
  const [account, asked] = await ask("runway", json({ creditBalance: 730, tier: {}, usage: {} }), results);
  assert.deepEqual(account, { balanceCents: 730, isLocked: false, billedCents: 120 });
  assert.deepEqual(asked, [
    "GET /v1/organization",
    'POST /v1/organization/usage {"startDate":"2026-11-30","beforeDate":"2026-12-01"}',
  ]);
});

Deno.test("an account that fal has locked is known as such; a key that may not ask says nothing", async () => {
  const locked = json({ detail: "User is locked. Reason: Exhausted balance." }, 403);
  assert.deepEqual((await ask("fal", locked))[0], { balanceCents: null, isLocked: true, billedCents: null });
  for (const answer of [json({ detail: "This needs an Admin API key" }, 403), json({ detail: "no" }, 401)]) {
    assert.equal((await ask("fal", answer))[0], null);
    assert.equal((await ask("runway", answer))[0], null);
  }
});

Deno.test("what is no answer of the provider's changes nothing: nobody is told of a balance that nobody said", async () => {
  const answers = [
    gatewayPage(502),
    json({}),
    json({ credits: { current_balance: "24.5", currency: "USD" } }),
    json({ credits: { current_balance: 24.5, currency: "EUR" } }),
    json({ creditBalance: null }),
    broken("connection refused"),
  ];
  for (const answer of answers) {
    for (const name of ["fal", "runway"]) assert.equal((await ask(name, answer))[0], null, name);
  }
  for (const answer of [gatewayPage(500), json({}), json({ summary: [{}] })]) {
    assert.deepEqual((await ask("fal", balance, answer))[0], {
      balanceCents: 2450,
      isLocked: false,
      billedCents: null,
    });
  }
});

Deno.test("Replicate says nothing of an account", async () => {
  assert.equal((await ask("replicate"))[0], undefined);
});
