create view ops.user_overview with (security_invoker = true) as
select u.id as user_id, u.created_at, u.is_admin, u.is_banned, u.closed_at,
  (select a.balance from credits.accounts as a where a.owner_id = u.id and a.kind = 'available' and a.unit = 'credit')
    as credits,
  videos.held_credits(u.id) as credits_held,
  credits.owed(u.id) as credits_owed,
  -- By status. Deleted jobs are not counted.
  (
    select jsonb_object_agg(c.status, c.jobs)
    from (
      select j.status, count(*) as jobs from videos.jobs as j
      where j.user_id = u.id and j.deleted_at is null
      group by j.status
    ) as c
  ) as jobs,
  (select max(j.created_at) from videos.jobs as j where j.user_id = u.id and j.deleted_at is null) as last_job_at
from accounts.users as u;
comment on view ops.user_overview is 'Users with their credits and jobs. Ask for some of them, by user_id.';

create view ops.running_jobs with (security_invoker = true) as
select j.id as job_id, j.user_id, j.request_id, j.model_name, videos.job_stage(j) as stage,
  now() - j.created_at as age, j.due_at - now() as time_left, j.cancel_requested_at, j.flag,
  s.provider, s.state as submission, s.request_id as provider_request_id, s.cause,
  t.kind as next_task, t.run_at as next_task_at, t.attempts, t.last_error
from videos.jobs as j
left join lateral (
  select x.* from videos.submissions as x where x.job_id = j.id order by x.claimed_at desc limit 1
) as s on true
left join lateral (
  select x.* from queue.tasks as x where x.subject = j.id and x.failed_at is null order by x.run_at limit 1
) as t on true
where j.completed_at is null;
comment on view ops.running_jobs is 'Every job that has not ended: its stage and age, who has it, what happens next.';

create view ops.failures with (security_invoker = true) as
select e.occurred_at, e.code, e.severity, e.endpoint as source, e.user_id, e.request_id, null::uuid as job_id,
  e.context::text as cause, e.count
from ops.error_log as e
where e.minute >= date_trunc('day', now())
union all
select j.completed_at, j.error_code, core.error_severity(j.error_code), coalesce(s.provider, 'no provider'), j.user_id,
  j.request_id, j.id, s.cause, 1
from videos.jobs as j
left join lateral (
  select x.* from videos.submissions as x where x.job_id = j.id order by x.claimed_at desc limit 1
) as s on true
where j.completed_at >= date_trunc('day', now()) and j.error_code ~ '^ERR_[56]';
comment on view ops.failures is
  'Today''s ERR_5xxx and ERR_6xxx: of requests, workers and the tick from the error log, and how jobs ended.';

create view ops.failures_by_code with (security_invoker = true) as
select f.code, f.severity, f.source, sum(f.count) as failures, max(f.occurred_at) as last_at
from ops.failures as f
group by f.code, f.severity, f.source;
comment on view ops.failures_by_code is 'Today''s failures, counted.';

create view ops.provider_health with (security_invoker = true) as
select v.name as provider, v.is_enabled, v.breaker, v.opened_at, v.failures as failures_in_a_row,
  (
    select count(*) from videos.submissions as s
    join videos.jobs as j on j.id = s.job_id
    where s.provider = v.name and s.state in ('sending', 'accepted', 'unknown') and j.completed_at is null
  ) as in_flight,
  v.max_in_flight, coalesce(d.cents, 0) as spent_today_cents, v.daily_cap_cents, h.*
from videos.providers as v
left join videos.spending as d on d.provider = v.name and d.day = (now() at time zone 'UTC')::date
left join (
  select s.provider as last_hour_of, count(*) as submissions,
    count(*) filter (where s.state = 'unknown') as lost_answers,
    count(*) filter (where s.state = 'not_accepted') as not_accepted,
    count(*) filter (where s.state = 'refused') as refused,
    count(*) filter (where j.status = 'completed') as completed,
    count(*) filter (where j.status = 'failed') as failed,
    max(s.accepted_at) as last_accepted_at
  from videos.submissions as s
  join videos.jobs as j on j.id = s.job_id
  where s.claimed_at >= now() - interval '1 hour'
  group by s.provider
) as h on h.last_hour_of = v.name;
comment on view ops.provider_health is
  'Each provider: its breaker, jobs in flight, money spent today, and what became of the last hour''s submissions.';

create view ops.late_successes with (security_invoker = true) as
select j.late_success_at, j.late_success_at - j.completed_at as late_by, j.id as job_id, j.user_id, j.status,
  j.error_code, j.model_name, s.provider, s.request_id as provider_request_id, s.cost_cents
from videos.jobs as j
left join lateral (
  select x.* from videos.submissions as x
  where x.job_id = j.id and x.state in ('sending', 'accepted', 'unknown', 'ended')
  order by x.claimed_at desc limit 1
) as s on true
where j.late_success_at is not null;
comment on view ops.late_successes is 'Videos that came after their job had ended: paid by us, charged to nobody.';

create view ops.video_quality with (security_invoker = true) as
select j.model_name as model, s.provider, count(*) as results,
  count(*) filter (where j.status = 'failed') as refused,
  round(avg(a.quality), 1) as quality, min(a.quality) as lowest_quality,
  count(*) filter (where a.quality < 50) as below_50,
  -- In US cents: what the provider bills for videos that were not paid for.
  sum(s.cost_cents) filter (where j.status = 'failed') as refused_cents
from videos.jobs as j
join videos.submissions as s on s.job_id = j.id and s.state = 'ended'
left join videos.assets as a on a.job_id = j.id and a.kind = 'video'
where j.completed_at >= now() - interval '7 days'
  and (a.job_id is not null or j.status = 'failed' and j.error_details ->> 'reason' = 'invalid_result')
group by j.model_name, s.provider;
comment on view ops.video_quality is
  'What each provider made of each model in 7 days: how near to the order (0 to 100), and how much was refused.';

create view ops.admin_log with (security_invoker = true) as
select a.created_at, a.action, a.admin_id, a.user_id, m.name as model, a.subject, a.details, a.amount, a.job_id, a.reason, a.request_id,
  -- What this admin had given within a day by then, this action included.
  case when a.amount > 0 and a.admin_id is not null then (
    select sum(g.amount) from ops.admin_actions as g
    where g.admin_id = a.admin_id and g.amount > 0
      and g.created_at > a.created_at - interval '24 hours' and g.created_at <= a.created_at
  ) end as given_in_a_day,
  a.id
from ops.admin_actions as a
left join videos.models as m on m.id = a.model_id;
comment on view ops.admin_log is 'What admins did. Ids sort by time: order by id desc.';
