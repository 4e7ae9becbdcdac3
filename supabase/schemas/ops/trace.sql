create type ops.trace_entry as (at timestamptz, what text, id text, details jsonb);

create function ops.trace_job(p_job_id uuid)
returns setof ops.trace_entry
language sql
stable
set search_path = ''
as $$
  select j.created_at, 'job accepted', j.id::text, jsonb_strip_nulls(jsonb_build_object(
    'user_id', j.user_id, 'request_id', j.request_id, 'model', j.model_name, 'flag', j.flag, 'due_at', j.due_at
  ))
  from videos.jobs as j where j.id = p_job_id
  union all
  select v.at, v.what, j.id::text, v.details
  from videos.jobs as j
  cross join lateral (values
    (j.moderated_at, 'prompt passed', '{}'::jsonb), (j.started_at, 'generation started', '{}'),
    (j.storing_at, 'storing began', '{}'), (j.cancel_requested_at, 'cancellation wished', '{}'),
    (j.completed_at, 'job ' || j.status, jsonb_strip_nulls(jsonb_build_object(
      'code', j.error_code, 'details', j.error_details, 'credits_used', j.credits_used
    ))),
    (j.late_success_at, 'late success', '{}'), (j.removed_at, 'removed by the operator', '{}'), (j.deleted_at, 'deleted by its user', '{}')
  ) as v (at, what, details)
  where j.id = p_job_id and v.at is not null
  union all
  select t.created_at, 'credits: ' || t.kind, t.id::text, jsonb_build_object('amount', t.amount)
  from credits.transfers as h
  join lateral (
    select h.id, h.kind, h.amount, h.created_at
    union all
    select e.id, e.kind, e.amount, e.created_at from credits.transfers as e
    where e.reverses_id = h.id and e.kind in ('capture', 'release')
  ) as t on true
  where h.job_id = p_job_id and h.kind = 'hold'
  union all
  select a.created_at, case when a.amount is null then 'admin: ' else 'credits: ' end || a.action,
    coalesce(a.transfer_id, a.id)::text,
    jsonb_strip_nulls(jsonb_build_object('amount', a.amount, 'admin_id', a.admin_id, 'reason', a.reason))
  from ops.admin_actions as a where a.job_id = p_job_id
  union all
  select s.claimed_at, 'submission ' || s.state, s.id::text, jsonb_strip_nulls(jsonb_build_object(
    'provider', s.provider, 'request_id', s.request_id, 'accepted_at', s.accepted_at, 'ended_at', s.ended_at,
    'cause', s.cause, 'cost_cents', s.cost_cents
  ))
  from videos.submissions as s where s.job_id = p_job_id
  union all
  select e.received_at, 'webhook ' || e.effect, e.event_id, jsonb_build_object(
    'provider', e.provider, 'submission', e.submission_id, 'state', e.state -> 'state'
  )
  from videos.submissions as s
  join videos.provider_events as e on e.submission_id = s.id
  where s.job_id = p_job_id
  union all
  select a.created_at, 'stored ' || a.kind, a.path, jsonb_strip_nulls(jsonb_build_object(
    'bytes', a.bytes, 'quality', a.quality, 'deleted_at', a.deleted_at
  ))
  from videos.assets as a where a.job_id = p_job_id
  union all
  select t.run_at, 'task ' || t.kind, t.id::text,
    jsonb_strip_nulls(jsonb_build_object('attempts', t.attempts, 'leased_until', t.leased_until, 'error', t.last_error))
  from queue.tasks as t where t.subject = p_job_id and t.failed_at is null
  union all
  select t.failed_at, 'dead task ' || t.kind, t.id::text, jsonb_build_object('attempts', t.attempts, 'error', t.last_error)
  from queue.tasks as t where t.subject = p_job_id and t.failed_at is not null
$$;
comment on function ops.trace_job(uuid) is 'Everything that is known about a job: order by at.';

create function ops.trace(p_request_id text)
returns setof ops.trace_entry
language sql
stable
set search_path = ''
as $$
  select t.*
  from videos.jobs_of_request(p_request_id) as j
  cross join lateral ops.trace_job(j.id) as t
  union all
  select a.created_at, 'admin: ' || a.action, a.id::text, jsonb_strip_nulls(jsonb_build_object(
    'admin_id', a.admin_id, 'user_id', a.user_id, 'amount', a.amount, 'transfer_id', a.transfer_id, 'reason', a.reason
  ))
  from ops.admin_actions as a where a.request_id = p_request_id
  union all
  select e.occurred_at, 'error ' || e.code, e.endpoint, e.context || jsonb_build_object('count', e.count)
  from ops.error_log as e where e.request_id = p_request_id
$$;
comment on function ops.trace(text) is 'Everything that a request did, as far as the database knows: order by at.';
