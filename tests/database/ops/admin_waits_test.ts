/** Who is no admin any more when what they waited for is free. */
import assert from "node:assert/strict";
import { createAdmin } from "../support/admins.ts";
import { manyConnections, untilBlocked } from "../support/connections.ts";
import { cheapModel } from "../support/jobs.ts";
import { first, type Sql } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;

type Answer = readonly { readonly error: string | null }[];

interface Waiting {
  /** Takes what the call waits for. */
  readonly hold: (holder: Sql) => Promise<unknown>;
  readonly call: (sql: Sql, admin: string) => Promise<Answer>;
}

const waits: Readonly<Record<string, Waiting>> = {
  "a flag": {
    hold: (holder) => holder`select from ops.feature_flags as f where f.key = 'generation' for update`,
    call: (sql, admin) =>
      sql`select api.patch_admin_flags(${admin}, 'request', 'generation', 'a test', false) ->> 'error' as error`,
  },
  "a limit": {
    hold: (holder) => holder`select from guard.policies as p where p.name = 'reads' for update`,
    call: (sql, admin) =>
      sql`select api.patch_admin_limits(${admin}, 'request', 'reads', 'a test', 7) ->> 'error' as error`,
  },
  "a model": {
    hold: (holder) => holder`select from videos.models as m where m.id = ${cheapModel} for update`,
    call: (sql, admin) =>
      sql`select api.patch_admin_models(${admin}, 'request', ${cheapModel}, false, 'a test') ->> 'error' as error`,
  },
  "a rule of alerts": {
    hold: (holder) => holder`select from ops.alert_rules as r where r.name = 'spending' for update`,
    call: (sql, admin) =>
      sql`select api.patch_admin_alerts(${admin}, 'request', 'a test', p_rule => 'spending', p_warning => 1) ->> 'error' as error`,
  },
  "those who add products": {
    hold: (holder) => holder`lock table purchases.products in share row exclusive mode`,
    call: (sql, admin) =>
      sql`select api.post_admin_products(
        ${admin}, 'request', 'another', 'consumable', 'A pack', 'Of credits', 1, 'a test') ->> 'error' as error`,
  },
  "a product": {
    hold: (holder) => holder`update purchases.products set credits = 2 where product_id = 'credits_10'`,
    call: (sql, admin) =>
      sql`select api.patch_admin_products(
        ${admin}, 'request', 'credits_10', 'a test', p_credits => 1) ->> 'error' as error`,
  },
  "a dead letter": {
    hold: async (holder) => {
      await sql`
        insert into queue.tasks (id, kind, subject, priority, place, run_at, created_at, failed_at) overriding system value
        values (0, 'delete_files', gen_random_uuid(), 5, 0, core.now(), core.now(), core.now())`;
      return await holder`select from queue.tasks as t where t.id = 0 for update`;
    },
    call: (sql, admin) =>
      sql`select api.post_admin_queue(${admin}, 'request', 0, 'a test') ->> 'error' as error`,
  },
  "those who add webhooks": {
    hold: (holder) => holder`lock table webhooks.webhooks in share row exclusive mode`,
    call: (sql, admin) =>
      sql`select api.post_admin_webhooks(
        ${admin}, 'request', gen_random_uuid(), 'https://hooks.example.com/', '{#}', 'v1.eA==', 'a test') ->> 'error' as error`,
  },
};

for (const [what, { hold, call }] of Object.entries(waits)) {
  Deno.test(`who is no admin any more when ${what} is free changes nothing`, async () => {
    const admin = await createAdmin(sql);
    await using others = manyConnections(database);
    let answer: Promise<Answer> | undefined;
    await others.begin(async (holder) => {
      await hold(holder);
      answer = call(others, admin).then((rows) => rows);
      await untilBlocked(sql);
      await holder`update accounts.users set is_admin = false where id = ${admin}`;
    });
    assert.deepEqual((await answer)?.map(({ error }) => error), ["ERR_4006"]);
    const { actions } = await first(sql`
      select count(*)::int as actions from ops.admin_actions as a where a.admin_id = ${admin}`);
    assert.equal(actions, 0);
  });
}
