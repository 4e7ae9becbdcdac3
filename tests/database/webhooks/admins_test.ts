/** Who changes webhooks, also where they had to wait for them. */
import assert from "node:assert/strict";
import { createAdmin } from "../support/admins.ts";
import { manyConnections, untilBlocked } from "../support/connections.ts";
import { first, type Sql } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { addWebhook, tell } from "../support/webhooks.ts";

const database = sharedDatabase();
const { sql } = database;

Deno.test("who is no admin any more when a webhook that they waited for is free changes nothing of it", async () => {
  const webhookId = await addWebhook(sql);
  const deliveryId = await tell(sql, webhookId);
  const calls: Record<string, (sql: Sql, admin: string) => Promise<{ error: string | null }[]>> = {
    change: (sql, admin) =>
      sql`select api.patch_admin_webhooks(
        ${admin}, 'request', ${webhookId}, 'a reason', p_sealed_secret => 'v1.bmV3') ->> 'error' as error`,
    remove: (sql, admin) =>
      sql`select api.delete_admin_webhooks(${admin}, 'request', ${webhookId}, 'a reason') ->> 'error' as error`,
    send: (sql, admin) =>
      sql`select api.post_admin_webhook_deliveries(${admin}, 'request', ${deliveryId}) ->> 'error' as error`,
  };
  for (const [name, call] of Object.entries(calls)) {
    const admin = await createAdmin(sql);
    await using others = manyConnections(database);
    let answer: Promise<{ error: string | null }[]> | undefined;
    await others.begin(async (holder) => {
      await holder`select from webhooks.webhooks as w where w.id = ${webhookId} for update`;
      answer = call(others, admin).then((rows) => rows);
      await untilBlocked(sql);
      await holder`update accounts.users set is_admin = false where id = ${admin}`;
    });
    assert.deepEqual((await answer)?.map(({ error }) => error), ["ERR_4006"], name);
  }
  const { secrets } = await first(sql`
    select count(*)::int as secrets from webhooks.secrets as s where s.webhook_id = ${webhookId}`);
  assert.equal(secrets, 1);
});
