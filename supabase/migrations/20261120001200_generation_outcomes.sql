-- generation: what providers and storage say about a job that a provider has, in whatever order it arrives.

create function public.record_provider_event(
  p_provider text, p_submission_id uuid, p_event_id text, p_request_id text, p_state jsonb
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
-- id changes nothing. Of a job whose account was closed, no more than the name of the state is stored.
-- `data`: `{ job_id, effect: "applied" | "asked" | "ignored" | "replayed" }`. Raises no_data_found for an unknown
-- submission, whose token cannot be ours. Locks: account → job → tasks.
declare
  v_submission generation.submissions;
  v_job public.video_jobs;
  v_state jsonb := p_state;
  v_effect text;
begin
  select s.* into strict v_submission
  from generation.submissions as s
  where s.id = p_submission_id and s.provider = p_provider;
  v_job := generation.lock_job(v_submission.job_id);
  select s.* into strict v_submission from generation.submissions as s where s.id = p_submission_id;
  if generation.is_abandoned(v_job) then
    v_state := jsonb_build_object('state', p_state -> 'state');
  end if;

  v_effect := case
    when v_submission.request_id = p_request_id and p_state ->> 'state' = 'unreachable' then 'asked'
    when v_submission.request_id = p_request_id then 'applied'
    when exists (
      select from generation.submissions as s where s.provider = p_provider and s.request_id = p_request_id
    ) then 'ignored'
    when v_submission.state in ('sending', 'unknown') then 'asked'
    else 'ignored'
  end;
  insert into generation.events (provider, event_id, submission_id, request_id, state, effect, received_at)
  values (p_provider, p_event_id, p_submission_id, p_request_id, v_state, v_effect, ops.now())
  on conflict do nothing;
  if not found then
    return guard.answer(jsonb_build_object('job_id', v_job.id, 'effect', 'replayed'));
  end if;

  if v_effect = 'applied' then
    perform generation.apply_state(v_job, v_submission, v_state);
  elsif v_effect = 'asked' and v_job.completed_at is null then
    perform generation.add_task('poll', v_job.id, ops.now(), jsonb_build_object('request_id', p_request_id));
  elsif v_effect = 'asked' and p_state ->> 'state' = 'succeeded' then
    -- Nothing but the operator's knowledge depends on it, so nobody is asked.
    update public.video_jobs as j
    set late_success_at = ops.now()
    where j.id = v_job.id and j.status <> 'completed' and j.late_success_at is null;
  end if;
  return guard.answer(jsonb_build_object('job_id', v_job.id, 'effect', v_effect));
end;
$$;

revoke all on function public.record_provider_event(text, uuid, text, text, jsonb) from public, anon, authenticated;
grant execute on function public.record_provider_event(text, uuid, text, text, jsonb) to service_role;
comment on function public.record_provider_event(text, uuid, text, text, jsonb) is 'A webhook, once.';

create function public.record_poll(
  p_task_id bigint, p_attempt integer, p_submission_id uuid, p_request_id text, p_state jsonb,
  p_interval_seconds numeric
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Records the provider's answer to a poll. An id that an event named becomes the submission's own here, unless the
-- provider does not know it, or it is another submission's. While the job runs, the task comes back by its backoff, at
-- least p_interval_seconds later. `data`: `{ status }`. An attempt that lost its lease only adds what it learned.
-- Locks: account → job → submission → task.
declare
  v_submission generation.submissions;
  v_job public.video_jobs;
  v_now timestamptz;
  v_state constant text := p_state ->> 'state';
begin
  select s.* into strict v_submission from generation.submissions as s where s.id = p_submission_id;
  v_job := generation.lock_job(v_submission.job_id);
  select s.* into strict v_submission from generation.submissions as s where s.id = p_submission_id for update;
  v_now := ops.now();

  if v_submission.request_id is null and v_submission.state in ('sending', 'unknown')
    and v_state not in ('not_found', 'unreachable')
  then
    begin
      update generation.submissions as s
      set state = 'accepted', request_id = p_request_id, accepted_at = v_now
      where s.id = p_submission_id
      returning s.* into v_submission;
      delete from generation.tasks as t where t.kind = 'submit' and t.subject = v_job.id;
      -- There is now somebody to ask.
      if v_job.cancel_requested_at is not null and v_job.completed_at is null then
        perform generation.add_task('cancel', v_job.id, v_now);
      end if;
    exception
      -- It is another submission's.
      when unique_violation then null;
    end;
  end if;
  if v_submission.request_id = p_request_id then
    perform generation.apply_state(v_job, v_submission, p_state);
  end if;

  -- Still there: the job goes on. An id that is not this submission's is not asked for again.
  if v_submission.request_id is null and v_state <> 'unreachable' then
    delete from generation.tasks as t where t.id = p_task_id and t.attempts = p_attempt;
  else
    update generation.tasks as t
    set leased_until = null,
        last_error = p_state ->> 'cause',
        run_at = greatest(
          generation.retry_at('poll', t.attempts),
          v_now + make_interval(secs => p_interval_seconds::double precision)
        )
    where t.id = p_task_id and t.attempts = p_attempt;
  end if;
  return guard.answer((select jsonb_build_object('status', j.status) from public.video_jobs as j where j.id = v_job.id));
end;
$$;

revoke all on function public.record_poll(bigint, integer, uuid, text, jsonb, numeric) from public, anon, authenticated;
grant execute on function public.record_poll(bigint, integer, uuid, text, jsonb, numeric) to service_role;
comment on function public.record_poll(bigint, integer, uuid, text, jsonb, numeric) is 'What the provider answered us.';

create function public.record_cancel(p_task_id bigint, p_attempt integer, p_job_id uuid, p_outcome jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Records the answer to a cancellation, as the provider port names it, or `{ outcome: "no_request_id" }` where no
-- provider could be asked. Past its deadline the job ends whatever the answer: with ERR_5001 where a provider has
-- or may have it, else ERR_5002; and so does one whose account was closed, unless its request is still on its way, and
-- its provider to be asked when it has the id. Before, only the provider's word cancels; `requested` is not that word
-- yet. `data`: `{ status }`. Locks: account → job → task.
declare
  v_job public.video_jobs;
  v_outcome constant text := p_outcome ->> 'outcome';
begin
  v_job := generation.lock_job(p_job_id);
  if v_job.completed_at is null and (
    v_job.due_at <= ops.now()
    or generation.is_abandoned(v_job) and coalesce(generation.sending_until(p_job_id) <= ops.now(), true)
  ) then
    perform generation.settle_overdue_job(v_job);
  elsif v_job.completed_at is null and v_job.storing_at is null and v_outcome = 'cancelled' then
    perform generation.settle_video_job(p_job_id, 'cancelled');
  elsif v_outcome in ('requested', 'too_late', 'not_found') then
    delete from generation.tasks as t where t.id = p_task_id and t.attempts = p_attempt;
    -- Its next poll brings the word.
    update generation.tasks as t set run_at = ops.now() where t.kind = 'poll' and t.subject = p_job_id
      and t.leased_until is null and t.failed_at is null;
  else
    perform public.retry_task(p_task_id, p_attempt, coalesce(p_outcome ->> 'cause', v_outcome));
  end if;
  return guard.answer((select jsonb_build_object('status', j.status) from public.video_jobs as j where j.id = p_job_id));
end;
$$;

revoke all on function public.record_cancel(bigint, integer, uuid, jsonb) from public, anon, authenticated;
grant execute on function public.record_cancel(bigint, integer, uuid, jsonb) to service_role;
comment on function public.record_cancel(bigint, integer, uuid, jsonb) is 'The answer to a cancellation.';

create function generation.differences(
  p_settings jsonb, p_duration_milliseconds integer, p_width integer, p_height integer
)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
-- What a file is that was not asked for, for the operator: `{ duration_milliseconds, aspect_ratio, resolution }`, those
-- that differ; null where none does. Models round: a second more or less, or a twentieth of the ratio, is no difference.
declare
  v_asked_ratio constant numeric := split_part(p_settings ->> 'aspect_ratio', ':', 1)::numeric
    / split_part(p_settings ->> 'aspect_ratio', ':', 2)::numeric;
  v_differences jsonb := '{}';
begin
  if abs(p_duration_milliseconds - (p_settings ->> 'duration_seconds')::integer * 1000) > 1000 then
    v_differences := v_differences || jsonb_build_object('duration_milliseconds', p_duration_milliseconds);
  end if;
  if abs(p_width::numeric / p_height - v_asked_ratio) > v_asked_ratio / 20 then
    v_differences := v_differences || jsonb_build_object('aspect_ratio', format('%s:%s', p_width, p_height));
  end if;
  -- 720p names the shorter side.
  if least(p_width, p_height) < substring(p_settings ->> 'resolution' from '^\d+')::integer then
    v_differences := v_differences || jsonb_build_object('resolution', format('%sp', least(p_width, p_height)));
  end if;
  return nullif(v_differences, '{}');
exception
  -- Settings of another form are nothing to fail a finished video for.
  when invalid_text_representation or division_by_zero then
    return null;
end;
$$;

revoke all on function generation.differences(jsonb, integer, integer, integer)
  from public, anon, authenticated, service_role;
comment on function generation.differences(jsonb, integer, integer, integer) is 'Asked for one thing, got another.';

create function public.record_stored(
  p_task_id bigint, p_attempt integer, p_job_id uuid, p_assets jsonb, p_urls jsonb
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The files are in storage: writes their assets, captures the hold and completes the job, at once. p_assets is a
-- list of `{ kind, path, bytes, content_type, sha256, duration_milliseconds, width, height }`; p_urls is
-- `{ video_url, thumbnail_url, video_url_expires_at }`, the first signed URLs. `data`: `{ status }`. A second call, or
-- one after the job's end, changes no job; where that ended without its video, the files are removed.
-- Locks: account → job → lots → task.
declare
  v_job public.video_jobs;
begin
  v_job := generation.lock_job(p_job_id);
  if v_job.completed_at is null then
    insert into generation.assets (
      job_id, kind, path, bytes, content_type, sha256, duration_milliseconds, width, height, differences, created_at
    )
    select p_job_id, a.kind, a.path, a.bytes, a.content_type, a.sha256, a.duration_milliseconds, a.width, a.height,
      case a.kind when 'video' then generation.differences(
        v_job.settings, a.duration_milliseconds, a.width, a.height
      ) end, ops.now()
    from jsonb_to_recordset(p_assets) as a (
      kind generation.asset_kind, path text, bytes bigint, content_type text, sha256 text,
      duration_milliseconds integer, width integer, height integer
    );
    update public.video_jobs as j
    set video_url = p_urls ->> 'video_url', thumbnail_url = p_urls ->> 'thumbnail_url',
        video_url_expires_at = (p_urls ->> 'video_url_expires_at')::timestamptz
    where j.id = p_job_id;
    perform generation.settle_video_job(p_job_id, 'completed');
  elsif v_job.status <> 'completed' then
    perform generation.add_task('delete_files', p_job_id, ops.now());
  end if;
  delete from generation.tasks as t where t.id = p_task_id and t.attempts = p_attempt;
  return guard.answer((select jsonb_build_object('status', j.status) from public.video_jobs as j where j.id = p_job_id));
end;
$$;

revoke all on function public.record_stored(bigint, integer, uuid, jsonb, jsonb) from public, anon, authenticated;
grant execute on function public.record_stored(bigint, integer, uuid, jsonb, jsonb) to service_role;
comment on function public.record_stored(bigint, integer, uuid, jsonb, jsonb) is 'A job is completed here, and only here.';

create function public.record_unusable_result(p_task_id bigint, p_attempt integer, p_job_id uuid, p_cause text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The provider's result is not a video that we could keep: ends the job with ERR_5003 and gives the credits back.
-- What is in storage of it is removed. `data`: `{ status }`. An attempt that lost its lease ends nothing.
-- Locks: account → job → task.
declare
  v_job public.video_jobs;
begin
  v_job := generation.lock_job(p_job_id);
  if v_job.completed_at is null and exists (
    select from generation.tasks as t where t.id = p_task_id and t.attempts = p_attempt
  ) then
    update generation.submissions as s set cause = p_cause where s.job_id = p_job_id and s.state = 'ended';
    perform generation.settle_video_job(p_job_id, 'failed', 'ERR_5003', '{"reason": "invalid_result"}');
  end if;
  select j.* into v_job from public.video_jobs as j where j.id = p_job_id;
  if v_job.completed_at is not null and v_job.status <> 'completed' then
    perform generation.add_task('delete_files', p_job_id, ops.now());
  end if;
  return guard.answer(jsonb_build_object('status', v_job.status));
end;
$$;

revoke all on function public.record_unusable_result(bigint, integer, uuid, text) from public, anon, authenticated;
grant execute on function public.record_unusable_result(bigint, integer, uuid, text) to service_role;
comment on function public.record_unusable_result(bigint, integer, uuid, text) is 'A result that is no playable video.';
