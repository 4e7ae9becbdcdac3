/** What an operator does in the demo: switches a flag, proves the ledger, reads the metrics. */
import { strict as assert } from "node:assert";
import { createClient } from "@supabase/supabase-js";
import { withConnection } from "../postgres/database.ts";
import type { Stack } from "../stack.ts";
import { step } from "./steps.ts";

/** Has half of the guests offered another model first. */
export async function switchModel(
  stack: Stack,
  models: readonly { readonly id: string; readonly name: string }[],
): Promise<void> {
  const [first, second] = models;
  assert(first && second);
  const switched = await step(
    "a flag",
    `offers half of the guests ${second.name}`,
    async () => {
      const rules = [{ split: [{ variant: "new", weight: 50 }, { variant: "old", weight: 50 }] }];
      await withConnection(stack.databaseUrl, (sql) =>
        sql`
          insert into ops.feature_flags (key, type, variants, default_variant, off_variant, rules)
          values ('first_model', 'string', ${sql.json({ old: first.id, new: second.id })}, 'old', 'old', ${
          sql.json(rules)
        })`);
      return await Promise.all(Array.from({ length: 20 }, () => modelOfGuest(stack)));
    },
    (offered) => `${offered.filter((id) => id === second.id).length} of ${offered.length} get it`,
  );
  assert.deepEqual(new Set(switched), new Set([first.id, second.id]));
}

/** Which model an app offers first to a new guest, as OpenFeature's SDKs ask it. */
async function modelOfGuest(
  { url, publishableKey }: { url: string; publishableKey: string },
): Promise<unknown> {
  const guest = createClient(url, publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  await guest.auth.signInAnonymously();
  const { data, error } = await guest.functions.invoke("flags/ofrep/v1/evaluate/flags/first_model", {
    body: { context: {} },
  });
  if (error !== null) throw error;
  return data.value;
}

export async function proveLedger(stack: Stack, creditsRemaining: number): Promise<void> {
  await step(
    "ledger's proof",
    "credits.reconcile(true)",
    () =>
      withConnection(stack.databaseUrl, async (sql) => {
        const violations = await sql`select * from credits.reconcile(true)`;
        const [sums] = await sql`
        select sum(e.amount)::int as total, count(*)::int as entries from credits.entries as e`;
        return { violations, sums };
      }),
    ({ violations, sums }) => {
      assert.deepEqual([violations.length, sums?.total], [0, 0]);
      return `${sums?.entries} entries sum to ${sums?.total}, no violation, ${creditsRemaining} credits left`;
    },
  );
}

export async function readMetrics(stack: Stack): Promise<void> {
  await step(
    "metrics",
    "GET metrics, as Prometheus asks it",
    async () => {
      const response = await fetch(`${stack.url}/functions/v1/metrics`, {
        headers: { apikey: stack.secretKey },
      });
      assert.equal(response.status, 200);
      return await response.text();
    },
    (metrics) => {
      // The sum over all labels that have this among them.
      const sumOf = (name: string, label = "") =>
        metrics.split("\n").filter((line) => line.startsWith(`${name}{`) && line.includes(label))
          .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
      const videos = sumOf("kinora_jobs_ended_last_hour", 'status="completed"');
      assert.ok(videos > 0);
      return `${videos} videos, ${sumOf("kinora_credits_moved_last_hour", 'kind="spent"')} credits spent, ` +
        `${sumOf("kinora_requests_total")} requests and ${
          sumOf("kinora_data_api_calls_total")
        } calls of the database told so far`;
    },
  );
}
