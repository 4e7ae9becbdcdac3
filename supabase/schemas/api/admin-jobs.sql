create function api.get_admin_jobs(
  p_admin_id uuid, p_limit integer, p_status text default null, p_user_id uuid default null, p_model_id uuid default null,
  p_provider text default null, p_error_code text default null, p_job_id uuid default null, p_after jsonb default null,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the jobs, as ops.find_jobs: `data` is `{ jobs, story, next }`, `story` being null. Or one job, where p_job_id is given,
-- with its story, as ops.job_story; resource/not-found where there is none. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
  v_story jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-jobs', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if p_job_id is null then
    return guard.answer(
      ops.find_jobs(p_limit, p_status, p_user_id, p_model_id, p_provider, p_error_code, p_after) || '{"story": null}',
      v_caller.limits, v_caller.language
    );
  end if;
  v_story := ops.job_story(p_job_id);
  if v_story is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(
    jsonb_build_object('jobs', '[]'::jsonb, 'story', v_story, 'next', null), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_admin_jobs to service_role;

create function api.post_admin_jobs(
  p_admin_id uuid, p_request_id text, p_job_id uuid, p_reason text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Reads what a user wrote, and writes down that it was read: `data` is `{ job_id, prompt }`, `prompt` being null once it is erased.
-- resource/not-found where there is no such job. A second call reads, and is written down, again. Counts against `admin`. Locks:
-- rate-limit row.
declare
  v_caller record;
  v_job videos.jobs;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-jobs', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select j.* into v_job from videos.jobs as j where j.id = p_job_id;
  if not found then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  insert into ops.admin_actions (action, admin_id, user_id, job_id, reason, request_id, created_at)
  values ('read_prompt', p_admin_id, v_job.user_id, p_job_id, p_reason, p_request_id, core.now());
  return guard.answer(
    jsonb_build_object('job_id', p_job_id, 'prompt', nullif(v_job.prompt, '')), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.post_admin_jobs to service_role;
