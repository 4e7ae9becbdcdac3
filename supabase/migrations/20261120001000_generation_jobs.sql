-- generation: the life of a job, from its price to its end. Every way a job can end is settle_video_job.

create function generation.resolve_settings(p_model public.models, p_settings jsonb, p_image_url text)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
-- The settings of a job, defaults included, and everything in the request that the model does not take:
-- `{ settings, fields: [{ path, message }] }`. `fields` is empty when all fits.
declare
  v_name text;
  v_value jsonb;
  v_settings jsonb := '{}';
  v_fields jsonb := '[]';
begin
  foreach v_name in array array['duration_seconds', 'resolution', 'aspect_ratio'] loop
    v_value := coalesce(p_settings -> v_name, p_model.options #> array[v_name, 'default']);
    v_settings := v_settings || jsonb_build_object(v_name, v_value);
    if not p_model.options #> array[v_name, 'values'] @> v_value then
      v_fields := v_fields || jsonb_build_object(
        'path', 'settings.' || v_name,
        'message', format('This model takes one of %s', p_model.options #>> array[v_name, 'values'])
      );
    end if;
  end loop;
  if p_model.requires_image and p_image_url is null then
    v_fields := v_fields || '{"path": "image_url", "message": "This model needs an image"}'::jsonb;
  elsif p_model.category = 'text_to_video' and p_image_url is not null then
    v_fields := v_fields || '{"path": "image_url", "message": "This model takes no image"}'::jsonb;
  end if;
  return jsonb_build_object('settings', v_settings, 'fields', v_fields);
end;
$$;

revoke all on function generation.resolve_settings(public.models, jsonb, text)
  from public, anon, authenticated, service_role;
comment on function generation.resolve_settings(public.models, jsonb, text) is
  'What depends on the model in a request.';

create function generation.price(p_model public.models, p_settings jsonb)
returns bigint
language sql
immutable
return case (p_model).pricing_type
  when 'per_video' then (p_model).credits
  when 'per_second' then (p_model).credits * (p_settings ->> 'duration_seconds')::bigint
end;

revoke all on function generation.price(public.models, jsonb) from public, anon, authenticated, service_role;
comment on function generation.price(public.models, jsonb) is 'The price of a video in credits; there is no other.';

create function generation.lock_job(p_job_id uuid)
returns public.video_jobs
language plpgsql
volatile
set search_path = ''
as $$
-- Locks the account of a job's user, then the job: the order of everything that may end one. Null where there is
-- no such job.
declare
  v_job public.video_jobs;
begin
  perform credits.lock_account(j.user_id) from public.video_jobs as j where j.id = p_job_id;
  select j.* into v_job from public.video_jobs as j where j.id = p_job_id for update;
  return v_job;
end;
$$;

revoke all on function generation.lock_job(uuid) from public, anon, authenticated, service_role;
comment on function generation.lock_job(uuid) is 'The first step of whatever may end a job.';

create function generation.is_abandoned(p_job public.video_jobs)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (select from public.users as u where u.id = p_job.user_id and u.closed_at is not null)
$$;

revoke all on function generation.is_abandoned(public.video_jobs) from public, anon, authenticated, service_role;
comment on function generation.is_abandoned(public.video_jobs) is
  'Whether the account of a job was closed: nothing is stored for it.';

create function generation.settle_video_job(
  p_job_id uuid, p_status public.job_status, p_error_code text default null, p_error_details jsonb default '{}'
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
-- Locks: account → job → lots.
declare
  v_job public.video_jobs;
  v_status public.job_status;
  v_now timestamptz;
begin
  v_job := generation.lock_job(p_job_id);
  if v_job.completed_at is not null then
    return false;
  end if;
  v_status := case when generation.is_abandoned(v_job) then 'cancelled' else p_status end;
  v_now := ops.now();

  if v_status = 'completed' then
    perform credits.capture(p_job_id);
  else
    perform credits.release(p_job_id);
  end if;
  update public.video_jobs as j
  set status = v_status,
      credits_used = case when v_status = 'completed' then j.credits_used else 0 end,
      error_code = case when v_status = 'failed' then p_error_code end,
      error_details = case when v_status = 'failed' then p_error_details end,
      completed_at = v_now,
      due_at = null
  where j.id = p_job_id;
  if v_status <> 'completed' and v_job.storing_at is not null then
    -- A worker that still stores it has lost its lease by then, or asks for it itself.
    perform generation.add_task('delete_files', p_job_id, greatest(v_now, (
      select t.leased_until from generation.tasks as t
      where t.subject = p_job_id and t.kind = 'store' and t.failed_at is null
    )));
  end if;
  delete from generation.tasks as t
  where t.subject = p_job_id and t.kind in ('submit', 'poll', 'cancel', 'store') and t.failed_at is null;
  delete from generation.tasks as t where t.subject = p_job_id and t.failed_at is not null;
  return true;
end;
$$;

revoke all on function generation.settle_video_job(uuid, public.job_status, text, jsonb)
  from public, anon, authenticated, service_role;
comment on function generation.settle_video_job(uuid, public.job_status, text, jsonb) is
  'The only way a job ends, and it ends once.';

create function generation.apply_state(
  p_job public.video_jobs, p_submission generation.submissions, p_state jsonb
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What a provider's word means for a job. The caller has locked account and job, and proved that the word is
-- about this submission. Idempotent, and indifferent to the order in which words arrive.
declare
  v_now constant timestamptz := ops.now();
  v_state constant text := p_state ->> 'state';
begin
  if v_state in ('succeeded', 'failed', 'cancelled') then
    update generation.submissions as s
    set state = 'ended', ended_at = v_now, cause = coalesce(p_state #>> '{failure,cause}', s.cause)
    where s.id = p_submission.id and s.state <> 'ended';
  end if;

  if p_job.completed_at is not null then
    if v_state = 'succeeded' and p_job.status <> 'completed' then
      update public.video_jobs as j
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
    update public.video_jobs as j
    set started_at = coalesce(j.started_at, v_now),
        percent = coalesce((p_state ->> 'percent')::smallint, j.percent),
        due_at = case when j.started_at is null then v_now + m.finish_within else j.due_at end
    from public.models as m
    where j.id = p_job.id and m.id = j.model_id;
  elsif v_state = 'succeeded' and generation.is_abandoned(p_job) then
    update public.video_jobs as j set late_success_at = v_now where j.id = p_job.id;
    perform generation.settle_video_job(p_job.id, 'cancelled');
  elsif v_state = 'succeeded' then
    update public.video_jobs as j
    set storing_at = v_now, due_at = null, started_at = coalesce(j.started_at, v_now)
    where j.id = p_job.id;
    delete from generation.tasks as t where t.subject = p_job.id and t.kind in ('poll', 'cancel');
    perform generation.add_task('store', p_job.id, v_now, jsonb_build_object(
      'video_url', p_state -> 'video_url', 'thumbnail_url', p_state -> 'thumbnail_url'
    ));
  elsif v_state = 'failed' then
    perform generation.settle_video_job(
      p_job.id, 'failed', p_state #>> '{failure,code}', coalesce(p_state #> '{failure,details}', '{}')
    );
  elsif v_state = 'cancelled' then
    if p_job.due_at <= v_now then
      perform generation.settle_video_job(p_job.id, 'failed', 'ERR_5001');
    elsif p_job.cancel_requested_at is not null then
      perform generation.settle_video_job(p_job.id, 'cancelled');
    else
      -- Nobody here asked for it, so to the user it is the provider's failure.
      perform generation.settle_video_job(p_job.id, 'failed', 'ERR_5002');
    end if;
  elsif v_state = 'not_found' and p_submission.state = 'accepted' then
    -- It had the job and knows it no more: there will be no video.
    perform generation.settle_video_job(p_job.id, 'failed', 'ERR_5002');
  end if;
end;
$$;

revoke all on function generation.apply_state(public.video_jobs, generation.submissions, jsonb)
  from public, anon, authenticated, service_role;
comment on function generation.apply_state(public.video_jobs, generation.submissions, jsonb) is
  'Webhooks and polls meet here.';

create function generation.settle_overdue_job(p_job public.video_jobs)
returns boolean
language sql
volatile
set search_path = ''
as $$
  select generation.settle_video_job(p_job.id, 'failed', case
    when exists (
      select from generation.submissions as s
      where s.job_id = p_job.id and s.state in ('sending', 'accepted', 'unknown')
    ) then 'ERR_5001'
    else 'ERR_5002'
  end)
$$;

revoke all on function generation.settle_overdue_job(public.video_jobs)
  from public, anon, authenticated, service_role;
comment on function generation.settle_overdue_job(public.video_jobs) is
  'The end of a job whose bound is over; the caller has locked it.';

create function generation.enforce_deadlines()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a `cancel` task for each job whose bound is over, up to 100 a run, and settles those whose task died or came
-- to nothing for 5 minutes. A job whose task is open waits for it, and takes no place in the batch. Returns how many
-- jobs it looked at. Locks: account → job, one job at a time.
declare
  -- Not in the query: a volatile function cannot be looked up in an index.
  v_now constant timestamptz := ops.now();
  v_job_id uuid;
  v_job public.video_jobs;
  v_due integer := 0;
begin
  for v_job_id in
    select j.id
    from public.video_jobs as j
    where j.completed_at is null and j.due_at <= v_now
      and (j.due_at <= v_now - interval '5 minutes' or not exists (
        select from generation.tasks as t where t.kind = 'cancel' and t.subject = j.id and t.failed_at is null
      ))
    order by j.due_at
    limit 100
  loop
    v_due := v_due + 1;
    v_job := generation.lock_job(v_job_id);
    continue when v_job.due_at is null or v_job.due_at > v_now;
    if v_job.due_at <= v_now - interval '5 minutes' or exists (
      select from generation.tasks as t
      where t.kind = 'cancel' and t.subject = v_job_id and t.failed_at >= v_job.due_at
    ) then
      perform generation.settle_overdue_job(v_job);
    else
      perform generation.add_task('cancel', v_job_id, v_now);
    end if;
  end loop;
  return v_due;
end;
$$;

revoke all on function generation.enforce_deadlines() from public, anon, authenticated, service_role;
comment on function generation.enforce_deadlines() is 'Scheduled: no job outlives its bounds.';

insert into ops.scheduled_tasks (name, procedure, every)
values ('enforce_deadlines', 'generation.enforce_deadlines', interval '5 seconds');

create function generation.held_credits(p_user_id uuid)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(t.amount), 0)
    from public.video_jobs as j
    join credits.transfers as t on t.job_id = j.id and t.kind = 'hold'
    -- A hold ends with its job. No running job is deleted, which is said for the index.
    where j.user_id = p_user_id and j.status in ('pending', 'processing') and j.deleted_at is null
  );
end;
$$;

revoke all on function generation.held_credits(uuid) from public, anon, authenticated, service_role;
comment on function generation.held_credits(uuid) is 'What a user''s running jobs hold in escrow.';

create function generation.hold_violations(p_since timestamptz)
returns setof credits.violation
language sql
stable
set search_path = ''
as $$
  -- A running job has its hold open. p_since does not matter here: running jobs are few.
  select row('job_without_hold', j.id::text, jsonb_build_object('status', j.status))::credits.violation
  from public.video_jobs as j
  where j.completed_at is null and not exists (
    select from credits.transfers as h
    where h.job_id = j.id and h.kind = 'hold'
      and not exists (
        select from credits.transfers as t where t.reverses_id = h.id and t.kind in ('capture', 'release')
      )
  )
  union all
  -- An ended job has ended its hold, in the way of its end.
  select row('hold_ended_wrong', j.id::text, jsonb_build_object('status', j.status))::credits.violation
  from public.video_jobs as j
  where j.completed_at >= p_since and not exists (
    select from credits.transfers as h
    join credits.transfers as t on t.reverses_id = h.id
    where h.job_id = j.id and h.kind = 'hold'
      and t.kind = (case j.status when 'completed' then 'capture' else 'release' end)::credits.transfer_kind
  )
  union all
  -- What is in escrow is there for a job that runs.
  select row('escrow_without_job', h.id::text, jsonb_build_object('job_id', h.job_id))::credits.violation
  from credits.transfers as h
  where h.kind = 'hold' and h.created_at >= p_since
    and not exists (
      select from credits.transfers as t where t.reverses_id = h.id and t.kind in ('capture', 'release')
    )
    and not exists (
      select from public.video_jobs as j where j.id = h.job_id and j.completed_at is null
    )
$$;

revoke all on function generation.hold_violations(timestamptz) from public, anon, authenticated, service_role;
comment on function generation.hold_violations(timestamptz) is 'Where jobs and their holds do not agree.';
