create function videos.sweep_deleted_jobs(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `deleted_jobs`: blanks jobs that their users deleted and whose files are gone, but under a legal hold, removes what
-- events tell of them, and returns how many. One of which an event is somebody's at that moment waits for the next call.
-- Locks: jobs that nobody else has locked → events, which are never waited for → what belongs to the jobs.
declare
  v_job_ids uuid[];
  v_waiting text[];
begin
  select coalesce(array_agg(d.id), '{}') into v_job_ids
  from (
    select j.id from videos.jobs as j
    where j.deleted_at <= p_before and j.prompt <> ''
      and not exists (select from videos.assets as a where a.job_id = j.id and a.deleted_at is null)
      and not safety.is_held(j.user_id)
    limit p_batch
    for update skip locked
  ) as d;
  -- Before the jobs are blanked: a blank one is not found again.
  v_waiting := events.remove_about(
    array(select distinct j.user_id from videos.jobs as j where j.id = any (v_job_ids)), 'job_id', v_job_ids::text[]
  );
  v_job_ids := array(select j.id from unnest(v_job_ids) as j (id) where j.id::text <> all (v_waiting));
  perform videos.blank_jobs(v_job_ids);
  return cardinality(v_job_ids);
end;
$$;

create function videos.delete_jobs(p_user_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes what is left of the jobs of erased accounts. The ledger keeps their entries, and safety what was decided; no figure
-- counts them any more. Locks: jobs → ops.stat_sums, the oldest first.
declare
  v_job_ids constant uuid[] := array(select videos.jobs_of(p_user_ids));
  v_counted_at timestamptz[];
begin
  select array_agg(distinct ops.stat_block(c.at)) into v_counted_at
  from (
    select unnest(array[j.created_at, j.completed_at]) as at from videos.jobs as j where j.id = any (v_job_ids)
    union all
    select s.claimed_at from videos.submissions as s where s.job_id = any (v_job_ids)
  ) as c;
  delete from videos.provider_events as e
  using videos.submissions as s
  where s.job_id = any (v_job_ids) and e.submission_id = s.id;
  delete from videos.submissions as s where s.job_id = any (v_job_ids);
  delete from videos.jobs as j where j.id = any (v_job_ids);
  perform safety.close_cases(v_job_ids);
  perform ops.forget_stats(c.at) from unnest(v_counted_at) as c (at) order by c.at;
end;
$$;
