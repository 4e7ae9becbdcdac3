create function api.reports(
  p_user_id uuid, p_job_id uuid, p_reason text, p_details text default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A user reports a video, their own or another's whose id they know: `data` is `{ report_id, job_id, reason, created_at }`. A
-- second report of the same video answers the first. resource/not-found for a video that is not there, not made yet, or
-- deleted. Counts against `writes`. Locks: rate-limit row → case.
declare
  v_caller record;
  v_report safety.reports;
begin
  v_caller := guard.enter(p_user_id, 'reports', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if (videos.reportable(p_job_id)).id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  v_report := safety.report(p_job_id, p_user_id, p_reason, p_details, core.now());
  return guard.answer(
    jsonb_build_object(
      'report_id', v_report.id, 'job_id', p_job_id, 'reason', v_report.reason, 'created_at', core.to_iso(v_report.created_at)
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.reports to service_role;
