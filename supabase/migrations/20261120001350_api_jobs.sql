-- The procedures behind cancel-video and delete-video-job, and the removal of files that follows.

create function public.cancel_video(p_user_id uuid, p_job_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Cancels a job of the caller's. A pending one ends at once and gives its credits back. One that a provider has, or may
-- have, gets a `cancel` task, and only the provider's word ends it. `data`: `{ job }`. A second call answers as the
-- first. ERR_4007 for a job that is not there, is deleted or is another's; ERR_4009 while it is stored, or ended
-- otherwise. Counts against `writes`. Locks: rate-limit row → account → job → tasks.
declare
  v_caller record;
  v_job public.video_jobs;
begin
  select * into v_caller from guard.enter(p_user_id, 'cancel-video', '{writes}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  -- Asked before locking, so that nobody can hold up another's job by naming it.
  if not exists (
    select from public.video_jobs as j where j.id = p_job_id and j.user_id = p_user_id and j.deleted_at is null
  ) then
    return guard.refusal('ERR_4007', '{}', v_caller.limits);
  end if;
  v_job := generation.lock_job(p_job_id);
  if v_job.storing_at is not null or (v_job.completed_at is not null and v_job.cancel_requested_at is null)
    or v_job.status in ('completed', 'failed')
  then
    return guard.refusal('ERR_4009', jsonb_build_object('status', v_job.status), v_caller.limits);
  end if;

  if v_job.cancel_requested_at is null then
    update public.video_jobs as j set cancel_requested_at = ops.now() where j.id = p_job_id;
    if v_job.status = 'pending' then
      perform generation.settle_video_job(p_job_id, 'cancelled');
    else
      perform generation.add_task('cancel', p_job_id, ops.now());
    end if;
  end if;
  select j.* into v_job from public.video_jobs as j where j.id = p_job_id;
  return guard.answer(jsonb_build_object('job', generation.job_json(v_job)), v_caller.limits, v_caller.language);
end;
$$;

revoke all on function public.cancel_video(uuid, uuid) from public, anon, authenticated;
grant execute on function public.cancel_video(uuid, uuid) to service_role;
comment on function public.cancel_video(uuid, uuid) is 'Behind POST cancel-video.';

create function public.delete_video_job(p_user_id uuid, p_job_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Hides an ended job of the caller's for good and makes the task that removes its files; the ledger keeps its entries.
-- `data`: `{ deleted_at }`. ERR_4007 for a job that is not there, is deleted already or is another's; ERR_4009 for one
-- that has not ended. Counts against `writes`. Locks: rate-limit row → account → job → task.
declare
  v_caller record;
  v_job public.video_jobs;
  v_now timestamptz;
begin
  select * into v_caller from guard.enter(p_user_id, 'delete-video-job', '{writes}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  if not exists (
    select from public.video_jobs as j where j.id = p_job_id and j.user_id = p_user_id and j.deleted_at is null
  ) then
    return guard.refusal('ERR_4007', '{}', v_caller.limits);
  end if;
  v_job := generation.lock_job(p_job_id);
  if v_job.deleted_at is not null then
    return guard.refusal('ERR_4007', '{}', v_caller.limits);
  end if;
  if v_job.completed_at is null then
    return guard.refusal('ERR_4009', jsonb_build_object('status', v_job.status), v_caller.limits);
  end if;

  v_now := ops.now();
  update public.video_jobs as j
  set deleted_at = v_now, video_url = null, video_url_expires_at = null, thumbnail_url = null
  where j.id = p_job_id;
  if exists (select from generation.assets as a where a.job_id = p_job_id and a.deleted_at is null) then
    perform generation.add_task('delete_files', p_job_id, v_now);
  end if;
  return guard.answer(jsonb_build_object('deleted_at', ops.to_iso(v_now)), v_caller.limits, v_caller.language);
end;
$$;

revoke all on function public.delete_video_job(uuid, uuid) from public, anon, authenticated;
grant execute on function public.delete_video_job(uuid, uuid) to service_role;
comment on function public.delete_video_job(uuid, uuid) is 'Behind DELETE delete-video-job.';

create function public.record_files_deleted(p_task_id bigint, p_attempt integer, p_job_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The files of a deleted job are gone from storage. `data`: `{ deleted }`, how many. A second call finds none.
declare
  v_deleted integer;
begin
  update generation.assets as a
  set deleted_at = ops.now()
  from public.video_jobs as j
  where a.job_id = p_job_id and j.id = a.job_id and j.deleted_at is not null and a.deleted_at is null;
  get diagnostics v_deleted = row_count;
  delete from generation.tasks as t where t.id = p_task_id and t.attempts = p_attempt;
  return guard.answer(jsonb_build_object('deleted', v_deleted));
end;
$$;

revoke all on function public.record_files_deleted(bigint, integer, uuid) from public, anon, authenticated;
grant execute on function public.record_files_deleted(bigint, integer, uuid) to service_role;
comment on function public.record_files_deleted(bigint, integer, uuid) is 'The end of a delete_files task.';
