/** Years of history in a database, in seconds: rows as the procedures leave them, but for the hashes of the chain. */
import type postgres from "postgres";

export interface Volume {
  users: number;
  /** Completed jobs of each user; each has four entries, since its credits were held and captured. */
  jobsPerUser: number;
}

/** The id of a user by number. */
export function volumeUser(number: number): string {
  return `0190b000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
}

/**
 * Fills an empty database and analyzes it. Triggers rest meanwhile: they would do one by one what is written here at
 * once. A user has bought a billion credits, and a job costs 4. Ten of them have, as admins, adjusted the others' credits.
 */
export async function fill(sql: postgres.Sql, { users, jobsPerUser }: Volume): Promise<void> {
  await sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`
      create temporary table numbered on commit drop as
      select n, ('0190b000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as user_id, 1000000 + n as account_id
      from generate_series(0, ${users - 1}::integer) as n`;
    await sql`insert into accounts.users (id) select user_id from numbered`;
    await sql`
      insert into credits.accounts (id, kind, owner_id, balance, entry_count, head_hash) overriding system value
      select account_id, 'available', user_id, 1000000000 - 4 * ${jobsPerUser}::bigint, 1 + ${jobsPerUser}::bigint,
        sha256(user_id::text::bytea)
      from numbered`;
    await sql`
      insert into credits.lots (id, account_id, owner_id, amount, remaining) overriding system value
      select account_id, account_id, user_id, 1000000000, 1000000000 - 4 * ${jobsPerUser}::bigint from numbered`;
    await sql`
      create temporary table done on commit drop as
      select row_number() over (order by turn, n) as place, n, user_id, account_id, turn, gen_random_uuid() as job_id,
        gen_random_uuid() as hold_id, gen_random_uuid() as capture_id,
        now() - interval '1 day' * (${jobsPerUser}::integer - turn) as at
      from numbered, generate_series(1, ${jobsPerUser}::integer) as turn`;
    await sql`
      insert into videos.jobs (
        id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at
      )
      select d.job_id, d.user_id, m.id, m.name, 'completed', 'A cat walks through the city at night', '{}', 4, 'volume',
        d.at, d.at + interval '1 minute'
      from done as d, (select id, name from videos.models order by position limit 1) as m
      order by d.place`;
    await sql`
      insert into credits.postings (idempotency_key, owner_id, request, outcome, created_at)
      select 'volume:' || d.job_id, d.user_id, '{}', '{}', d.at from done as d order by d.place`;
    await sql`
      insert into credits.transfers (
        id, owner_id, kind, from_account_id, to_account_id, amount, job_id, reverses_id, draws, created_at,
        from_number, from_balance, from_hash
      )
      select d.hold_id, d.user_id, 'hold'::credits.transfer_kind, d.account_id, 3, 4, d.job_id, null,
        array[row(d.account_id, 4)::credits.draw], d.at, 1 + d.turn, 1000000000 - 4 * d.turn,
        case d.turn when ${jobsPerUser}::integer then sha256(d.user_id::text::bytea) else sha256(d.hold_id::text::bytea) end
      from done as d
      union all
      select d.capture_id, d.user_id, 'capture', 3, 4, 4, d.job_id, d.hold_id, '{}', d.at, null, null, null
      from done as d
      order by 10`;
    await sql`
      insert into ops.admin_actions (action, admin_id, user_id, amount, transfer_id, reason, created_at)
      select 'adjust_credits', a.user_id, d.user_id, 1, gen_random_uuid(), 'volume', d.at
      from done as d join numbered as a on a.n = d.n % 10`;
  });
  await sql`vacuum analyze ops.admin_actions`;
  await sql`vacuum analyze accounts.users`;
  await sql`vacuum analyze videos.jobs`;
  for (const table of ["accounts", "lots", "postings", "transfers"]) {
    await sql`vacuum analyze ${sql(`credits.${table}`)}`;
  }
}
