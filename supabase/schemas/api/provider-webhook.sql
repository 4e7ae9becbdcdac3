create function api.provider_webhook(
  p_owner uuid, p_provider text, p_submission_id uuid, p_event_id text, p_request_id text, p_state jsonb,
  p_without text[] default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Stores a webhook that is proved to be the provider's, and does what follows. For a request id that we recorded
-- it applies the state. For a submission whose id we never learned, it makes a `poll` task with the id that the
-- event names: only the provider's answer to us records it; after the job's end a success is noted as late. Any other
-- id changes nothing. Of a job whose account was closed, no more than the name of the state, and whether it is billed,
-- is stored. `data`: `{ job_id, effect: "applied" | "asked" | "ignored" | "replayed", tasks }`: with p_without `tasks` are
-- those of the job that the event made due, of no kind in p_without, claimed for the caller as queue.hand_out lists them.
-- auth/unauthenticated for a submission that is not there, or is another owner's. Locks: account → job → tasks → kinds.
declare
  v_submission videos.submissions;
  v_job videos.jobs;
  v_state jsonb := p_state;
  v_effect text;
begin
  select s.* into v_submission
  from videos.submissions as s
  where s.id = p_submission_id and s.provider = p_provider
    -- The URL was made for whoever they were then.
    and s.owner_id = accounts.heir_of((select u.id from accounts.users as u where u.reference = p_owner));
  if not found then
    return guard.refusal('auth/unauthenticated');
  end if;
  v_job := videos.lock_job(v_submission.job_id);
  select s.* into strict v_submission from videos.submissions as s where s.id = p_submission_id;
  if videos.is_abandoned(v_job) then
    v_state := jsonb_strip_nulls(jsonb_build_object(
      'state', p_state -> 'state', 'is_unbilled', p_state -> 'is_unbilled'
    ));
  end if;

  v_effect := case
    when v_submission.request_id = p_request_id and p_state ->> 'state' = 'unreachable' then 'asked'
    when v_submission.request_id = p_request_id then 'applied'
    when exists (
      select from videos.submissions as s where s.provider = p_provider and s.request_id = p_request_id
    ) then 'ignored'
    when v_submission.state in ('sending', 'unknown') then 'asked'
    else 'ignored'
  end;
  insert into videos.provider_events (
    provider, event_id, submission_id, owner_id, request_id, state, effect, received_at
  )
  values (
    p_provider, p_event_id, p_submission_id, v_job.user_id, p_request_id, v_state, v_effect, core.now()
  )
  on conflict do nothing;
  if not found then
    return guard.answer(jsonb_build_object('job_id', v_job.id, 'effect', 'replayed', 'tasks', '[]'::jsonb));
  end if;

  if v_effect = 'applied' then
    perform videos.apply_state(v_job, v_submission, v_state);
  elsif v_effect = 'asked' and v_job.completed_at is null then
    perform videos.add_task('poll', v_job, core.now(), jsonb_build_object('request_id', p_request_id));
  elsif v_effect = 'asked' and p_state ->> 'state' = 'succeeded' then
    -- Nothing but the operator's knowledge depends on it, so nobody is asked.
    update videos.jobs as j
    set late_success_at = core.now()
    where j.id = v_job.id and j.status <> 'completed' and j.late_success_at is null;
  end if;
  return guard.answer(jsonb_build_object(
    'job_id', v_job.id, 'effect', v_effect,
    'tasks', case when v_effect = 'ignored' or p_without is null then '[]' else queue.hand_out(10, v_job.id, p_without) end
  ));
end;
$$;
grant execute on function api.provider_webhook to service_role;
