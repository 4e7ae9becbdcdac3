create function api.delete_video_job(p_user_id uuid, p_job_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Hides an ended job of the caller's for good, with what was told of it, and makes the task that removes its files; the
-- ledger keeps its entries.
-- `data`: `{ deleted_at }`. resource/not-found for a job that is not there, is deleted already or is another's;
-- resource/wrong-state for one that has not ended, or that a running job is made from. Counts against `writes`. Locks: rate-limit row → account → job →
-- events → deliveries → project → task.
declare
  v_caller record;
  v_job videos.jobs;
  v_now timestamptz;
begin
  v_caller := guard.enter(
    p_user_id, 'delete-video-job', '{writes}', null, p_locks => true, p_session_id => p_session_id
  );
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  if not exists (
    select from videos.jobs as j where j.id = p_job_id and j.user_id = p_user_id and j.deleted_at is null
  ) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  v_job := videos.lock_job(p_job_id);
  if v_job.deleted_at is not null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if v_job.completed_at is null then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_job.status), v_caller.limits, v_caller.language);
  end if;
  if videos.is_source(v_job.user_id, p_job_id) then
    return guard.refusal('resource/wrong-state', '{"status": "in_use"}', v_caller.limits, v_caller.language);
  end if;

  v_now := core.now();
  update videos.jobs as j
  set deleted_at = v_now, video_url = null, video_url_expires_at = null, thumbnail_url = null
  where j.id = p_job_id;
  perform videos.untell_job(v_job);
  if v_job.project_id is not null then
    perform videos.count_in_project(v_job.project_id, -1);
  end if;
  -- Of one that was removed just now, its bytes are to be known first: that task makes the other.
  if exists (select from videos.assets as a where a.job_id = p_job_id and a.deleted_at is null)
    and not queue.has_open('fingerprint', p_job_id)
  then
    perform videos.add_task('delete_files', v_job, v_now);
  end if;
  return guard.answer(jsonb_build_object('deleted_at', core.to_iso(v_now)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_video_job to service_role;
