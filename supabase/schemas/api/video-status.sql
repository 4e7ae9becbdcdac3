create function api.video_status(p_user_id uuid, p_job_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- One job of the caller's: `data` is `{ job, progress, next_poll_seconds, paths }`, where `paths` names the files
-- in storage, for signing. resource/not-found for a job that is not there, is deleted or is another's. Counts against
-- `reads`, and a URL that is to be renewed against `signed_urls`. Locks: rate-limit rows.
declare
  v_caller record;
  v_job videos.jobs;
  v_shown jsonb;
begin
  v_caller := guard.enter(p_user_id, 'video-status', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select j.* into v_job
  from videos.jobs as j
  where j.id = p_job_id and j.user_id = p_user_id and j.deleted_at is null;
  if not found then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;

  v_shown := jsonb_build_object(
    'job', videos.job_json(v_job),
    'progress', jsonb_build_object(
      'stage', videos.job_stage(v_job),
      'percent', case when v_job.status = 'completed' then 100 else v_job.percent end
    ),
    'next_poll_seconds', videos.poll_seconds(v_job, v_caller.limits, core.now()),
    'paths', '{}'::jsonb
  );
  -- Most that are asked about are still being made, and have no files; those of a removed one are shown to nobody.
  if v_job.status = 'completed' and v_job.removed_at is null then
    v_shown := videos.admit_renewals(p_user_id, jsonb_build_array(v_shown || jsonb_build_object('paths', (
      select coalesce(jsonb_object_agg(a.kind, a.path), '{}') from videos.assets as a where a.job_id = v_job.id
    )))) -> 0;
  end if;
  return guard.answer(v_shown, v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.video_status to service_role;

create function api.keep_signed_urls(p_urls jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Keeps freshly signed URLs for the next reader: `p_urls` is a list of `{ job_id, video_url, thumbnail_url,
-- video_url_expires_at }`. `data`: `{ kept }`, how many. Jobs that have others with a later expiry are passed over, and
-- those that are locked: nothing waits for this, and it waits for nothing. Locks: jobs.
declare
  v_kept integer;
begin
  update videos.jobs as j
  set video_url = n.video_url, thumbnail_url = n.thumbnail_url, video_url_expires_at = n.video_url_expires_at
  from (
    select u.*
    from jsonb_to_recordset(p_urls) as u (
      job_id uuid, video_url text, thumbnail_url text, video_url_expires_at timestamptz
    )
    join videos.jobs as v on v.id = u.job_id
    where v.status = 'completed' and v.deleted_at is null and v.removed_at is null
      -- One that was removed and is shown again has none.
      and coalesce(v.video_url_expires_at, '-infinity') < u.video_url_expires_at
    for update of v skip locked
  ) as n
  where j.id = n.job_id;
  get diagnostics v_kept = row_count;
  return guard.answer(jsonb_build_object('kept', v_kept));
end;
$$;
grant execute on function api.keep_signed_urls to service_role;
