-- ops: what the operator looks at, in the dashboard's SQL editor. Views say "today" by now(), the time of the
-- statement, and not by ops.now(): the planner knows it beforehand, and so reads the day and not the history.

-- Appended to in the order of their times, which is what a BRIN needs to find a day at next to no cost.
create index submissions_claimed_at on generation.submissions using brin (claimed_at) with (autosummarize = on);
create index video_jobs_late on public.video_jobs (late_success_at) where late_success_at is not null;
create index admin_actions_request on ops.admin_actions (request_id) where request_id is not null;

create view ops.user_overview with (security_invoker = true) as
select u.id as user_id, u.created_at, u.is_admin, u.is_banned, u.closed_at,
  (select a.balance from credits.accounts as a where a.user_id = u.id and a.kind = 'available' and a.unit = 'credit')
    as credits,
  generation.held_credits(u.id) as credits_held,
  credits.owed(u.id) as credits_owed,
  -- By status. Deleted jobs are not counted.
  (
    select jsonb_object_agg(c.status, c.jobs)
    from (
      select j.status, count(*) as jobs from public.video_jobs as j
      where j.user_id = u.id and j.deleted_at is null
      group by j.status
    ) as c
  ) as jobs,
  (select max(j.created_at) from public.video_jobs as j where j.user_id = u.id and j.deleted_at is null) as last_job_at
from public.users as u;
revoke all on ops.user_overview from anon, authenticated, service_role;
comment on view ops.user_overview is 'Users with their credits and jobs. Ask for some of them, by user_id.';

create view ops.running_jobs with (security_invoker = true) as
select j.id as job_id, j.user_id, j.request_id, j.model_name, generation.job_stage(j) as stage,
  now() - j.created_at as age, j.due_at - now() as time_left, j.cancel_requested_at, j.flag,
  s.provider, s.state as submission, s.request_id as provider_request_id, s.cause,
  t.kind as next_task, t.run_at as next_task_at, t.attempts, t.last_error
from public.video_jobs as j
left join lateral (
  select x.* from generation.submissions as x where x.job_id = j.id order by x.claimed_at desc limit 1
) as s on true
left join lateral (
  select x.* from generation.tasks as x where x.subject = j.id and x.failed_at is null order by x.run_at limit 1
) as t on true
where j.completed_at is null;
revoke all on ops.running_jobs from anon, authenticated, service_role;
comment on view ops.running_jobs is 'Every job that has not ended: its stage and age, who has it, what happens next.';

create view ops.failures with (security_invoker = true) as
select e.occurred_at, e.code, e.severity, e.endpoint as source, e.user_id, e.request_id, null::uuid as job_id,
  e.context::text as cause, e.count
from ops.error_log as e
where e.minute >= date_trunc('day', now())
union all
select j.completed_at, j.error_code, ops.severity_of(j.error_code), coalesce(s.provider, 'no provider'), j.user_id,
  j.request_id, j.id, s.cause, 1
from public.video_jobs as j
left join lateral (
  select x.* from generation.submissions as x where x.job_id = j.id order by x.claimed_at desc limit 1
) as s on true
where j.completed_at >= date_trunc('day', now()) and j.error_code ~ '^ERR_[56]';
revoke all on ops.failures from anon, authenticated, service_role;
comment on view ops.failures is
  'Today''s ERR_5xxx and ERR_6xxx: of requests, workers and the tick from the error log, and how jobs ended.';

create view ops.failures_by_code with (security_invoker = true) as
select f.code, f.severity, f.source, sum(f.count) as failures, max(f.occurred_at) as last_at
from ops.failures as f
group by f.code, f.severity, f.source;
revoke all on ops.failures_by_code from anon, authenticated, service_role;
comment on view ops.failures_by_code is 'Today''s failures, counted.';

create view ops.provider_health with (security_invoker = true) as
select v.name as provider, v.is_enabled, v.breaker, v.opened_at, v.failures as failures_in_a_row,
  (
    select count(*) from generation.submissions as s
    join public.video_jobs as j on j.id = s.job_id
    where s.provider = v.name and s.state in ('sending', 'accepted', 'unknown') and j.completed_at is null
  ) as in_flight,
  v.max_in_flight, coalesce(d.cents, 0) as spent_today_cents, v.daily_cap_cents, h.*
from generation.providers as v
left join generation.spending as d on d.provider = v.name and d.day = (now() at time zone 'UTC')::date
left join (
  select s.provider as last_hour_of, count(*) as submissions,
    count(*) filter (where s.state = 'unknown') as lost_answers,
    count(*) filter (where s.state = 'not_accepted') as not_accepted,
    count(*) filter (where s.state = 'refused') as refused,
    count(*) filter (where j.status = 'completed') as completed,
    count(*) filter (where j.status = 'failed') as failed,
    max(s.accepted_at) as last_accepted_at
  from generation.submissions as s
  join public.video_jobs as j on j.id = s.job_id
  where s.claimed_at >= now() - interval '1 hour'
  group by s.provider
) as h on h.last_hour_of = v.name;
revoke all on ops.provider_health from anon, authenticated, service_role;
comment on view ops.provider_health is
  'Each provider: its breaker, jobs in flight, money spent today, and what became of the last hour''s submissions.';

create view ops.late_successes with (security_invoker = true) as
select j.late_success_at, j.late_success_at - j.completed_at as late_by, j.id as job_id, j.user_id, j.status,
  j.error_code, j.model_name, s.provider, s.request_id as provider_request_id, s.cost_cents
from public.video_jobs as j
left join lateral (
  select x.* from generation.submissions as x
  where x.job_id = j.id and x.state in ('sending', 'accepted', 'unknown', 'ended')
  order by x.claimed_at desc limit 1
) as s on true
where j.late_success_at is not null;
revoke all on ops.late_successes from anon, authenticated, service_role;
comment on view ops.late_successes is 'Videos that came after their job had ended: paid by us, charged to nobody.';

create view ops.admin_log with (security_invoker = true) as
select a.created_at, a.action, a.admin_id, a.user_id, m.name as model, a.amount, a.job_id, a.reason, a.request_id,
  -- What this admin had given within a day by then, this action included.
  case when a.amount > 0 and a.admin_id is not null then (
    select sum(g.amount) from ops.admin_actions as g
    where g.admin_id = a.admin_id and g.amount > 0
      and g.created_at > a.created_at - interval '24 hours' and g.created_at <= a.created_at
  ) end as given_in_a_day,
  a.id
from ops.admin_actions as a
left join public.models as m on m.id = a.model_id;
revoke all on ops.admin_log from anon, authenticated, service_role;
comment on view ops.admin_log is 'What admins did. Ids sort by time: order by id desc.';

create function ops.first_id_at(p_time timestamptz)
returns uuid
language sql
immutable
-- Of the ids that ops.new_id makes, which begin with 48 bits of milliseconds.
return encode(
  overlay('\x00000000000000000000000000000000'::bytea
    placing substring(int8send((date_part('epoch', p_time) * 1000)::bigint) from 3) from 1 for 6),
  'hex')::uuid;

revoke all on function ops.first_id_at(timestamptz) from public, anon, authenticated, service_role;
comment on function ops.first_id_at(timestamptz) is 'No row made at that time or later has a smaller id.';

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
  from public.video_jobs as j where j.id = p_job_id
  union all
  select v.at, v.what, j.id::text, v.details
  from public.video_jobs as j
  cross join lateral (values
    (j.moderated_at, 'prompt passed', '{}'::jsonb), (j.started_at, 'generation started', '{}'),
    (j.storing_at, 'storing began', '{}'), (j.cancel_requested_at, 'cancellation wished', '{}'),
    (j.completed_at, 'job ' || j.status, jsonb_strip_nulls(jsonb_build_object(
      'code', j.error_code, 'details', j.error_details, 'credits_used', j.credits_used
    ))),
    (j.late_success_at, 'late success', '{}'), (j.deleted_at, 'deleted by its user', '{}')
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
  select a.created_at, 'credits: ' || a.action, a.transfer_id::text, jsonb_build_object(
    'amount', a.amount, 'admin_id', a.admin_id, 'reason', a.reason
  )
  from ops.admin_actions as a where a.job_id = p_job_id
  union all
  select s.claimed_at, 'submission ' || s.state, s.id::text, jsonb_strip_nulls(jsonb_build_object(
    'provider', s.provider, 'request_id', s.request_id, 'accepted_at', s.accepted_at, 'ended_at', s.ended_at,
    'cause', s.cause, 'cost_cents', s.cost_cents
  ))
  from generation.submissions as s where s.job_id = p_job_id
  union all
  select e.received_at, 'webhook ' || e.effect, e.event_id, jsonb_build_object(
    'provider', e.provider, 'submission', e.submission_id, 'state', e.state -> 'state'
  )
  from generation.submissions as s
  join generation.events as e on e.submission_id = s.id
  where s.job_id = p_job_id
  union all
  select a.created_at, 'stored ' || a.kind, a.id::text, jsonb_strip_nulls(jsonb_build_object(
    'bytes', a.bytes, 'differences', a.differences, 'deleted_at', a.deleted_at
  ))
  from generation.assets as a where a.job_id = p_job_id
  union all
  select t.run_at, 'task ' || t.kind, t.id::text,
    jsonb_strip_nulls(jsonb_build_object('attempts', t.attempts, 'leased_until', t.leased_until, 'error', t.last_error))
  from generation.tasks as t where t.subject = p_job_id and t.failed_at is null
  union all
  select t.failed_at, 'dead task ' || t.kind, t.id::text, jsonb_build_object('attempts', t.attempts, 'error', t.last_error)
  from generation.tasks as t where t.subject = p_job_id and t.failed_at is not null
$$;

revoke all on function ops.trace_job(uuid) from public, anon, authenticated, service_role;
comment on function ops.trace_job(uuid) is 'Everything that is known about a job: order by at.';

create function ops.trace(
  p_request_id text, p_at timestamptz default now(), p_within interval default interval '1 day'
)
returns setof ops.trace_entry
language sql
stable
set search_path = ''
as $$
  -- A job is looked for among those of the time around p_at. Their ids begin with it, so that the primary key finds
  -- them: an index of request ids would cost every accepted job, for a question that is seldom asked.
  select t.*
  from public.video_jobs as j
  cross join lateral ops.trace_job(j.id) as t
  where j.request_id = p_request_id
    and j.id between ops.first_id_at(p_at - p_within) and ops.first_id_at(p_at + p_within)
  union all
  select a.created_at, 'admin: ' || a.action, a.id::text, jsonb_strip_nulls(jsonb_build_object(
    'admin_id', a.admin_id, 'user_id', a.user_id, 'amount', a.amount, 'transfer_id', a.transfer_id, 'reason', a.reason
  ))
  from ops.admin_actions as a where a.request_id = p_request_id
  union all
  select e.occurred_at, 'error ' || e.code, e.endpoint, e.context || jsonb_build_object('count', e.count)
  from ops.error_log as e where e.request_id = p_request_id
$$;

revoke all on function ops.trace(text, timestamptz, interval) from public, anon, authenticated, service_role;
comment on function ops.trace(text, timestamptz, interval) is
  'Everything that a request did, as far as the database knows: order by at.';
