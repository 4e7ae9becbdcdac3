create function api.appeals(p_user_id uuid, p_job_id uuid, p_statement text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The user of a removed video objects, once for each removal, also where they are suspended: `data` is `{ job_id, status }`,
-- `appealed`; said again in the same words, it is the same appeal. resource/not-found for a job that is not there, is deleted
-- or is another's; resource/wrong-state, with `completed` where nothing was removed, or what became of the case: `appealed`
-- where other words were said before, `removed` where the appeal was rejected, `restored` where it was granted. Counts
-- against `writes`. Locks: rate-limit row → case.
declare
  v_caller record;
  v_job videos.jobs;
  v_case safety.cases;
begin
  v_caller := guard.enter(p_user_id, 'appeals', '{writes}', null, p_suspended => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_job := videos.reportable(p_job_id);
  if v_job.user_id is distinct from p_user_id then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if v_job.removed_at is not null then
    v_case := safety.appeal(p_job_id, p_statement);
  end if;
  if v_case.status is distinct from 'appealed' or v_case.appeal is distinct from p_statement then
    return guard.refusal('resource/wrong-state', jsonb_build_object(
      'status', coalesce(v_case.status::text, v_job.status::text)
    ), v_caller.limits, v_caller.language);
  end if;
  return guard.answer(jsonb_build_object('job_id', p_job_id, 'status', 'appealed'), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.appeals to service_role;
