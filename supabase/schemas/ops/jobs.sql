-- Jobs as the operator sees them: without the prompt, and without whatever else their user wrote but the app's name for them.

-- One of a list.
create function ops.job_json(p_job videos.jobs)
returns jsonb
language sql
stable
return jsonb_build_object(
  'job_id', (p_job).id, 'user_id', (p_job).user_id, 'status', (p_job).status, 'stage', videos.job_stage(p_job),
  'model_id', (p_job).model_id, 'model_name', (p_job).model_name, 'provider', videos.provider_of((p_job).id),
  'error_code', (p_job).error_code, 'credits_used', (p_job).credits_used, 'created_at', core.to_iso((p_job).created_at),
  'started_at', core.to_iso((p_job).started_at), 'completed_at', core.to_iso((p_job).completed_at),
  'is_deleted', (p_job).deleted_at is not null
);

create function ops.find_jobs(
  p_limit integer, p_status text, p_user_id uuid, p_model_id uuid, p_provider text, p_error_code text, p_after jsonb
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- A page of the jobs that all filters fit which are not null, newest first: `{ jobs, next }`. It looks through 10,000 at most,
-- and so may have fewer jobs than p_limit, or none, and a `next` all the same. Takes no lock.
declare
  -- Ids begin with the time.
  v_before constant uuid := coalesce((p_after ->> 'id')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  v_walk refcursor;
  v_job videos.jobs;
  v_last uuid;
  v_looked integer := 0;
  v_jobs jsonb := '[]';
begin
  -- `limit all` and `limit 1` keep the planner from joining or ordering otherwise than is said.
  if p_user_id is not null then
    -- All their ids, of which even 10,000 are sorted in no time, and then a job at a time, as far as the page needs them.
    open v_walk for
      select j.*
      from (select o.id from videos.jobs_of(array[p_user_id]) as o (id) where o.id < v_before order by o.id desc) as u
      cross join lateral (select o.* from videos.jobs as o where o.id = u.id limit 1) as j
      order by u.id desc;
  elsif p_status in ('pending', 'processing') then
    -- Those that run are few, and what is stuck is older than many: by their own index, which the planner is not to leave.
    open v_walk for
      select j.* from (select o.* from videos.jobs as o where o.completed_at is null offset 0) as j
      where j.id < v_before
      order by j.id desc;
  else
    open v_walk for select j.* from videos.jobs as j where j.id < v_before order by j.id desc;
  end if;
  loop
    fetch v_walk into v_job;
    exit when not found;
    if jsonb_array_length(v_jobs) = p_limit or v_looked = 10000 then
      close v_walk;
      return jsonb_build_object('jobs', v_jobs, 'next', jsonb_build_object('id', v_last));
    end if;
    v_last := v_job.id;
    v_looked := v_looked + 1;
    if (p_status is null or v_job.status = p_status::videos.job_status)
      and (p_model_id is null or v_job.model_id = p_model_id)
      and (p_error_code is null or v_job.error_code = p_error_code)
      and (p_provider is null or videos.provider_of(v_job.id) = p_provider)
    then
      v_jobs := v_jobs || ops.job_json(v_job);
    end if;
  end loop;
  close v_walk;
  return jsonb_build_object('jobs', v_jobs, 'next', null);
end;
$$;

create function ops.job_story(p_job_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- All that there is of a job, each list by its time: `{ job, postings, submissions, provider_events, tasks, files, errors,
-- admin_actions }`; null where there is no such job. `files` have their `path` in storage, null where nobody is to see them any
-- more. Of each list the newest 100. Takes no lock.
declare
  v_job videos.jobs;
begin
  select j.* into v_job from videos.jobs as j where j.id = p_job_id;
  if not found then
    return null;
  end if;
  return jsonb_build_object(
    'job', (videos.end_event(v_job) - '{error}'::text[]) || ops.job_json(v_job) || jsonb_build_object(
      'request_id', nullif(v_job.request_id, ''), 'error_details', v_job.error_details, 'flag', v_job.flag,
      'percent', v_job.percent, 'due_at', core.to_iso(v_job.due_at), 'storing_at', core.to_iso(v_job.storing_at),
      'late_success_at', core.to_iso(v_job.late_success_at), 'source_job_id', v_job.source_job_id,
      'deleted_at', core.to_iso(v_job.deleted_at), 'removed_at', core.to_iso(v_job.removed_at)
    ),
    'postings', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', t.id, 'kind', t.kind, 'amount', case when t.from_balance is null then t.amount else -t.amount end,
        'balance_after', coalesce(t.from_balance, t.to_balance), 'created_at', core.to_iso(t.created_at)
      ) order by t.created_at, t.id), '[]')
      from (
        select h.* from credits.transfers as h where h.job_id = p_job_id and h.kind = 'hold'
        union all
        select e.*
        from credits.transfers as h
        join credits.transfers as e on e.reverses_id = h.id and e.kind in ('capture', 'release')
        where h.job_id = p_job_id and h.kind = 'hold'
        union all
        select r.* from ops.admin_actions as a join credits.transfers as r on r.id = a.transfer_id where a.job_id = p_job_id
      ) as t
    ),
    'submissions', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'submission_id', s.id, 'provider', s.provider, 'provider_model', s.provider_model, 'state', s.state,
        'request_id', s.request_id, 'cost_cents', s.cost_cents, 'cause', s.cause, 'claimed_at', core.to_iso(s.claimed_at),
        'accepted_at', core.to_iso(s.accepted_at), 'ended_at', core.to_iso(s.ended_at)
      ) order by s.claimed_at, s.id), '[]')
      from (
        select x.* from videos.submissions as x where x.job_id = p_job_id order by x.claimed_at desc limit 100
      ) as s
    ),
    'provider_events', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'provider', e.provider, 'event_id', e.event_id, 'submission_id', e.submission_id, 'state', e.state ->> 'state',
        'effect', e.effect, 'received_at', core.to_iso(e.received_at)
      ) order by e.received_at, e.event_id), '[]')
      from (
        select x.*
        from videos.submissions as s
        join videos.provider_events as x on x.submission_id = s.id
        where s.job_id = p_job_id
        order by x.received_at desc
        limit 100
      ) as e
    ),
    'tasks', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'task_id', t.id, 'kind', t.kind, 'attempts', t.attempts, 'run_at', core.to_iso(t.run_at),
        'leased_until', core.to_iso(t.leased_until), 'last_error', t.last_error, 'failed_at', core.to_iso(t.failed_at),
        'created_at', core.to_iso(t.created_at)
      ) order by t.created_at, t.id), '[]')
      from (
        -- One part for each of the two indexes.
        select x.* from queue.tasks as x where x.subject = p_job_id and x.failed_at is null
        union all
        (select x.* from queue.tasks as x where x.subject = p_job_id and x.failed_at is not null order by x.id desc limit 100)
      ) as t
    ),
    'files', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'kind', a.kind, 'bytes', a.bytes, 'content_type', a.content_type, 'width', a.width, 'height', a.height,
        'duration_milliseconds', a.duration_milliseconds, 'quality', a.quality, 'created_at', core.to_iso(a.created_at),
        'path', case when a.deleted_at is null and v_job.removed_at is null and v_job.deleted_at is null then a.path end
      ) order by a.kind), '[]')
      from videos.assets as a where a.job_id = p_job_id
    ),
    'errors', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'code', e.code, 'severity', e.severity, 'endpoint', e.endpoint, 'count', e.count, 'context', e.context,
        'occurred_at', core.to_iso(e.occurred_at)
      ) order by e.occurred_at), '[]')
      from (
        select x.* from ops.error_log as x
        where x.request_id = v_job.request_id and x.request_id <> ''
        order by x.occurred_at desc
        limit 100
      ) as e
    ),
    'admin_actions', (
      select coalesce(jsonb_agg(ops.action_json(o.action) order by (o.action).created_at, (o.action).id), '[]')
      from (
        select a as action from ops.admin_actions as a where a.job_id = p_job_id order by a.created_at desc, a.id desc limit 100
      ) as o
    )
  );
end;
$$;
