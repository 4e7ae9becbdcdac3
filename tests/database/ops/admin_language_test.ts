/** That an admin reads why something is not done in their own language, whatever the device's. */
import assert from "node:assert/strict";
import { schemaFiles } from "../../../tools/schemas.ts";
import { createAdmin } from "../support/admins.ts";
import { first, type Sql } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const { sql } = sharedDatabase();

type Refused = PromiseLike<readonly { readonly answer: { error?: string; language?: string } }[]>;

const nothing = crypto.randomUUID();

/** What each procedure refuses of what is not there, or not so. */
const refused: Readonly<Record<string, (sql: Sql, admin: string) => Refused>> = {
  admin_adjust_credits: (sql, admin) =>
    sql`select api.admin_adjust_credits(${admin}, 'a', 'f', 'request', ${nothing}, 1, 'a test') as answer`,
  admin_refund_credits: (sql, admin) =>
    sql`select api.admin_refund_credits(${admin}, 'a', 'f', 'request', ${nothing}, 1, 'a test', null) as answer`,
  patch_admin_alerts: (sql, admin) =>
    sql`select api.patch_admin_alerts(${admin}, 'request', 'a test', ${nothing}, true) as answer`,
  patch_admin_flags: (sql, admin) =>
    sql`select api.patch_admin_flags(${admin}, 'request', 'nothing', 'a test') as answer`,
  get_admin_jobs: (sql, admin) =>
    sql`select api.get_admin_jobs(${admin}, 20, p_job_id => ${nothing}) as answer`,
  post_admin_jobs: (sql, admin) =>
    sql`select api.post_admin_jobs(${admin}, 'request', ${nothing}, 'a test') as answer`,
  patch_admin_limits: (sql, admin) =>
    sql`select api.patch_admin_limits(${admin}, 'request', 'nothing', 'a test') as answer`,
  patch_admin_models: (sql, admin) =>
    sql`select api.patch_admin_models(${admin}, 'request', ${nothing}, true, 'a test') as answer`,
  patch_admin_products: (sql, admin) =>
    sql`select api.patch_admin_products(${admin}, 'request', 'nothing', 'a test') as answer`,
  post_admin_queue: (sql, admin) =>
    sql`select api.post_admin_queue(${admin}, 'request', 0, 'a test') as answer`,
  patch_admin_reports: (sql, admin) =>
    sql`select api.patch_admin_reports(${admin}, 'request', ${nothing}, 'keep', 'a test') as answer`,
  get_admin_users: (sql, admin) => sql`select api.get_admin_users(${admin}, ${nothing}) as answer`,
  post_admin_users: (sql, admin) =>
    sql`select api.post_admin_users(${admin}, 'request', ${admin}, 'ban', 'a test') as answer`,
  post_admin_webhook_deliveries: (sql, admin) =>
    sql`select api.post_admin_webhook_deliveries(${admin}, 'request', ${nothing}) as answer`,
  patch_admin_webhooks: (sql, admin) =>
    sql`select api.patch_admin_webhooks(${admin}, 'request', ${nothing}, 'a test') as answer`,
  delete_admin_webhooks: (sql, admin) =>
    sql`select api.delete_admin_webhooks(${admin}, 'request', ${nothing}, 'a test') as answer`,
};

for (const [name, call] of Object.entries(refused)) {
  Deno.test(`${name} refuses in the admin's language`, async () => {
    const admin = await createAdmin(sql);
    await sql`update accounts.users set language = 'tr' where id = ${admin}`;
    const { answer } = await first(call(sql, admin));
    assert(answer.error);
    assert.equal(answer.language, "tr");
  });
}

Deno.test("each procedure whose caller is known refuses in their language", async () => {
  for (const { path, text } of await schemaFiles()) {
    for (const procedure of text.split(/^create function /m).filter((each) => each.includes("v_caller"))) {
      const refusals = procedure.match(/return (guard\.refusal|accounts\.refuse_guest_token)\([^;]*;/g) ?? [];
      assert.deepEqual(refusals.filter((each) => !each.includes("v_caller.language")), [], path);
    }
  }
});
