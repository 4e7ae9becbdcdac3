/** Nothing that people wrote stands in an error of Postgres', and so in its log: each constraint is broken, with canaries. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { testDatabase } from "../harness.ts";
import { createGuest } from "../support/accounts.ts";
import { receiveEvent, recordStored, startVideo, submit, succeeded } from "../support/generation.ts";
import { first, rolledBack, type Sql } from "../support/ledger.ts";
import { notificationOf, notify, transactionOf } from "../support/purchases.ts";

const canary = "Qx7canary";

/** Ids and networks, written four times a request (decision 0032); and what has no text at all. */
const without = ["guard.hits", "devices.grants", "devices.intents", "accounts.exports"];

/** How each check is broken; it is told by its name. */
const broken: Record<string, string> = {
  users_display_name_check: "display_name = repeat('Qx7canary', 10)",
  users_language_check: "language = 'Qx7canary'",
  users_theme_preference_check: "theme_preference = 'Qx7canary'",
  users_tombstone: "closed_at = now()",
  users_another: "merged_into = id",
  users_accepted_processors_check: "accepted_processors = array_fill('Qx7canary'::text, array[51])",
  app_transactions_environment_check: "environment = 'Qx7canary'",
  app_transactions_app_transaction_id_check: "app_transaction_id = repeat('Qx7canary', 10)",
  submissions_check: "request_id = null",
  provider_events_effect_check: "effect = 'Qx7canary'",
  assets_bytes_check: "bytes = 0",
  identity_notifications_notification_id_check: "notification_id = repeat('Qx7canary', 30)",
  identity_notifications_type_check: "type = repeat('Qx7canary', 12)",
  identity_notifications_subject_check: "subject = repeat('Qx7canary', 30)",
  deliveries_reason_check: "reason = repeat('Qx7canary', 60)",
  deliveries_end: "outcome = null",
  projects_job_count_check: "job_count = -1",
  uploads_content_type_check: "content_type = 'Qx7canary'",
  uploads_bytes_check: "bytes = 0",
  uploads_told: "bytes = null",
  uploads_found: "status = 'ready'",
  cases_appeal_check: "appeal = repeat('Qx7canary', 300)",
  cases_due: "due_at = now(), status = 'kept', ground = null, appealed_at = null",
  cases_ground: "status = 'removed', ground = null",
  cases_appeal: "status = 'appealed', ground = 'hate', appealed_at = null",
  reports_details_check: "details = repeat('Qx7canary', 300)",
  notices_contact_check: "contact = repeat('Qx7canary', 30)",
  notices_statement_check: "statement = repeat('Qx7canary', 500)",
};

const purchases: Record<string, string> = {
  notifications_type_check: "type = ''",
  notifications_subtype_check: "subtype = ''",
  notifications_transaction_id_check: "transaction_id = ''",
  transactions_transaction_id_check: "transaction_id = ''",
  transactions_original_transaction_id_check: "original_transaction_id = ''",
  transactions_product_id_check: "product_id = ''",
  transactions_kind_check: "kind = 'another'",
  transactions_quantity_check: "quantity = 0",
  transactions_revocation_type_check: "revocation_type = 'another'",
  transactions_revocation_percentage_check: "revocation_percentage = -1",
  transactions_price_milliunits_check: "price_milliunits = -1",
  transactions_currency_check: "currency = 'another'",
  transactions_app_transaction_id_check: "app_transaction_id = repeat('Qx7canary', 9)",
  transactions_credits_check:
    "credits = -1, credited_at = now(), reason = null, owner_id = gen_random_uuid()",
  transactions_credited_or_not: "reason = null",
};

const adminActions: Record<string, string> = {
  admin_actions_amount_check: "action = 'adjust_credits', transfer_id = gen_random_uuid(), amount = 0",
  admin_actions_reason_check: "reason = repeat('Qx7canary', 60)",
  admin_actions_check: "amount = 1",
  admin_actions_check1: "action = 'enable_model'",
  admin_actions_check2: "user_id = null",
  admin_actions_check3: "job_id = gen_random_uuid()",
  admin_actions_subject_check: "user_id = null, subject = repeat('Qx7canary', 40)",
};

async function errorOf(sql: Sql, statement: string): Promise<postgres.PostgresError> {
  let thrown: unknown;
  await (sql as postgres.TransactionSql).savepoint((sql) => sql.unsafe(statement)).catch((error) =>
    thrown = error
  );
  assert(thrown instanceof postgres.PostgresError, `${statement} was taken`);
  return thrown;
}

Deno.test("a row that breaks a constraint is not told, whatever people wrote into it", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const userId = await createGuest(database, 100);
  const jobId = await startVideo(sql, userId);
  await receiveEvent(sql, await submit(sql, jobId), succeeded);
  await recordStored(sql, jobId);
  await startVideo(sql, userId);
  await sql`
    select devices.note_app_transaction(${userId}, '{"environment": "sandbox", "app_transaction_id": "7"}')`;
  await sql`
    insert into guard.idempotency_keys (caller, endpoint, key, fingerprint, outcome, expires_at)
    values (${userId}, 'e', 'k', 'f', '{}', now())`;
  await sql`
    insert into ops.admin_actions (action, user_id, reason, created_at) values ('ban', ${userId}, 'a reason', now())`;

  await sql`
    insert into accounts.identity_notifications (notification_id, type, subject, event_at, received_at, user_id, effect)
    values ('n', 'consent-revoked', 's', now(), now(), ${userId}, 'unlinked')`;
  await sql`select notify.deliver(d.id) from events.deliveries as d`;
  await sql`update events.deliveries set outcome = 'dropped', reason = 'a reason'`;
  await sql`insert into videos.projects (user_id, name, created_at) values (${userId}, 'Winter', now())`;
  await sql`
    insert into videos.uploads (owner_id, content_type, bytes, folder, created_at, expires_at)
    values (${userId}, 'image/png', 1, 'f', now(), now())`;

  const { id: caseId } = await first(sql<{ id: string }[]>`
    insert into safety.cases (job_id, opened_at) values (${jobId}, now()) returning id`);
  await sql`
    insert into safety.reports (case_id, user_id, reason, created_at) values (${caseId}, ${userId}, 'hate', now())`;
  await sql`
    insert into safety.notices (case_id, contact, statement, received_at) values (${caseId}, 'ada', 'mine', now())`;
  await sql`insert into safety.holds (user_id, held_at) values (${userId}, now())`;

  await notify(sql, notificationOf("ONE_TIME_CHARGE", transactionOf({ app_transaction_id: "7" })));

  const tables = await sql<{ name: string }[]>`
    select distinct c.relation as name from accounts.privacy_classes as c
    where (c.class in ('blanked', 'erased') or c.relation in ('ops.admin_actions', 'safety.notices'))
      and c.relation not in ${sql(without)} order by 1`;
  assert(tables.length > 7);
  const seen: string[] = [];
  for (const { name } of tables) {
    const columns = await sql<{ name: string; required: boolean; is_text: boolean; is_json: boolean }[]>`
      select a.attname as name, a.attnotnull and a.attidentity = '' as required, a.atttypid = 'text'::regtype as is_text,
        a.atttypid = 'jsonb'::regtype as is_json
      from pg_attribute as a where a.attrelid = ${name}::regclass and a.attnum > 0 and not a.attisdropped`;
    await rolledBack(sql, async (sql) => {
      if (name === "ops.admin_actions") await sql`alter table ops.admin_actions disable trigger append_only`;
      const row = `where ctid = (select ctid from ${name} as t
        ${name === "videos.jobs" ? "where completed_at is not null" : ""} ${
        name === "videos.submissions" ? "where state = 'ended'" : ""
      } limit 1)`;
      const mark = async (changes: string) =>
        (await sql.savepoint((sql) => sql.unsafe(`update ${name} set ${changes} ${row}`))).count;
      // A canary in each text that takes one.
      const marked: string[] = [];
      for (const { name, is_text, is_json } of columns) {
        if (!is_text && !is_json) continue;
        const change = `${name} = '${is_json ? JSON.stringify({ a: canary }) : canary}'`;
        if (await mark(change).catch(() => 0) === 1) marked.push(change);
      }
      assert(marked.length > 0, `${name} has no row to try with`);

      for (const { name: column, required } of columns) {
        if (!required) continue;
        const error = await errorOf(
          sql,
          `update ${name} set ${column} = null where ctid = any (array(
          select ctid from ${name} as t where t::text like '%${canary}%'))`,
        );
        assert.equal(error.code, "23502", `${name}.${column}: ${error.message}`);
        assert(
          !JSON.stringify({ ...error, message: error.message }).includes(canary),
          `${name}.${column} tells the row`,
        );
        assert.equal(error.detail, undefined, `${name}.${column}`);
      }
      const checks = await sql<{ check: string }[]>`
        select c.conname as check from pg_constraint as c where c.conrelid = ${name}::regclass and c.contype = 'c'`;
      for (const { check } of checks) {
        seen.push(check);
        const change = { ...broken, ...purchases, ...adminActions }[check];
        assert(change !== undefined, `say how ${check} is broken`);
        const error = await errorOf(
          sql,
          `update ${name} set ${change} where ctid = any (array(
          select ctid from ${name} as t where t::text like '%${canary}%'))`,
        );
        assert.deepEqual([error.code, error.constraint_name], ["23514", check], error.message);
        assert(
          !JSON.stringify({ ...error, message: error.message }).includes(canary),
          `${check} tells the row`,
        );
        assert.equal(error.detail, undefined, check);
      }
    });
  }
  const known = [broken, purchases, adminActions].flatMap(Object.keys);
  assert.deepEqual(known.filter((check) => !seen.includes(check)), [], "constraints that are gone");
});
