/** Every procedure that acts for a user, called for one who has what it is about. */
import type { TestDatabase } from "../harness.ts";
import { mergeGuest, signedInGuest } from "../support/merging.ts";
import { cheapModel } from "../support/jobs.ts";
import { first, type Sql } from "../support/ledger.ts";
import { generateVideos } from "../support/bulk.ts";
import { generateVideo } from "../support/videos.ts";
import { present, transactionOf } from "../support/purchases.ts";

export interface Case {
  database: TestDatabase;
  userId: string;
  jobId: string;
  /** Another user, whom an admin names. */
  other: string;
}

/** What is called, and whose account it waits for: the caller's, the other's, or nobody's, so that it comes before. */
interface Procedure {
  waitsFor: "caller" | "other" | "nobody";
  call(sql: Sql, of: Case): PromiseLike<{ answer: { error?: string; language?: string } }[]>;
  /** What a suspended user may still do: object to a removal, and close the account, once. */
  alsoSuspended?: true | "once";
}

const key = () => crypto.randomUUID();

/** A pending upload of the user's, made without asking. */
async function uploadOf(sql: Sql, userId: string): Promise<string> {
  const { id } = await first(sql<{ id: string }[]>`
    insert into videos.uploads (owner_id, content_type, bytes, folder, created_at, expires_at)
    values (${userId}, 'image/png', 1000, gen_random_uuid()::text, core.now(), core.now() + interval '2 hours')
    returning id`);
  return id;
}

/** A project of the user's, made without asking. */
async function projectOf(sql: Sql, userId: string): Promise<string> {
  const { id } = await first(sql`
    insert into videos.projects (user_id, name, created_at) values (${userId}, 'Winter', core.now()) returning id`);
  return id;
}

/** A completed video of the user's, made without asking; or one that was removed. */
async function videoOf(sql: Sql, userId: string, isRemoved = false): Promise<string> {
  const { id } = await first(sql<{ id: string }[]>`
    insert into videos.jobs (
      user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at, removed_at
    )
    values (
      ${userId}, ${cheapModel}, 'A model', 'completed', 'A fox', '{}', 0, 'a test', core.now(), core.now(),
      case when ${isRemoved} then core.now() end
    )
    returning id`);
  await sql`
    insert into safety.cases (job_id, status, ground, opened_at)
    select ${id}, 'removed', 'hate', core.now() where ${isRemoved}`;
  return id;
}

/** A webhook, made without asking. */
async function webhookOf(sql: Sql): Promise<string> {
  const id = key();
  await sql`
    insert into webhooks.webhooks (id, url, types, created_at)
    values (${id}, 'https://hooks.example.com/', '{alert.raised}', core.now())`;
  return id;
}

/** A task that has used its tries. */
async function deadLetter(sql: Sql): Promise<string> {
  const { id } = await first(sql<{ id: string }[]>`
    insert into queue.tasks (kind, subject, priority, place, run_at, created_at, failed_at)
    values ('delete_files', gen_random_uuid(), 5, 0, core.now(), core.now(), core.now())
    returning id::text`);
  return id;
}

export const procedures: Record<string, Procedure> = {
  admin_adjust_credits: {
    waitsFor: "other",
    call: (sql, { userId, other }) =>
      sql`select api.admin_adjust_credits(${userId}, ${key()}, 'f', 'request', ${other}, 1, 'a test') as answer`,
  },
  patch_admin_models: {
    waitsFor: "nobody",
    call: (sql, { userId }) =>
      sql`select api.patch_admin_models(${userId}, 'request', ${cheapModel}, true, 'a test') as answer`,
  },
  appeals: {
    waitsFor: "nobody",
    alsoSuspended: true,
    call: async (sql, { userId }) =>
      await sql`select api.appeals(${userId}, ${await videoOf(sql, userId, true)}, 'It is me') as answer`,
  },
  admin_refund_credits: {
    waitsFor: "other",
    call: (sql, { userId, other }) =>
      sql`select api.admin_refund_credits(
        ${userId}, ${key()}, 'f', 'request', ${other}, 1, 'a test', null) as answer`,
  },
  begin_device_check: {
    waitsFor: "caller",
    call: (sql, { userId }) => sql`select api.begin_device_check(${userId}, ${key()}) as answer`,
  },
  cancel_video: {
    waitsFor: "caller",
    call: (sql, { userId, jobId }) => sql`select api.cancel_video(${userId}, ${jobId}) as answer`,
  },
  credits: {
    waitsFor: "caller",
    call: (sql, { userId }) => sql`select api.credits(${userId}, 20, null) as answer`,
  },
  delete_user_profile: {
    waitsFor: "caller",
    call: (sql, { userId }) => sql`select api.delete_user_profile(${userId}) as answer`,
    alsoSuspended: "once",
  },
  delete_video_job: {
    waitsFor: "caller",
    call: (sql, { userId, jobId }) => sql`select api.delete_video_job(${userId}, ${jobId}) as answer`,
  },
  generate_video: {
    waitsFor: "caller",
    call: async (sql, { userId }) => [{ answer: await generateVideo(sql, userId, { network: key() }) }],
  },
  generate_videos: {
    waitsFor: "caller",
    call: async (sql, { userId }) => [{
      answer: await generateVideos(sql, userId, "any", [{ model_id: cheapModel, prompt: "A fox" }], {
        network: key(),
      }),
    }],
  },
  get_admin_webhooks: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_admin_webhooks(${userId}) as answer`,
  },
  post_admin_webhooks: {
    waitsFor: "nobody",
    call: (sql, { userId }) =>
      sql`select api.post_admin_webhooks(
        ${userId}, 'request', gen_random_uuid(), 'https://hooks.example.com/', '{#}', 'v1.eA==', 'a test') as answer`,
  },
  patch_admin_webhooks: {
    waitsFor: "nobody",
    call: async (sql, { userId }) =>
      await sql`select api.patch_admin_webhooks(${userId}, 'request', ${await webhookOf(
        sql,
      )}, 'a test') as answer`,
  },
  delete_admin_webhooks: {
    waitsFor: "nobody",
    call: async (sql, { userId }) =>
      await sql`select api.delete_admin_webhooks(${userId}, 'request', ${await webhookOf(
        sql,
      )}, 'a test') as answer`,
  },
  get_admin_webhook_deliveries: {
    waitsFor: "nobody",
    call: (sql, { userId }) =>
      sql`select api.get_admin_webhook_deliveries(${userId}, gen_random_uuid(), 20) as answer`,
  },
  post_admin_webhook_deliveries: {
    waitsFor: "nobody",
    call: async (sql, { userId }) =>
      await sql`select api.post_admin_webhook_deliveries(
        ${userId}, 'request', p_webhook_id => ${await webhookOf(sql)}, p_test => true) as answer`,
  },
  get_admin_alerts: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_admin_alerts(${userId}, 20) as answer`,
  },
  get_admin_limits: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_admin_limits(${userId}) as answer`,
  },
  patch_admin_alerts: {
    waitsFor: "nobody",
    call: (sql, { userId }) =>
      sql`select api.patch_admin_alerts(${userId}, 'request', 'a test', p_rule => 'spending') as answer`,
  },
  patch_admin_limits: {
    waitsFor: "nobody",
    call: (sql, { userId }) =>
      sql`select api.patch_admin_limits(${userId}, 'request', 'reads', 'a test') as answer`,
  },
  admin_stats: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.admin_stats(${userId}, 'hour') as answer`,
  },
  admin_errors: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.admin_errors(${userId}, 20) as answer`,
  },
  admin_search: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.admin_search(${userId}, ${key()}) as answer`,
  },
  get_admin_jobs: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_admin_jobs(${userId}, 20) as answer`,
  },
  post_admin_jobs: {
    waitsFor: "nobody",
    call: async (sql, { userId, other }) => {
      const { data } = await generateVideo(sql, other, { network: key() });
      return await sql<{ answer: { error?: string } }[]>`
        select api.post_admin_jobs(${userId}, 'request', ${data?.job_id ?? ""}, 'a test') as answer`;
    },
  },
  get_admin_queue: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_admin_queue(${userId}, 20) as answer`,
  },
  post_admin_queue: {
    waitsFor: "nobody",
    call: async (sql, { userId }) =>
      await sql`select api.post_admin_queue(${userId}, 'request', ${await deadLetter(
        sql,
      )}, 'a test') as answer`,
  },
  flags: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.flags(${userId}, '{}') as answer`,
  },
  get_admin_flags: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_admin_flags(${userId}) as answer`,
  },
  patch_admin_flags: {
    waitsFor: "nobody",
    call: (sql, { userId }) =>
      sql`select api.patch_admin_flags(${userId}, 'request', 'generation', 'a test', true) as answer`,
  },
  get_admin_models: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_admin_models(${userId}) as answer`,
  },
  get_admin_products: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_admin_products(${userId}) as answer`,
  },
  post_admin_products: {
    waitsFor: "nobody",
    call: (sql, { userId }) =>
      sql`select api.post_admin_products(
        ${userId}, 'request', ${key()}, 'consumable', 'A pack', 'Of credits', 1, 'a test') as answer`,
  },
  patch_admin_products: {
    waitsFor: "nobody",
    call: async (sql, { userId }) => {
      await sql`
        insert into purchases.products (product_id, kind, name, description, credits)
        values ('a', 'consumable', 'A pack', '', 1) on conflict do nothing`;
      return await sql<{ answer: { error?: string } }[]>`
        select api.patch_admin_products(${userId}, 'request', 'a', 'a test', p_credits => 1) as answer`;
    },
  },
  get_admin_reports: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_admin_reports(${userId}, 20) as answer`,
  },
  patch_admin_reports: {
    waitsFor: "other",
    call: async (sql, { userId, other }) => {
      const jobId = await videoOf(sql, other);
      const { id } = await first(sql<{ id: string }[]>`
        insert into safety.cases (job_id, opened_at) values (${jobId}, core.now()) returning id`);
      return await sql`select api.patch_admin_reports(${userId}, 'request', ${id}, 'keep', 'a test') as answer`;
    },
  },
  reports: {
    waitsFor: "nobody",
    call: async (sql, { userId }) =>
      await sql`select api.reports(${userId}, ${await videoOf(sql, userId)}, 'hate') as answer`,
  },
  get_admin_users: {
    waitsFor: "other",
    call: (sql, { userId, other }) => sql`select api.get_admin_users(${userId}, ${other}) as answer`,
  },
  get_notifications: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_notifications(${userId}, 20) as answer`,
  },
  patch_notifications: {
    waitsFor: "caller",
    call: (sql, { userId }) => sql`select api.patch_notifications(${userId}) as answer`,
  },
  post_push_tokens: {
    waitsFor: "caller",
    call: (sql, { userId }) =>
      sql`select api.post_push_tokens(${userId}, ${"a".repeat(64)}, 'production') as answer`,
  },
  delete_push_tokens: {
    waitsFor: "caller",
    call: (sql, { userId }) => sql`select api.delete_push_tokens(${userId}, ${"a".repeat(64)}) as answer`,
  },
  get_purchases: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_purchases(${userId}, 20) as answer`,
  },
  get_user_profile: {
    waitsFor: "caller",
    call: (sql, { userId }) => sql`select api.get_user_profile(${userId}) as answer`,
  },
  grant_device_credits: {
    waitsFor: "caller",
    call: (sql, { userId }) => sql`select api.grant_device_credits(${userId}, '192.0.2.1', null) as answer`,
  },
  delete_sessions: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.delete_sessions(${userId}, null) as answer`,
  },
  get_sessions: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_sessions(${userId}) as answer`,
  },
  merge_guest: {
    waitsFor: "caller",
    call: async (sql, { database, userId }) => {
      await sql`update auth.users set is_anonymous = false where id = ${userId}`;
      return [{ answer: await mergeGuest(sql, userId, await signedInGuest(database)) }];
    },
  },
  delete_uploads: {
    waitsFor: "caller",
    call: async (sql, { userId }) =>
      await sql<{ answer: { error?: string } }[]>`
        select api.delete_uploads(${userId}, ${await uploadOf(sql, userId)}) as answer`,
  },
  get_uploads: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_uploads(${userId}, 20) as answer`,
  },
  load_upload: {
    waitsFor: "nobody",
    call: async (sql, { userId }) =>
      await sql<{ answer: { error?: string } }[]>`
        select api.load_upload(${userId}, ${await uploadOf(sql, userId)}) as answer`,
  },
  patch_uploads: {
    waitsFor: "caller",
    call: async (sql, { userId }) =>
      await sql<{ answer: { error?: string } }[]>`
        select api.patch_uploads(${userId}, ${await uploadOf(
        sql,
        userId,
      )}, 'p', 'image/png', 1, 64, 64) as answer`,
  },
  post_uploads: {
    waitsFor: "caller",
    call: (sql, { userId }) => sql`select api.post_uploads(${userId}, 'image/png', 1000) as answer`,
  },
  models: { waitsFor: "nobody", call: (sql, { userId }) => sql`select api.models(${userId}) as answer` },
  patch_user_profile: {
    waitsFor: "caller",
    call: (sql, { userId }) =>
      sql`select api.patch_user_profile(${userId}, '{"display_name": "Ada"}') as answer`,
  },
  delete_projects: {
    waitsFor: "caller",
    call: async (sql, { userId }) =>
      await sql<{ answer: { error?: string } }[]>`
        select api.delete_projects(${userId}, ${await projectOf(sql, userId)}) as answer`,
  },
  get_projects: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.get_projects(${userId}, 20) as answer`,
  },
  patch_projects: {
    waitsFor: "nobody",
    call: async (sql, { userId }) =>
      await sql<{ answer: { error?: string } }[]>`
        select api.patch_projects(${userId}, ${await projectOf(sql, userId)}, 'Summer') as answer`,
  },
  post_projects: {
    waitsFor: "caller",
    call: (sql, { userId }) => sql`select api.post_projects(${userId}, 'Winter') as answer`,
  },
  post_admin_users: {
    waitsFor: "other",
    call: (sql, { userId, other }) =>
      sql`select api.post_admin_users(${userId}, 'request', ${other}, 'ban', 'a test') as answer`,
  },
  post_purchases: {
    waitsFor: "caller",
    call: async (sql, { userId }) => [{ answer: await present(sql, userId, transactionOf()) }],
  },
  products: { waitsFor: "nobody", call: (sql, { userId }) => sql`select api.products(${userId}) as answer` },
  recover_guest: {
    waitsFor: "caller",
    call: async (sql, { database, userId }) => {
      const app = { environment: "production", app_transaction_id: crypto.randomUUID().slice(0, 30) };
      const lost = await signedInGuest(database);
      await sql`delete from auth.sessions where user_id = ${lost.id}`;
      await sql`select devices.note_app_transaction(${lost.id}, ${sql.json(app)})`;
      return await sql<{ answer: { error?: string } }[]>`
        select api.recover_guest(${userId}, ${sql.json(app)}) as answer`;
    },
  },
  record_device_intent: {
    waitsFor: "caller",
    call: async (sql, { userId }) => {
      const network = key();
      const { lane } = await first(
        sql`select api.enter_device_lane(${network}) #>> '{data,lane}' as lane`,
      );
      return await sql<
        { answer: { error?: string } }[]
      >`select api.record_device_intent(${userId}, ${network}, ${lane}) as answer`;
    },
  },
  user_export: {
    waitsFor: "caller",
    call: (sql, { userId }) => sql`select api.user_export(${userId}) as answer`,
  },
  video_jobs: {
    waitsFor: "nobody",
    call: (sql, { userId }) => sql`select api.video_jobs(${userId}, 20, null, null) as answer`,
  },
  video_status: {
    waitsFor: "nobody",
    call: (sql, { userId, jobId }) => sql`select api.video_status(${userId}, ${jobId}) as answer`,
  },
};
