create function videos.sweep_deleted_jobs(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `deleted_jobs`: blanks jobs that their users deleted and whose files are gone, and returns how many.
-- Locks: jobs that nobody else has locked.
declare
  v_job_ids uuid[];
begin
  select coalesce(array_agg(d.id), '{}') into v_job_ids
  from (
    select j.id from videos.jobs as j
    where j.deleted_at <= p_before and j.prompt <> ''
      and not exists (select from videos.assets as a where a.job_id = j.id and a.deleted_at is null)
    limit p_batch
    for update skip locked
  ) as d;
  perform videos.blank_jobs(v_job_ids);
  return cardinality(v_job_ids);
end;
$$;

create function videos.sweep_closed_accounts(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `closed_accounts`: deletes the jobs of accounts that were erased, and returns of how many accounts. The
-- ledger keeps their entries. Locks: proofs of erasure that nobody else has locked → jobs.
declare
  v_user_ids uuid[];
  v_job_ids uuid[];
begin
  select coalesce(array_agg(d.user_id), '{}') into v_user_ids
  from (
    select r.user_id from accounts.erasures as r
    where r.swept_at is null and r.erased_at <= p_before
    order by r.erased_at
    limit p_batch
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
