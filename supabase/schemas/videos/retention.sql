create function videos.sweep_provider_events()
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
  delete from videos.provider_events as e
  using (
    select d.provider, d.event_id, d.submission_id
    from videos.provider_events as d
    join videos.submissions as s on s.id = d.submission_id
    join videos.jobs as j on j.id = s.job_id
    where d.received_at <= v_rule.before and j.completed_at is not null
    limit v_rule.batch
    for update of d skip locked
  ) as due
  where e.provider = due.provider and e.event_id = due.event_id and e.submission_id = due.submission_id;
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;

create function videos.sweep_deleted_jobs()
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
    select j.id from videos.jobs as j
    where j.deleted_at <= v_rule.before and j.prompt <> ''
      and not exists (select from videos.assets as a where a.job_id = j.id and a.deleted_at is null)
    limit v_rule.batch
    for update skip locked
  ) as d;
  perform videos.blank_jobs(v_job_ids);
  return cardinality(v_job_ids);
end;
$$;

create function videos.sweep_closed_accounts()
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
    select r.user_id from accounts.erasures as r
    where r.swept_at is null and r.erased_at <= v_rule.before
    order by r.erased_at
    limit v_rule.batch
    for update skip locked
  ) as d;
  -- The erasure has marked all of them as deleted.
  select coalesce(array_agg(j.id), '{}') into v_job_ids
  from videos.jobs as j
  where j.user_id = any (v_user_ids) and j.deleted_at is not null;

  delete from videos.provider_events as e
  using videos.submissions as s
  where s.job_id = any (v_job_ids) and e.submission_id = s.id;
  delete from videos.submissions as s where s.job_id = any (v_job_ids);
  delete from videos.jobs as j where j.id = any (v_job_ids);
  update accounts.erasures as r set swept_at = core.now() where r.user_id = any (v_user_ids);
  return cardinality(v_user_ids);
end;
$$;
