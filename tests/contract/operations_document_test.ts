import assert from "node:assert/strict";
import { withConnection } from "../../local/postgres/database.ts";
import { variables } from "../../supabase/functions/_shared/platform/config-variables.ts";
import { cloneTemplate } from "../database/harness.ts";
import { createAdmin } from "../database/support/admins.ts";
import { claimAndGrant } from "../database/support/devices.ts";
import { receiveEvent, recordStored, startVideo, submit, succeeded } from "../database/support/generation.ts";
import { first, rolledBack } from "../database/support/ledger.ts";
import { listFiles } from "../files.ts";
import { readDocument, root, tableRows } from "./documents.ts";

const operations = await readDocument("docs/operations.md");
const pages = (await listFiles(root, "docs/operations/")).filter((path) => path.endsWith(".md"));
const text = [operations, ...await Promise.all(pages.map(readDocument))].map(({ text }) => text).join("\n");

/** The queries, those within lists included. */
function queries(): string[] {
  return Array.from(text.matchAll(/^( *)```sql\n(.*?)^\1```$/gms), ([, , query = ""]) => query);
}

Deno.test("the queries of docs/operations.md and docs/operations/ run, and find what they ask for", async () => {
  await using database = await cloneTemplate();
  assert.ok(queries().length > 10);
  await withConnection(database.url, (sql) =>
    rolledBack(sql, async (sql) => {
      const made = await startVideo(sql);
      await receiveEvent(sql, await submit(sql, made), succeeded);
      await recordStored(sql, made);
      const jobId = await startVideo(sql);
      assert(await claimAndGrant(sql, "192.0.2.1"));
      const job = await first(sql<{ user_id: string; request_id: string }[]>`
        select user_id, request_id from videos.jobs where id = ${jobId}`);
      const transactionId = "3000000000000001";
      await sql`
        insert into purchases.transactions (
          environment, transaction_id, original_transaction_id, product_id, kind, quantity, purchased_at, signed_at,
          is_family_shared, is_upgraded, is_free_trial, owner_id, reason, created_at
        )
        values ('production', ${transactionId}, ${transactionId}, 'credits_10', 'consumable', 1, now(), now(), false, false,
          false, ${job.user_id}, 'unknown_product', now())`;
      await sql`
        with period as (
          insert into purchases.transactions (
            environment, transaction_id, original_transaction_id, product_id, kind, quantity, purchased_at, expires_at,
            signed_at, is_family_shared, is_upgraded, is_free_trial, owner_id, reason, created_at
          )
          values ('production', '3000000000000002', '3000000000000002', 'plus_monthly', 'subscription', 1, now(),
            now() + interval '30 days', now(), false, false, false, ${job.user_id}, 'unknown_product', now())
          returning *
        )
        insert into purchases.subscriptions (environment, original_transaction_id, owner_id, created_at)
        select p.environment, p.original_transaction_id, p.owner_id, p.created_at from period as p`;
      await sql`select ops.make_report(r) from unnest('{weekly 2026-11-16,monthly 2026-10-01}'::text[]) as r`;
      const adminId = await createAdmin(sql);
      const webhookId = crypto.randomUUID();
      await sql`select webhooks.add(${webhookId}, 'https://hooks.example.com/', '{alert.raised}', 'v1.eA==')`;
      await sql`
        select events.end_delivery(events.tell('webhook.test', '{}', 'webhook', ${webhookId}), 'dead', 'it answered 500')`;
      // Two cases: the page decides one.
      const { id: caseId } = await first(sql<{ id: string }[]>`
        insert into safety.cases (job_id, opened_at)
        select j.id, now() from (values (${jobId}::uuid), (gen_random_uuid())) as j (id)
        returning id`);
      for (const query of queries()) {
        const statements = query
          .replaceAll("<job id>", jobId)
          .replaceAll("<user id>", job.user_id)
          .replaceAll("<admin id>", adminId)
          .replaceAll("<webhook id>", webhookId)
          .replaceAll("<case id>", caseId)
          .replaceAll("<request id>", job.request_id)
          .replaceAll("<transaction id>", transactionId)
          .split(/;\n/).filter((statement) => statement.trim() !== "");
        for (const statement of statements) {
          const { count } = await sql.unsafe(statement);
          // Nothing is due, has failed or was counted here yet, nobody was an admin, and the ledger is sound.
          const mayFindNothing =
            /failures|metric_|errors_last_hour|error_figures|open_alerts|alert_changes|alert_actions|incident_log|late_successes|admin_log|reconcile|3 days|queue.tasks|set_aside/
              .test(
                statement,
              );
          assert(count > 0 || mayFindNothing, statement);
        }
      }
    }));
});

Deno.test("docs/operations.md says of every secret how it is rotated", () => {
  const secrets = Object.entries(variables).filter(([, { kind }]) => kind === "secret").map(([name]) => name);
  assert.deepEqual(tableRows(operations, "secret").map(([name]) => name), secrets);
});

Deno.test("docs/operations.md and docs/operations/ name every view that the operator has", async () => {
  await using database = await cloneTemplate();
  const views = await withConnection(database.url, (sql) =>
    sql<{ name: string }[]>`
      select c.relname as name from pg_class as c where c.relnamespace = 'ops'::regnamespace and c.relkind = 'v'`);
  assert.ok(views.length > 0);
  for (const { name } of views) assert(text.includes(`ops.${name}`), name);
});
