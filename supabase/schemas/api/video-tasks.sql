create function api.record_poll(
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
-- Locks: account → job → submission → task → alert.
declare
  v_submission videos.submissions;
  v_job videos.jobs;
  v_now timestamptz;
  v_state constant text := p_state ->> 'state';
begin
  select s.* into strict v_submission from videos.submissions as s where s.id = p_submission_id;
  v_job := videos.lock_job(v_submission.job_id);
  select s.* into strict v_submission from videos.submissions as s where s.id = p_submission_id for update;
  v_now := core.now();

  if v_submission.request_id is null and v_submission.state in ('sending', 'unknown')
    and v_state not in ('not_found', 'unreachable')
  then
    begin
      update videos.submissions as s
      set state = 'accepted', request_id = p_request_id, accepted_at = v_now
      where s.id = p_submission_id
      returning s.* into v_submission;
      perform queue.drop(v_job.id, '{submit}');
      -- There is now somebody to ask.
      if v_job.cancel_requested_at is not null and v_job.completed_at is null then
        perform videos.add_task('cancel', v_job, v_now);
      end if;
    exception
      -- It is another submission's.
      when unique_violation then null;
    end;
  end if;
  if v_submission.request_id = p_request_id then
    perform videos.apply_state(v_job, v_submission, p_state);
  end if;

  -- Still there: the job goes on. An id that is another submission's is not asked for again; one that the provider does
  -- not know yet is.
  if v_submission.request_id is null and v_state not in ('unreachable', 'not_found') then
    perform queue.finish(p_task_id, p_attempt);
  else
    perform queue.retry(p_task_id, p_attempt, p_state ->> 'cause', p_interval_seconds);
  end if;
  perform videos.alert_about(v_submission, p_state);
  return guard.answer((select jsonb_build_object('status', j.status) from videos.jobs as j where j.id = v_job.id));
end;
$$;
grant execute on function api.record_poll to service_role;

create function api.record_cancel(p_task_id bigint, p_attempt integer, p_job_id uuid, p_outcome jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Records the answer to a cancellation, as the provider port names it, or `{ outcome: "no_request_id" }` where no
-- provider could be asked. Past its deadline the job ends whatever the answer: with provider/timed-out where a provider
-- has or may have it, else provider/unavailable; and so does one whose account was closed, unless its request is still
-- on its way, and its provider to be asked when it has the id. Before, only the provider's word cancels; `requested` is
-- not that word yet. Where the provider does not serve us until the operator has mended it, a job that it has gets 10
-- minutes more, for a day: what it makes is to be paid, and the user may still get it. What it cancelled without a bill
-- is given back to the day's spending. `data`: `{ status }`. Locks: account → job → submission → provider → its
-- spending → lots → task → alert.
declare
  v_job videos.jobs;
  v_submission videos.submissions;
  v_outcome constant text := p_outcome ->> 'outcome';
  v_now timestamptz;
begin
  v_job := videos.lock_job(p_job_id);
  v_now := core.now();
  select s.* into v_submission from videos.submissions as s where s.job_id = p_job_id and s.state = 'accepted';
  if v_outcome = 'cancelled' and (p_outcome ->> 'is_unbilled')::boolean then
    perform videos.note_unbilled(v_job, s.id)
    from videos.submissions as s
    where s.job_id = p_job_id and s.state in ('accepted', 'ended');
  end if;
  if v_job.due_at <= v_now and (p_outcome ->> 'needs_operator')::boolean and v_submission.id is not null
    and v_job.created_at > v_now - interval '1 day' and not videos.is_abandoned(v_job)
  then
    update videos.jobs as j set due_at = v_now + interval '10 minutes' where j.id = p_job_id;
    perform queue.finish(p_task_id, p_attempt);
  elsif v_job.completed_at is null and (
    v_job.due_at <= v_now
    or videos.is_abandoned(v_job) and coalesce(videos.sending_until(p_job_id) <= v_now, true)
  ) then
    perform videos.settle_overdue_job(v_job);
  elsif v_job.completed_at is null and v_job.storing_at is null and v_outcome = 'cancelled' then
    perform videos.settle_video_job(p_job_id, 'cancelled');
  elsif v_outcome in ('requested', 'too_late', 'not_found') then
    perform queue.finish(p_task_id, p_attempt);
    -- Its next poll brings the word.
    perform queue.hasten('poll', p_job_id);
  else
    perform queue.retry(p_task_id, p_attempt, coalesce(p_outcome ->> 'cause', v_outcome));
  end if;
  perform videos.alert_about(v_submission, p_outcome);
  return guard.answer((select jsonb_build_object('status', j.status) from videos.jobs as j where j.id = p_job_id));
end;
$$;
grant execute on function api.record_cancel to service_role;

create function api.record_stored(
  p_task_id bigint, p_attempt integer, p_job_id uuid, p_assets jsonb, p_urls jsonb
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The files are in storage: writes their assets, captures the hold and completes the job, at once; or, where the video has
-- the size and the length of one that was removed, makes the `fingerprint` task that decides. p_assets is a list of `{ kind,
-- path, bytes, content_type, duration_milliseconds, width, height, codec, frames }`; p_urls is `{ video_url, thumbnail_url,
-- video_url_expires_at }`, the first signed URLs. A video that is not what was ordered (videos.judge) is an unusable result
-- instead, and an alert. `data`: `{ status }`. A second call, or one after the job's end, changes no job; where that ended
-- without its video, the files are removed. Locks: account → job → lots → task → alert.
declare
  v_job videos.jobs;
  v_judged record;
begin
  v_job := videos.lock_job(p_job_id);
  if v_job.completed_at is null then
    select j.differences, j.quality into v_judged
    from jsonb_to_recordset(p_assets) as a (
      kind videos.asset_kind, duration_milliseconds integer, width integer, height integer, codec text, frames integer
    )
    join videos.models as m on m.id = v_job.model_id
    cross join lateral videos.judge(
      v_job.settings, m.unpromised, a.duration_milliseconds, a.width, a.height, a.codec, a.frames
    ) as j
    where a.kind = 'video';
    if v_judged.differences is not null then
      v_job := videos.refuse_result(v_job, p_task_id, p_attempt, format('not what was ordered: %s', v_judged.differences));
      if v_job.status = 'failed' then
        perform ops.raise_alert('wrong_video', s.provider || ' ' || s.provider_model, jsonb_build_object(
          'job_id', p_job_id, 'ordered', v_job.settings, 'delivered', v_judged.differences
        ))
        from videos.submissions as s where s.job_id = p_job_id and s.state = 'ended';
      end if;
      return guard.answer(jsonb_build_object('status', v_job.status));
    end if;
    if exists (
      select from jsonb_to_recordset(p_assets) as a (kind text, bytes bigint, duration_milliseconds integer)
      where a.kind = 'video' and safety.may_be_removed(a.bytes, a.duration_milliseconds)
    ) then
      perform videos.add_task('fingerprint', v_job, core.now(), jsonb_build_object(
        'assets', p_assets, 'urls', p_urls, 'quality', v_judged.quality
      ));
    else
      perform videos.complete_stored(v_job, p_assets, p_urls, v_judged.quality);
    end if;
  elsif v_job.status <> 'completed' then
    perform videos.add_task('delete_files', v_job, core.now());
  end if;
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer((select jsonb_build_object('status', j.status) from videos.jobs as j where j.id = p_job_id));
end;
$$;
grant execute on function api.record_stored to service_role;

create function api.record_unusable_result(p_task_id bigint, p_attempt integer, p_job_id uuid, p_cause text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The provider's result is not a video that we could keep: see videos.refuse_result. `data`: `{ status }`. Locks: account →
-- job → task.
begin
  return guard.answer(jsonb_build_object(
    'status', (videos.refuse_result(videos.lock_job(p_job_id), p_task_id, p_attempt, p_cause)).status
  ));
end;
$$;
grant execute on function api.record_unusable_result to service_role;

create function api.record_fingerprint(p_task_id bigint, p_attempt integer, p_job_id uuid, p_sha256 text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The SHA-256 of a video in storage, in hex; null where there is no file. What it means, videos.apply_fingerprint says; a
-- video that is to be completed and is not there is looked for again, and when no try is left its credits go back. `data`:
-- `{ status }`. An attempt that lost its lease changes nothing, and so does a second call. Locks: account → job → lots → task.
declare
  v_job videos.jobs;
  v_payload jsonb;
begin
  v_job := videos.lock_job(p_job_id);
  select t.payload into v_payload
  from queue.tasks as t
  where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null;
  if found and p_sha256 is null and v_job.completed_at is null then
    perform queue.retry(p_task_id, p_attempt, 'the video is not in storage');
  elsif found then
    perform videos.apply_fingerprint(v_job, v_payload, p_sha256);
    perform queue.finish(p_task_id, p_attempt);
  end if;
  return guard.answer((select jsonb_build_object('status', j.status) from videos.jobs as j where j.id = p_job_id));
end;
$$;
grant execute on function api.record_fingerprint to service_role;

create function api.record_files_deleted(p_task_id bigint, p_attempt integer, p_job_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The files of a deleted or removed job are gone from storage. `data`: `{ deleted }`, how many. A second call finds none. Under a
-- legal hold none are, and the task comes back: what is lifted hastens it.
declare
  v_deleted integer;
begin
  if (select safety.is_held(j.user_id) from videos.jobs as j where j.id = p_job_id) then
    perform queue.repeat(p_task_id, p_attempt, core.now() + interval '1 day', p_error => 'under a legal hold');
    return guard.answer('{"deleted": 0}');
  end if;
  update videos.assets as a
  set deleted_at = core.now()
  from videos.jobs as j
  where a.job_id = p_job_id and j.id = a.job_id and (j.deleted_at is not null or j.removed_at is not null)
    and a.deleted_at is null;
  get diagnostics v_deleted = row_count;
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer(jsonb_build_object('deleted', v_deleted));
end;
$$;
grant execute on function api.record_files_deleted to service_role;

create function api.record_provider_accounts(p_task_id bigint, p_attempt integer, p_accounts jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Notes what providers say of our account, and ends the task: p_accounts is `[{ provider, balance_cents, is_locked, day,
-- billed_cents }]`. `data`: `{ finished }`, false for an attempt that has lost its task, which notes nothing. Locks: task →
-- accounts, in the order of their names.
declare
  v_account record;
begin
  if not queue.finish(p_task_id, p_attempt) then
    return guard.answer('{"finished": false}');
  end if;
  for v_account in
    select a.*
    from jsonb_to_recordset(p_accounts) as a (
      provider text, balance_cents numeric, is_locked boolean, day date, billed_cents numeric
    )
    join videos.providers as v on v.name = a.provider
    order by a.provider
  loop
    perform videos.note_provider_account(
      v_account.provider, v_account.balance_cents, v_account.is_locked, v_account.day, v_account.billed_cents
    );
  end loop;
  return guard.answer('{"finished": true}');
end;
$$;
grant execute on function api.record_provider_accounts to service_role;
