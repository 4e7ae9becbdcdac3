-- ops: how long things are kept. Each rule has its sweeper, a scheduled task of the rule's name with `sweep_` before it.
-- The ledger, the tombstones of closed accounts and the proofs of their erasure have none: they stay.

create table ops.retention_rules (
  name text primary key check (name ~ '^[a-z_]{1,50}$'),
  -- What goes, and from when its time counts.
  what text not null,
  keep interval not null check (keep >= interval '0'),
  -- How many rows a run takes at most, so that it holds its locks for a fraction of a second.
  batch integer not null check (batch between 1 and 100000)
);
alter table ops.retention_rules enable row level security;
revoke all on ops.retention_rules from anon, authenticated, service_role;
comment on table ops.retention_rules is 'How long things are kept; a change takes effect with the next run.';

insert into ops.retention_rules (name, what, keep, batch) values
  ('idempotency_keys', 'Outcomes kept for replay, from the request; never less than the 24 hours that the API promises', '24 hours', 10000),
  ('rate_limit_hits', 'Rate-limit counters, from when they count nothing any more', '0', 10000),
  ('device_lanes', 'Networks of device checks, from the end of the check', '1 hour', 10000),
  ('provider_events', 'Webhooks of providers, from their arrival', '30 days', 10000),
  ('deleted_jobs', 'What a deleted job said, and the record of its files, from the deletion', '30 days', 1000),
  ('closed_accounts', 'The bare jobs of a closed account, from its erasure', '90 days', 100),
  ('error_log', 'Recorded errors, from the last of their minute', '30 days', 10000),
  ('proofs', 'Results of proving the ledger, from the proof; the last one that found nothing stays', '90 days', 10000),
  -- pg_cron writes a row every 5 seconds.
  ('cron_runs', 'What pg_cron notes of its runs, from their end', '3 days', 10000);

create function ops.retention(p_name text, out before timestamptz, out batch integer)
language plpgsql
volatile
set search_path = ''
as $$
-- What a rule means now: what is older than `before` goes. Raises no_data_found where there is no such rule.
begin
  select ops.now() - r.keep, r.batch into strict before, batch from ops.retention_rules as r where r.name = p_name;
end;
$$;

revoke all on function ops.retention(text) from public, anon, authenticated, service_role;
comment on function ops.retention(text) is 'The first question of every sweeper.';

create index events_received_at on generation.events using brin (received_at) with (autosummarize = on);

create function generation.sweep_provider_events()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes the events of jobs that have ended, by the rule `provider_events`, and returns how many.
declare
  v_rule constant record := ops.retention('provider_events');
  v_deleted integer;
begin
  delete from generation.events as e
  using (
    select d.provider, d.event_id, d.submission_id
    from generation.events as d
    join generation.submissions as s on s.id = d.submission_id
    join public.video_jobs as j on j.id = s.job_id
    where d.received_at <= v_rule.before and j.completed_at is not null
    limit v_rule.batch
    for update of d skip locked
  ) as due
  where e.provider = due.provider and e.event_id = due.event_id and e.submission_id = due.submission_id;
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;

revoke all on function generation.sweep_provider_events() from public, anon, authenticated, service_role;
comment on function generation.sweep_provider_events() is 'Scheduled: forgets what providers reported long ago.';

create index video_jobs_blankable on public.video_jobs (deleted_at) where deleted_at is not null and prompt <> '';

create function generation.sweep_deleted_jobs()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Blanks jobs that their users deleted and whose files are gone, by the rule `deleted_jobs`, and returns how many.
-- Locks: jobs that nobody else has locked.
declare
  v_rule constant record := ops.retention('deleted_jobs');
  v_job_ids uuid[];
begin
  select coalesce(array_agg(d.id), '{}') into v_job_ids
  from (
    select j.id from public.video_jobs as j
    where j.deleted_at <= v_rule.before and j.prompt <> ''
      and not exists (select from generation.assets as a where a.job_id = j.id and a.deleted_at is null)
    limit v_rule.batch
    for update skip locked
  ) as d;
  perform generation.blank_jobs(v_job_ids);
  return cardinality(v_job_ids);
end;
$$;

revoke all on function generation.sweep_deleted_jobs() from public, anon, authenticated, service_role;
comment on function generation.sweep_deleted_jobs() is 'Scheduled: erases what deleted jobs said.';

create function generation.sweep_closed_accounts()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes the jobs of accounts that were erased, by the rule `closed_accounts`, and returns of how many accounts. The
-- ledger keeps their entries. Locks: proofs of erasure that nobody else has locked → jobs.
declare
  v_rule constant record := ops.retention('closed_accounts');
  v_user_ids uuid[];
  v_job_ids uuid[];
begin
  select coalesce(array_agg(d.user_id), '{}') into v_user_ids
  from (
    select r.user_id from ops.erasures as r
    where r.swept_at is null and r.erased_at <= v_rule.before
    order by r.erased_at
    limit v_rule.batch
    for update skip locked
  ) as d;
  -- The erasure has marked all of them as deleted.
  select coalesce(array_agg(j.id), '{}') into v_job_ids
  from public.video_jobs as j
  where j.user_id = any (v_user_ids) and j.deleted_at is not null;

  delete from generation.events as e
  using generation.submissions as s
  where s.job_id = any (v_job_ids) and e.submission_id = s.id;
  delete from generation.submissions as s where s.job_id = any (v_job_ids);
  delete from public.video_jobs as j where j.id = any (v_job_ids);
  update ops.erasures as r set swept_at = ops.now() where r.user_id = any (v_user_ids);
  return cardinality(v_user_ids);
end;
$$;

revoke all on function generation.sweep_closed_accounts() from public, anon, authenticated, service_role;
comment on function generation.sweep_closed_accounts() is 'Scheduled: deletes the bare jobs of closed accounts.';

create function ops.sweep_error_log()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes recorded errors by the rule `error_log`, and returns how many rows.
declare
  v_rule constant record := ops.retention('error_log');
  v_deleted integer;
begin
  delete from ops.error_log as e
  using (
    select d.minute, d.code, d.endpoint, d.place
    from ops.error_log as d
    where d.minute <= v_rule.before - interval '1 minute'
    limit v_rule.batch
    for update skip locked
  ) as due
  where e.minute = due.minute and e.code = due.code and e.endpoint = due.endpoint and e.place = due.place;
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;

revoke all on function ops.sweep_error_log() from public, anon, authenticated, service_role;
comment on function ops.sweep_error_log() is 'Scheduled: forgets old errors.';

create function ops.sweep_cron_runs()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes what pg_cron noted of its runs, by the rule `cron_runs`, and returns how many. Without pg_cron there is nothing.
declare
  v_rule constant record := ops.retention('cron_runs');
  v_deleted integer := 0;
begin
  if to_regclass('cron.job_run_details') is not null then
    execute 'delete from cron.job_run_details as r
             where r.runid in (select d.runid from cron.job_run_details as d where d.end_time <= $1 limit $2)'
      using v_rule.before, v_rule.batch;
    get diagnostics v_deleted = row_count;
  end if;
  return v_deleted;
end;
$$;

revoke all on function ops.sweep_cron_runs() from public, anon, authenticated, service_role;
comment on function ops.sweep_cron_runs() is 'Scheduled: keeps pg_cron''s own log short.';

create function credits.sweep_proofs()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes results of proving the ledger by the rule `proofs`, and returns how many. The last one that found nothing
-- stays: the next proof begins there.
declare
  v_rule constant record := ops.retention('proofs');
  v_deleted integer;
begin
  delete from credits.proofs as p
  where p.id in (
    select d.id from credits.proofs as d
    where d.proved_until <= v_rule.before
      and d.id <> (select coalesce(max(l.id), 0) from credits.proofs as l where l.violations = 0)
    limit v_rule.batch
  );
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;

revoke all on function credits.sweep_proofs() from public, anon, authenticated, service_role;
comment on function credits.sweep_proofs() is 'Scheduled: forgets old proofs of the ledger.';

insert into ops.scheduled_tasks (name, procedure, every) values
  ('sweep_provider_events', 'generation.sweep_provider_events', interval '10 minutes'),
  ('sweep_deleted_jobs', 'generation.sweep_deleted_jobs', interval '10 minutes'),
  ('sweep_closed_accounts', 'generation.sweep_closed_accounts', interval '10 minutes'),
  ('sweep_error_log', 'ops.sweep_error_log', interval '10 minutes'),
  ('sweep_proofs', 'credits.sweep_proofs', interval '1 day'),
  ('sweep_cron_runs', 'ops.sweep_cron_runs', interval '1 hour');

create function ops.prove_ledger()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Proves the ledger from the last proof on, and returns how many violations there are. The error log counts them anew each time
-- until they are mended, the first few with what they are. Locks: nothing that a posting needs.
declare
  v_violation credits.violation;
  v_found integer := 0;
begin
  for v_violation in select r.* from credits.reconcile() as r loop
    perform public.record_error('ERR_6003', 'tick', null, null, jsonb_build_object(
      'task', 'prove_ledger', 'violation', v_violation.violation, 'subject', v_violation.subject,
      'details', v_violation.details
    ));
    v_found := v_found + 1;
  end loop;
  return v_found;
end;
$$;

revoke all on function ops.prove_ledger() from public, anon, authenticated, service_role;
comment on function ops.prove_ledger() is 'Scheduled: tells the operator when the ledger is not what it says it is.';

-- It compares every account with its checkpoint.
insert into ops.scheduled_tasks (name, procedure, every)
values ('prove_ledger', 'ops.prove_ledger', interval '1 hour');
