create function api.takedown_notices(p_network text, p_job_id uuid, p_contact text, p_statement text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Somebody, of whom nothing is known but how to reach them, wants a video removed: `data` is `{ notice_id, job_id,
-- received_at, due_at }`, `due_at` being when the operator has decided at the latest, null where that is done. The same again
-- answers the first. It hides nothing. resource/not-found for a video that is not there, not made yet, or deleted. Counts
-- against `takedown_notices` and `takedown_notices_network`. Locks: rate-limit rows → case.
declare
  v_taken guard.taken;
  v_job videos.jobs;
  v_notice safety.notices;
begin
  v_taken := guard.take('{takedown_notices,takedown_notices_network}', null, p_network, 'takedown-notices');
  if v_taken.refusal is not null then
    return v_taken.refusal;
  end if;
  v_job := videos.reportable(p_job_id);
  if v_job.id is null then
    return guard.refusal('resource/not-found', '{}', guard.limits_json(v_taken.limits));
  end if;
  v_notice := safety.notify(p_job_id, p_contact, p_statement, core.now());
  return guard.answer(
    jsonb_build_object(
      'notice_id', v_notice.id, 'job_id', p_job_id, 'received_at', core.to_iso(v_notice.received_at),
      'due_at', core.to_iso((safety.case_of(v_notice.case_id)).due_at)
    ),
    guard.limits_json(v_taken.limits)
  );
end;
$$;
grant execute on function api.takedown_notices to service_role;
