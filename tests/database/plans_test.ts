/** What a request asks is found by an index, however long the history: no grown table is read as a whole. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { allOperations } from "../operations.ts";
import { testDatabase } from "./harness.ts";
import { cheapModel } from "./support/jobs.ts";
import { sweepRule } from "./support/retention.ts";
import { pack, sellPack, setFlag } from "./support/purchases.ts";
import { readAsAWhole } from "./support/scans.ts";
import { fill, volumeUser } from "./support/volume.ts";

/** Enough rows that a plan with a choice does not read them all: 4,000 accounts and lots, 20,000 jobs, 80,000 entries. */
const volume = { users: 4_000, jobsPerUser: 5 };

const user = volumeUser(7);
/** One of those who gave credits to the others. */
const admin = volumeUser(3);
const makeAdmin = `update accounts.users set is_admin = true where id = '${admin}'`;
const asTheOperatorSees = [makeAdmin, `select api.get_admin_users('${admin}', '${user}')`];
const search = (query: string) => [makeAdmin, `select api.admin_search('${admin}', ${query})`];
const generate =
  `api.generate_video('${user}', '192.0.2.1', 'key', repeat('0', 64), 'a-request', '${cheapModel}', 'A fox', '{}', null)`;
const aJob = `(select id from videos.jobs where user_id = '${user}' and deleted_at is null limit 1)`;

const aCompletedJob =
  `(select id from videos.jobs where user_id = '${user}' and status = 'completed' and deleted_at is null limit 1)`;

/** Procedures, as a request, the worker or the tick calls them; each on the history, in a transaction of its own. */
const calls: Record<string, string[]> = {
  "accepting a video": [`select ${generate}`],
  "a replay": [`select ${generate}`, `select ${generate}`],
  "the status of a video": [`select api.video_status('${user}', ${aJob})`],
  "videos whose URLs were signed as often as they may be": [
    `update guard.policies set max_hits = 1 where name = 'signed_urls'`,
    `update videos.jobs set video_url_expires_at = null where id = ${aCompletedJob}`,
    `select api.video_status('${user}', ${aCompletedJob})`,
    `select api.video_status('${user}', ${aCompletedJob})`,
  ],
  "deleting a job": [`select api.delete_video_job('${user}', ${aJob})`],
  "submitting, storing and completing a video": [
    `create temporary table made on commit drop as select (${generate} #>> '{data,job_id}')::uuid as job_id`,
    `create temporary table claimed on commit drop as
      select (api.claim_submission(made.job_id, '{fal}') #>> '{data,submission_id}')::uuid as id from made`,
    `select api.record_submission(claimed.id, '{"outcome": "accepted", "request_id": "r"}', 5) from claimed`,
    `select api.provider_webhook((select u.reference from accounts.users as u where u.id = '${user}'), 'fal', claimed.id, 'e', 'r', '{"state": "succeeded", "video_url": "u"}')
      from claimed`,
    `select api.claim_tasks(10, made.job_id) from made`,
    `select api.record_stored(0, 0, made.job_id, '[]', '{}') from made`,
  ],
  "failing a video": [
    `select videos.settle_video_job((${generate} #>> '{data,job_id}')::uuid, 'failed', 'ERR_5002')`,
  ],
  "a page of the videos": [
    `select api.video_jobs('${user}', 20, null, null)`,
    `select api.video_jobs('${user}', 2, 'completed', jsonb_build_object('created_at', now(), 'id', '${user}'))`,
  ],
  "keeping the URLs of a page": [`select api.keep_signed_urls(jsonb_build_array(jsonb_build_object(
    'job_id', ${aJob}, 'video_url', 'v', 'video_url_expires_at', now())))`],
  "a page of the credits": [`select api.credits('${user}', 20, null)`],
  "a profile": [`select api.get_user_profile('${user}')`, `select api.patch_user_profile('${user}', '{}')`],
  "a page of a statement": [`select * from credits.statement('${user}', 20, 30)`],
  "a balance at a time": [`select credits.balance_at('${user}', now() - interval '5 days')`],
  "a user as the operator sees them": asTheOperatorSees,
  "the jobs as the operator sees them": [
    makeAdmin,
    `select api.get_admin_jobs('${admin}', 20)`,
    `select api.get_admin_jobs('${admin}', 20, 'pending')`,
    `select api.get_admin_jobs('${admin}', 20, 'failed', p_user_id => '${user}')`,
    `select api.get_admin_jobs('${admin}', 20, p_provider => 'fal', p_error_code => 'ERR_5001')`,
  ],
  "a job's story": [makeAdmin, `select api.get_admin_jobs('${admin}', 20, p_job_id => ${aJob})`],
  "reading a prompt": [makeAdmin, `select api.post_admin_jobs('${admin}', 'r', ${aJob}, 'why')`],
  "finding a user by id": search(`'${user}'`),
  "finding a user by the beginning of their id": search(`left('${user}', 12)`),
  "finding a user by e-mail": search("'ada@example.com'"),
  "finding jobs by the request that made them": search("'a-request-of-long-ago'"),
  "finding jobs by the app's name for them": search("'draft-7'"),
  "refunding a job": [
    makeAdmin,
    `select api.admin_refund_credits('${admin}', 'key', 'f', 'r', '${user}', 1, 'why', ${aJob})`,
  ],
  "adjusting credits": [
    makeAdmin,
    `select api.admin_adjust_credits('${admin}', 'key', 'f', 'r', '${user}', 1, 'why')`,
  ],
  // All that the tick does but prove_ledger, which once an hour compares every account with its checkpoint.
  "enforcing deadlines": [
    `select videos.overdue_jobs(500)`,
    `select videos.enforce_deadline(j.id) from (select id from videos.jobs where completed_at is null limit 1) as j`,
  ],
  "booking what has expired": [
    `select credits.accounts_to_expire(500)`,
    `select credits.expire_account(a) from credits.accounts_to_expire(500) as a`,
  ],
  "burying tasks": [`select queue.bury_lost(t) from queue.lost_tasks(500) as t`],
  "dropping what waits for silent webhooks": [
    `select webhooks.silent_backlogs(500)`,
    `select webhooks.drop_waiting(gen_random_uuid())`,
  ],
  "sweeping": [`select ops.sweep(r) from ops.due_rules(500) as r`],
  "waking the worker": [`select core.wake_worker()`],
};

/** A JSON value, for a statement; it holds no quotes of SQL's. */
const sqlText = (value: unknown) => `'${JSON.stringify(value)}'`;

const grown = [
  "credits.accounts",
  "credits.lots",
  "credits.postings",
  "credits.transfers",
  "accounts.users",
  "videos.jobs",
  "videos.assets",
  "ops.admin_actions",
  "auth.users",
];

Deno.test("whatever a request, the worker or the tick asks, no grown table is read as a whole", async (test) => {
  await using database = await testDatabase();
  const { sql } = database;
  await fill(sql, volume);
  await sql`
    insert into auth.users (id, is_anonymous, email) select u.id, false, u.id || '@example.com' from accounts.users as u`;
  await sql`
    insert into videos.assets (job_id, owner_id, kind, path, bytes, content_type, created_at)
    select j.id, j.user_id, 'video', j.id || '/video.mp4', 1000000, 'video/mp4', j.created_at
    from videos.jobs as j where j.status = 'completed'`;
  await sql`vacuum analyze auth.users, videos.assets`;
  const look = async (statements: string[]) =>
    assert.deepEqual(await readAsAWhole(sql, grown, statements), []);
  for (const [name, statements] of Object.entries(calls)) await test.step(name, () => look(statements));

  await sql`
    insert into videos.jobs (
      user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at
    )
    select ${user}, ${cheapModel}, 'A model', 'completed', 'A cat', '{}', 4, 'volume', now() - n * interval '1 hour', now()
    from generate_series(1, 10000) as n`;
  await sql`vacuum analyze videos.jobs`;
  await test.step("a user with 10,000 jobs, as the operator sees them", () => look(asTheOperatorSees));
});

Deno.test("a purchase, its refund and what Apple tells of it read no table of purchases as a whole", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sql`
    insert into purchases.transactions (
      environment, transaction_id, original_transaction_id, product_id, kind, quantity, purchased_at, signed_at,
      is_family_shared, is_upgraded, is_free_trial, app_transaction_id, owner_id, credits, credited_at, created_at
    )
    select 'production', n, n, 'credits_10', 'consumable', 1, at, at, false, false, false, n, gen_random_uuid(), 10, at, at
    from generate_series(1, 50000) as n, lateral (values (core.now() - n * interval '1 minute')) as g (at)`;
  await sql`
    insert into purchases.notifications (
      notification_id, environment, type, signed_at, transaction_id, content, received_at, handled_at
    )
    select gen_random_uuid(), t.environment, 'ONE_TIME_CHARGE', t.signed_at, t.transaction_id, '{}', t.signed_at, t.signed_at
    from purchases.transactions as t`;
  // What has waited for the operator for long is few, and found among many.
  await sql`update purchases.transactions set credits = null, credited_at = null, reason = 'unknown_product', product_id = 'x'
    where transaction_id::integer <= 5`;
  // Nobody's, some of which name somebody.
  await sql`update purchases.transactions
    set credits = null, credited_at = null, owner_id = null, reason = 'unknown_account',
      app_account_token = case when transaction_id::integer % 2 = 0 then gen_random_uuid() end
    where transaction_id::integer between 40000 and 50000`;
  await sql`
    insert into ops.alerts (rule, subject, details, raised_at, last_at, resolved_at)
    select 'r', n::text, '{}', at, at, case when n % 2 = 0 then at end
    from generate_series(1, 10000) as n, lateral (values (now() - n * interval '1 hour')) as g (at)`;
  await sql`insert into ops.incidents (subject, began_at) values ('provider fal', now() - interval '1 hour')`;
  await sql`vacuum analyze ops.alerts`;
  await sql`vacuum analyze purchases.transactions, purchases.notifications`;
  const bought = (changes: object) =>
    sqlText({
      transaction_id: "9000000000",
      original_transaction_id: "9000000000",
      product_id: "credits_10",
      kind: "consumable",
      quantity: 1,
      environment: "sandbox",
      purchased_at: "2026-11-20T12:00:00Z",
      signed_at: "2026-11-20T12:00:00Z",
      is_family_shared: false,
      is_upgraded: false,
      is_free_trial: false,
      ...changes,
    });
  const refund = { revoked_at: "2026-11-21T12:00:00Z", signed_at: "2026-11-21T12:00:00Z" };
  const told = (id: string, type: string) =>
    sqlText({
      notification_id: id,
      environment: "sandbox",
      type,
      signed_at: "2026-11-20T12:00:00Z",
      transaction: JSON.parse(
        bought(refund).slice(1, -1),
      ),
    });
  assert.deepEqual(
    await readAsAWhole(sql, ["purchases.transactions", "purchases.notifications"], [
      `select api.post_purchases('${user}', ${bought({})})`,
      `select api.get_purchases('${user}', 20)`,
      `select api.app_store_notifications(${told("0190a000-0000-7000-8000-000000000001", "REFUND")})`,
      `select api.app_store_notifications(${
        told("0190a000-0000-7000-8000-000000000002", "CONSUMPTION_REQUEST")
      })`,
      `select api.load_consumption(t.id) from purchases.transactions as t
        where t.environment = 'sandbox' and t.transaction_id = '9000000000'`,
      `select purchases.rescind_consent('77')`,
      `select purchases.unhandled(500)`,
      `select purchases.mended(500)`,
      `select purchases.alert_waiting()`,
      `select purchases.waiting_for_product(50)`,
      `select * from ops.purchases where user_id = '${user}'`,
      `select * from ops.purchases where transaction_id = '77'`,
    ]),
    [],
  );
});

Deno.test("what waits for a switch or a product that is not there is passed over, however much it is", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await sellPack(sql);
  await setFlag(sql, "sandbox_purchases", false);
  const waits = (first: number, last: number, reason: string, productId: string) =>
    sql`
      insert into purchases.transactions (
        environment, transaction_id, original_transaction_id, product_id, kind, quantity, purchased_at, signed_at,
        is_family_shared, is_upgraded, is_free_trial, reason, created_at
      )
      select 'sandbox', n, n, ${productId}, 'consumable', 1, g.at, g.at, false, false, false,
        ${reason}::purchases.uncredited_reason, g.at
      from generate_series(${first}::integer, ${last}::integer) as n, lateral (values (core.now())) as g (at)`;
  await waits(1, 5_000, "wrong_environment", pack);
  await waits(5_001, 10_000, "unknown_product", "nobody.knows");
  await waits(10_001, 10_003, "switched_off", pack);
  await waits(10_004, 10_005, "unknown_product", pack);
  await sql`vacuum analyze purchases.transactions`;
  const mended = async () => {
    const [row] = await sql`select count(*)::int as count from purchases.mended(500)`;
    return row?.count;
  };
  assert.equal(await mended(), 5);
  const read = await sql.begin(async (sql) => {
    const before = await rowsRead(sql);
    await sql`select purchases.mended(500)`;
    return await rowsRead(sql) - before;
  });
  assert(read <= 10, `${read} rows were read for 5`);
  await setFlag(sql, "sandbox_purchases", true);
  assert.equal(await mended(), 500);
});

Deno.test("a device check reads the grants of its network, and of all those of the hour alone", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  // What the limits admit in a day, and what a slow sweep left of the days before.
  await sql`
    insert into devices.intents (lane, user_id, network, good_from, good_until, granted_at)
    select gen_random_uuid(), gen_random_uuid(), '198.51.' || n % 100 || '.' || n % 250, g.at, g.at + interval '10 minutes', g.at
    from generate_series(1, 50000) as n, lateral (values (core.now() - n * interval '8 seconds')) as g (at)`;
  await sql`analyze devices.intents`;
  const network = "'192.0.2.1'";
  assert.deepEqual(
    await readAsAWhole(sql, ["devices.intents"], [
      `select api.begin_device_check('${user}', ${network})`,
      `create temporary table entered on commit drop as
        select (api.enter_device_lane(${network}) #>> '{data,lane}')::uuid as lane`,
      `select api.record_device_intent('${user}', ${network}, e.lane) from entered as e`,
      `select api.grant_device_credits('${user}', ${network}, e.lane) from entered as e`,
      `select api.grant_device_credits('${user}', ${network}, null)`,
      `select api.leave_device_lane(${network}, e.lane) from entered as e`,
    ]),
    [],
  );
});

Deno.test("what is too old is found by an index, and deleted without reading what stays", async (test) => {
  await using database = await testDatabase();
  const { sql } = database;
  // Of 50,000 the oldest 100 are over.
  await sql`
    insert into guard.idempotency_keys (caller, endpoint, key, fingerprint, outcome, expires_at)
    select gen_random_uuid(), 'models', n::text, 'f', '{}', core.now() + (n - 100) * interval '1 second'
    from generate_series(1, 50000) as n`;
  await sql`
    insert into ops.error_log (minute, code, endpoint, place, occurred_at, context, count)
    select core.now() - interval '30 days' + (n - 100) * interval '1 second', 'ERR_6003', 'models', 1, core.now(), '{}', 1
    from generate_series(1, 50000) as n`;
  // Summarizes the BRIN as well, as autovacuum does.
  await sql`vacuum analyze guard.idempotency_keys, ops.error_log`;
  for (
    const [rule, table] of [["idempotency_keys", "guard.idempotency_keys"], [
      "error_log",
      "ops.error_log",
    ]] as const
  ) {
    await test.step(rule, async () => {
      assert.deepEqual(
        await readAsAWhole(sql, [table], [
          `select ops.sweep_rule(r) from ops.retention_rules as r where r.name = '${rule}'`,
        ]),
        [],
      );
      assert(await sweepRule(sql, rule) >= 99);
    });
  }
});

Deno.test("a proof in full reads the lots account by account, and not all of them for each", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await fill(sql, { users: 500, jobsPerUser: 1 });
  assert.deepEqual(
    await readAsAWhole(sql, ["credits.lots"], ["select count(*) from credits.reconcile(true)"]),
    [],
  );
});

Deno.test("a video is accepted in a database with a long history, and the account goes on from its last entry", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  await fill(sql, { users: 10, jobsPerUser: 5 });
  const [row] = await sql.unsafe(`select ${generate} as answer`);
  assert.equal(row?.answer.data.credits_remaining, 1_000_000_000 - 6 * 4);
  const [entry] = await sql`
    select e.number::int, e.balance_after::int
    from credits.entries as e
    join credits.accounts as a on a.id = e.account_id
    where a.owner_id = ${user} order by e.number desc limit 1`;
  assert.deepEqual({ ...entry }, { number: 7, balance_after: 1_000_000_000 - 24 });
});

const webhookId = "0190b000-0000-7000-8000-0000000000ff";

/** Pages of the one user's lists; of no status but `completed` are there jobs. */
const pages: Record<string, string> = {
  "the first videos": `api.video_jobs('${volumeUser(0)}', 20, null, null)`,
  "videos of long ago": `api.video_jobs('${
    volumeUser(0)
  }', 20, null, jsonb_build_object('created_at', now() - interval '20 years',
      'id', '${user}'))`,
  "videos with a status that most have": `api.video_jobs('${volumeUser(0)}', 20, 'completed', null)`,
  "videos with a status that none has": `api.video_jobs('${volumeUser(0)}', 20, 'failed', null)`,
  "the newest projects": `api.get_projects('${volumeUser(0)}', 20, null)`,
  "projects of long ago": `api.get_projects('${volumeUser(0)}', 20, jsonb_build_object(
    'created_at', now() - interval '200 days', 'id', '${user}'))`,
  "the newest cases": `api.get_admin_reports('${volumeUser(0)}', 20, null)`,
  "cases of long ago, that are open": `api.get_admin_reports('${
    volumeUser(0)
  }', 20, 'open', jsonb_build_object(
    'opened_at', now() - interval '200 days', 'id', '${user}'))`,
  "the newest alerts": `api.get_admin_alerts('${volumeUser(0)}', 20, null)`,
  "alerts of long ago, that are open": `api.get_admin_alerts('${
    volumeUser(0)
  }', 20, 'open', jsonb_build_object(
    'raised_at', now() - interval '200 days', 'id', '${user}'))`,
  "the newest errors": `api.admin_errors('${volumeUser(0)}', 20)`,
  "errors of long ago, of a code and an endpoint that few have": `api.admin_errors('${
    volumeUser(0)
  }', 20, '{ERR_6002,ERR_6003}', 'tick', null, jsonb_build_object(
    'minute', now() - interval '20 days', 'code', 'ERR_6003', 'endpoint', 'tick', 'place', 1))`,
  "the errors of a request": `api.admin_errors('${volumeUser(0)}', 20, p_request_id => 'request 5000')`,
  "the newest dead letters": `api.get_admin_queue('${volumeUser(0)}', 20)`,
  "dead letters of long ago, of a kind that few have": `api.get_admin_queue('${
    volumeUser(0)
  }', 20, 'store', jsonb_build_object('failed_at', now() - interval '200 days', 'id', 1))`,
  "the newest jobs of all": `api.get_admin_jobs('${volumeUser(0)}', 20)`,
  "jobs of all, of long ago": `api.get_admin_jobs('${
    volumeUser(0)
  }', 20, p_after => '{"id": "80000000-0000-7000-8000-000000000000"}')`,
  "the newest credits": `api.credits('${volumeUser(0)}', 20, null)`,
  "credits of long ago": `api.credits('${volumeUser(0)}', 20, '{"number": 500}')`,
  "the newest uploads": `api.get_uploads('${volumeUser(0)}', 20, null)`,
  "uploads of long ago": `api.get_uploads('${volumeUser(0)}', 20, jsonb_build_object(
    'created_at', now() - interval '200 days', 'id', '${user}'))`,
  "the newest notifications": `api.get_notifications('${volumeUser(0)}', 20, null)`,
  "notifications of long ago": `api.get_notifications('${volumeUser(0)}', 20, jsonb_build_object(
    'created_at', now() - interval '200 days', 'id', '${user}'))`,
  "the unread notifications": `api.get_notifications('${volumeUser(0)}', 20, null, true)`,
  "the newest deliveries of a webhook": `api.get_admin_webhook_deliveries('${
    volumeUser(0)
  }', '${webhookId}', 20)`,
  "deliveries of long ago": `api.get_admin_webhook_deliveries('${
    volumeUser(0)
  }', '${webhookId}', 20, null, jsonb_build_object('created_at', now() - interval '200 days', 'id', '${user}'))`,
  "the few that wait": `api.get_admin_webhook_deliveries('${volumeUser(0)}', '${webhookId}', 20, 'pending')`,
  "those of long ago that are dead": `api.get_admin_webhook_deliveries('${
    volumeUser(0)
  }', '${webhookId}', 20, 'dead', jsonb_build_object('created_at', now() - interval '200 days', 'id', '${user}'))`,
  "the newest purchases": `api.get_purchases('${volumeUser(0)}', 20, null)`,
  "purchases of long ago": `api.get_purchases('${volumeUser(0)}', 20, jsonb_build_object(
    'purchased_at', now() - interval '200 days', 'id', '${user}'))`,
};

/** How many rows of the lists' tables this session has read, as far as its statistics are not yet handed in. */
async function rowsRead(sql: postgres.TransactionSql): Promise<number> {
  const [row] = await sql<{ rows: number }[]>`
    select sum(seq_tup_read + idx_tup_fetch)::int as rows from pg_stat_xact_user_tables
    where (schemaname, relname) in (
      ('videos', 'jobs'), ('videos', 'assets'), ('credits', 'transfers'), ('credits', 'lots'),
      ('purchases', 'transactions'), ('videos', 'uploads'), ('videos', 'projects'),
      ('safety', 'cases'), ('safety', 'reports'), ('safety', 'notices'),
      ('ops', 'alerts'), ('videos', 'submissions'), ('notify', 'notifications'), ('events', 'deliveries'),
      ('events', 'log'), ('ops', 'error_log')
    )`;
  if (row === undefined) throw new Error("There are no statistics");
  return row.rows;
}

Deno.test("every list that is read page by page has its plan here", () => {
  const looked = Object.values(pages).join(" ");
  const missing = allOperations.filter(({ isPaged, procedure }) =>
    isPaged && !looked.includes(`api.${procedure}(`)
  );
  assert.deepEqual(
    missing.map(({ operation }) => operation),
    [],
    "write into `pages` of tests/database/plans_test.ts how its first and a late page are read, and into `rowsRead` its tables",
  );
});

Deno.test("a page of a history of 10,000 jobs reads the rows of that page, and of no other", async (test) => {
  await using database = await testDatabase();
  const { sql } = database;
  await fill(sql, { users: 1, jobsPerUser: 10_000 });
  await sql`
    insert into purchases.transactions (
      environment, transaction_id, original_transaction_id, product_id, kind, quantity, purchased_at, signed_at,
      is_family_shared, is_upgraded, is_free_trial, owner_id, credits, credited_at, created_at
    )
    select 'production', n, n, 'credits_10', 'consumable', 1, at, at, false, false, false, ${
    volumeUser(0)
  }, 10, at, at
    from generate_series(1, 10000) as n, lateral (values (now() - n * interval '1 hour')) as g (at)`;
  await sql`
    insert into videos.uploads (owner_id, status, content_type, bytes, width, height, folder, path, created_at, expires_at)
    select ${volumeUser(0)}, 'ready', 'image/png', 1000, 64, 64, n::text, n::text, at, at
    from generate_series(1, 10000) as n, lateral (values (now() - n * interval '1 hour')) as g (at)`;
  await sql`
    insert into videos.projects (user_id, name, created_at)
    select ${
    volumeUser(0)
  }, 'Project ' || n, now() - n * interval '1 hour' from generate_series(1, 10000) as n`;
  await sql`
    insert into safety.cases (job_id, opened_at, status)
    select j.id, j.created_at, case when j.id::text < '8' then 'open' else 'kept' end::safety.case_status
    from videos.jobs as j`;
  await sql`update accounts.users set is_admin = true`;
  // A few are unread, since those are counted.
  await sql`
    insert into notify.notifications (id, user_id, type, data, created_at, read_at)
    select gen_random_uuid(), ${
    volumeUser(0)
  }, 'video.completed', '{}', at, case when n % 1000 > 0 then at end
    from generate_series(1, 10000) as n, lateral (values (now() - n * interval '1 hour')) as g (at)`;
  // A webhook's, of which few are pending and some dead, and another's.
  await sql`
    with told as (
      insert into events.log (type, data, metadata, created_at, expires_at)
      select 'alert.raised', '{}', '{}', now() - n * interval '1 hour', now() from generate_series(1, 10000) as n
      returning id, created_at
    )
    insert into events.deliveries (event_id, channel, target, created_at, outcome, ended_at, reason)
    select t.id, 'webhook', h.target, t.created_at, o.outcome, case when o.outcome is not null then now() end,
      case o.outcome when 'dead' then 'it answered 500' end
    from told as t
    cross join lateral (values (${webhookId}::uuid), (gen_random_uuid())) as h (target)
    cross join lateral (values (
      case when t.id::text like '%00' then null when t.id::text like '%0' then 'dead' else 'delivered' end::events.outcome
    )) as o (outcome)`;
  await sql`
    insert into ops.error_log (minute, code, endpoint, place, occurred_at, request_id, context, count)
    select at, 'ERR_6003', case when n % 100 = 0 then 'tick' else 'models' end, 1, at, 'request ' || n, '{}', 1
    from generate_series(1, 10000) as n, lateral (values (now() - n * interval '4 minutes')) as g (at)`;
  await sql`
    insert into queue.tasks (kind, subject, priority, place, run_at, created_at, failed_at)
    select case when n % 100 = 0 then 'store' else 'delete_files' end, gen_random_uuid(), 5, 0, at, at, at
    from generate_series(1, 10000) as n, lateral (values (now() - n * interval '1 hour')) as g (at)`;
  await sql`
    vacuum analyze ops.error_log, queue.tasks, purchases.transactions, safety.cases, videos.projects, videos.uploads, notify.notifications,
      events.log, events.deliveries`;
  for (const [name, page] of Object.entries(pages)) {
    await test.step(name, async () => {
      const rows = await sql.begin(async (sql) => {
        const before = await rowsRead(sql);
        await sql.unsafe(`select ${page}`);
        return await rowsRead(sql) - before;
      });
      // 20 and the one that tells of more; of an entry its transfer, too; and the lots.
      assert(rows <= 2 * 21 + 1, `${rows} rows were read`);
    });
  }
});
