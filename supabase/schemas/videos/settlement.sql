create function videos.settle_video_job(
  p_job_id uuid, p_status videos.job_status, p_error_code text default null, p_error_details jsonb default '{}'
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Ends a job: captures its hold when it is completed, else releases it, in the same transaction. True when this
-- call ended it; a job that has ended stays as it is, and the call changes nothing. Its open tasks are deleted; where
-- an attempt to store its video may have left files, a `delete_files` task removes them.
-- A job of a closed account ends as cancelled, whatever p_status says.
-- Locks: account → job → lots → hits → tasks.
begin
  return videos.settle_locked_job(videos.lock_job(p_job_id), p_status, p_error_code, p_error_details);
end;
$$;

create function videos.settle_locked_job(
  p_job videos.jobs, p_status videos.job_status, p_error_code text default null, p_error_details jsonb default '{}',
  p_urls jsonb default '{}'
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- videos.settle_video_job for who has just locked the job, with its account. p_urls: `{ video_url, thumbnail_url,
-- video_url_expires_at }` of a completed one. Locks: lots → hits → tasks.
declare
  v_status videos.job_status;
  v_now timestamptz;
begin
  if p_job.completed_at is not null then
    return false;
  end if;
  v_status := case when videos.is_abandoned(p_job) then 'cancelled' else p_status end;
  v_now := core.now();

  if v_status = 'completed' then
    perform credits.capture(p_job.id);
    -- It is paid for. A job was accepted at the time of its hit.
    perform guard.give_back('uncaptured_jobs', p_job.user_id, p_job.created_at);
  else
    perform credits.release(p_job.id);
  end if;
  update videos.jobs as j
  set status = v_status,
      credits_used = case when v_status = 'completed' then j.credits_used else 0 end,
      error_code = case when v_status = 'failed' then p_error_code end,
      error_details = case when v_status = 'failed' then p_error_details end,
      completed_at = v_now,
      due_at = null,
      video_url = case when v_status = 'completed' then p_urls ->> 'video_url' end,
      thumbnail_url = case when v_status = 'completed' then p_urls ->> 'thumbnail_url' end,
      video_url_expires_at = case when v_status = 'completed' then (p_urls ->> 'video_url_expires_at')::timestamptz end
  where j.id = p_job.id;
  if v_status <> 'completed' and p_job.storing_at is not null then
    -- A worker that still stores it is done by then, or asks for it itself.
    perform videos.add_task('delete_files', p_job, greatest(v_now, queue.attempt_ends_at('store', p_job.id)));
  end if;
  perform queue.drop(p_job.id, '{submit,poll,cancel,store,fingerprint}');
  return true;
end;
$$;

create function videos.note_unbilled(p_job videos.jobs, p_submission_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The provider says that a submission of this job ended without a bill. Of one that succeeded, whenever that was said,
-- it is not believed. The caller has locked the job.
begin
  if p_job.storing_at is null and p_job.late_success_at is null then
    perform videos.note_bill(p_submission_id, false);
  end if;
end;
$$;

create function videos.apply_state(
  p_job videos.jobs, p_submission videos.submissions, p_state jsonb
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What a provider's word means for a job, and for the day's spending. The caller has locked account and job, has read the
-- submission after that, and proved that the word is about it. Idempotent, and indifferent to the order in which words arrive.
declare
  v_now constant timestamptz := core.now();
  v_state constant text := p_state ->> 'state';
  -- A provider that has just taken a request may not find it everywhere at once.
  v_may_be_missing constant interval := '2 minutes';
begin
  if v_state = 'unreachable' then
    return;
  end if;
  if (v_state = 'not_found') <> (p_submission.missing_since is not null) then
    update videos.submissions as s
    set missing_since = case v_state when 'not_found' then v_now end
    where s.id = p_submission.id;
  end if;
  if v_state in ('succeeded', 'failed') then
    perform videos.note_finished(p_submission.provider);
  end if;
  if v_state in ('succeeded', 'failed', 'cancelled') then
    update videos.submissions as s
    set state = 'ended', ended_at = v_now, cause = coalesce(p_state #>> '{failure,cause}', s.cause)
    where s.id = p_submission.id and s.state <> 'ended';
  end if;
  if v_state = 'succeeded' then
    if p_submission.counted_on is null then
      perform videos.note_bill(p_submission.id, true);
    end if;
  elsif (p_state ->> 'is_unbilled')::boolean then
    perform videos.note_unbilled(p_job, p_submission.id);
  end if;

  if p_job.completed_at is not null then
    if v_state = 'succeeded' and p_job.status <> 'completed' then
      update videos.jobs as j
      set late_success_at = v_now
      where j.id = p_job.id and j.late_success_at is null;
    end if;
    return;
  end if;
  -- From here on only storing decides.
  if p_job.storing_at is not null then
    return;
  end if;

  if v_state = 'running' then
    update videos.jobs as j
    set started_at = coalesce(j.started_at, v_now),
        -- Words may come in any order, and providers estimate: it never goes back, so that no tenth is told twice.
        percent = greatest((p_state ->> 'percent')::smallint, j.percent),
        due_at = case when j.started_at is null then v_now + m.finish_within else j.due_at end
    from videos.models as m
    where j.id = p_job.id and m.id = j.model_id;
  elsif v_state = 'succeeded' and videos.is_abandoned(p_job) then
    update videos.jobs as j set late_success_at = v_now where j.id = p_job.id;
    perform videos.settle_video_job(p_job.id, 'cancelled');
  elsif v_state = 'succeeded' then
    update videos.jobs as j
    set storing_at = v_now, due_at = null, started_at = coalesce(j.started_at, v_now)
    where j.id = p_job.id;
    perform queue.drop(p_job.id, '{poll,cancel}');
    perform videos.add_task('store', p_job, v_now, jsonb_build_object(
      'video_url', p_state -> 'video_url', 'thumbnail_url', p_state -> 'thumbnail_url'
    ));
  elsif v_state = 'failed' then
    perform videos.settle_video_job(
      p_job.id, 'failed', p_state #>> '{failure,code}', coalesce(p_state #> '{failure,details}', '{}')
    );
  elsif v_state = 'cancelled' then
    if p_job.due_at <= v_now then
      perform videos.note_unfinished(p_job.id);
      perform videos.settle_video_job(p_job.id, 'failed', core.error_code('provider/timed-out'));
    elsif p_job.cancel_requested_at is not null then
      perform videos.settle_video_job(p_job.id, 'cancelled');
    else
      -- Nobody here asked for it, so to the user it is the provider's failure.
      perform videos.settle_video_job(p_job.id, 'failed', core.error_code('provider/unavailable'));
    end if;
  elsif v_state = 'not_found' and p_submission.state = 'accepted'
    and (p_submission.missing_since <= v_now - v_may_be_missing or videos.is_abandoned(p_job))
  then
    -- It had the job and knows it no more, whenever it is asked: there will be no video. Of a closed account nobody
    -- waits for it.
    perform videos.settle_video_job(p_job.id, 'failed', core.error_code('provider/unavailable'));
  end if;
end;
$$;

create function videos.settle_overdue_job(p_job videos.jobs)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The end of a job whose bound is over; the caller has locked it. Locks: provider, and what settling takes.
begin
  if not videos.is_abandoned(p_job) then
    perform videos.note_unfinished(p_job.id);
  end if;
  perform videos.settle_video_job(p_job.id, 'failed', case
    when exists (
      select from videos.submissions as s
      where s.job_id = p_job.id and s.state in ('sending', 'accepted', 'unknown')
    ) then core.error_code('provider/timed-out')
    else core.error_code('provider/unavailable')
  end);
end;
$$;

create function videos.overdue_jobs(p_limit integer)
returns setof uuid
language plpgsql
stable
set search_path = ''
as $$
-- Jobs whose bound is over, the longest overdue first, up to p_limit. One whose `cancel` task is open waits for it, for 5
-- minutes.
declare
  -- Not in the query: a volatile function cannot be looked up in an index.
  v_now constant timestamptz := core.now();
begin
  return query
  select j.id
  from videos.jobs as j
  where j.completed_at is null and j.due_at <= v_now
    and (j.due_at <= v_now - interval '5 minutes' or not queue.has_open('cancel', j.id))
  order by j.due_at
  limit p_limit;
end;
$$;

create function videos.enforce_deadline(p_job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a `cancel` task for a job whose bound is over, and settles it where that task died or came to nothing for 5
-- minutes. A job that is not overdue stays as it is. Raises lock_not_available where somebody has the account.
-- Locks: account, not waited for → job, and what settling takes.
declare
  v_now timestamptz;
  v_job videos.jobs;
begin
  perform credits.try_account(j.user_id) from videos.jobs as j where j.id = p_job_id;
  v_job := videos.lock_job(p_job_id);
  v_now := core.now();
  if v_job.due_at is null or v_job.due_at > v_now then
    return;
  end if;
  if v_job.due_at <= v_now - interval '5 minutes' or exists (
    select from queue.tasks as t
    where t.kind = 'cancel' and t.subject = p_job_id and t.failed_at >= v_job.due_at
  ) then
    perform videos.settle_overdue_job(v_job);
  else
    perform videos.add_task('cancel', v_job, v_now);
  end if;
end;
$$;

-- What a `store` task that has no try left means: its job ends, and the credits go back.
create function videos.fail_unstored_job(p_job_id uuid, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  perform videos.settle_video_job(p_job_id, 'failed', core.error_code('storage/failed'));
  -- Nobody is at it any more.
  perform queue.hasten('delete_files', p_job_id);
end;
$$;

create function videos.refuse_result(p_job videos.jobs, p_task_id bigint, p_attempt integer, p_cause text)
returns videos.jobs
language plpgsql
volatile
set search_path = ''
as $$
-- What a provider made is not what was paid for: ends the job with provider/rejected and gives the credits back; what it cost
-- stays counted, since the provider bills it. What is in storage of it is removed. Returns the job as it is now. An attempt that
-- lost its lease ends nothing. The caller has locked the job. Locks: what settling takes → task.
declare
  v_job videos.jobs;
begin
  if p_job.completed_at is null and exists (
    select from queue.tasks as t where t.id = p_task_id and t.attempts = p_attempt
  ) then
    update videos.submissions as s set cause = p_cause where s.job_id = p_job.id and s.state = 'ended';
    perform videos.settle_locked_job(
      p_job, 'failed', core.error_code('provider/rejected'), '{"reason": "invalid_result"}'
    );
  end if;
  select j.* into v_job from videos.jobs as j where j.id = p_job.id;
  if v_job.completed_at is not null and v_job.status <> 'completed' then
    perform videos.add_task('delete_files', v_job, core.now());
  end if;
  return v_job;
end;
$$;

create function videos.erasable_at(p_user_id uuid)
returns timestamptz
language sql
volatile
set search_path = ''
as $$
  -- Whatever began before the account was closed, or before its last job ended, may write until its lease is over, and an
  -- upload's URL until it expires. A job that has not ended moves this time along.
  select greatest(u.closed_at, (
    select max(coalesce(j.completed_at, core.now()))
    from videos.jobs as j
    where j.user_id = p_user_id and j.deleted_at is null
  ), (
    select max(u.expires_at) from videos.uploads as u where u.owner_id = p_user_id
  )) + (select make_interval(secs => max(k.timeout_seconds)) from queue.kinds as k)
  from accounts.users as u
  where u.id = p_user_id and u.closed_at is not null
$$;

create function videos.abandon_jobs(p_user_id uuid, p_now timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Ends the jobs of an account that has just been closed: at once those that are pending or storing; the others get a
-- `cancel` task. The caller has locked the account. A second call finds them asked. Locks: jobs → lots → tasks.
declare
  v_job videos.jobs;
begin
  for v_job in
    select j.* from videos.jobs as j
    where j.user_id = p_user_id and j.deleted_at is null and j.completed_at is null
    order by j.id
    for update
  loop
    update videos.jobs as j
    set cancel_requested_at = coalesce(j.cancel_requested_at, p_now)
    where j.id = v_job.id;
    if v_job.status = 'pending' or v_job.storing_at is not null then
      perform videos.settle_video_job(v_job.id, 'cancelled');
    else
      -- A request that is still on its way has no id to cancel; its answer brings the task forward.
      perform videos.add_task('cancel', v_job, coalesce(videos.sending_until(v_job.id), p_now));
    end if;
  end loop;
end;
$$;
