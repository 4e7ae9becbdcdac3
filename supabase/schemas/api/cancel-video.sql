create function api.cancel_video(p_user_id uuid, p_job_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Cancels a job of the caller's. A pending one ends at once and gives its credits back. One that a provider has, or may
-- have, gets a `cancel` task, and only the provider's word ends it. `data`: `{ job }`. A second call answers as the
-- first. resource/not-found for a job that is not there, is deleted or is another's; resource/wrong-state while it is
-- stored, or ended otherwise. Counts against `writes`. Locks: rate-limit row → account → job → tasks.
declare
  v_caller record;
  v_job videos.jobs;
begin
  v_caller := guard.enter(p_user_id, 'cancel-video', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  -- Asked before locking, so that nobody can hold up another's job by naming it.
  if not exists (
    select from videos.jobs as j where j.id = p_job_id and j.user_id = p_user_id and j.deleted_at is null
  ) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  v_job := videos.lock_job(p_job_id);
  if v_job.storing_at is not null or (v_job.completed_at is not null and v_job.cancel_requested_at is null)
    or v_job.status in ('completed', 'failed')
  then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_job.status), v_caller.limits, v_caller.language);
  end if;

  if v_job.cancel_requested_at is null then
    update videos.jobs as j set cancel_requested_at = core.now() where j.id = p_job_id;
    if v_job.status = 'pending' then
      perform videos.settle_video_job(p_job_id, 'cancelled');
    else
      perform videos.add_task('cancel', v_job, core.now());
    end if;
  end if;
  select j.* into v_job from videos.jobs as j where j.id = p_job_id;
  return guard.answer(jsonb_build_object('job', videos.job_json(v_job)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.cancel_video to service_role;
