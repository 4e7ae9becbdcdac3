-- What the operator reads once a day, a week and a month: docs/operations/reports.md. The figures are of the rows alone, so that
-- the same rows give the same report, whenever it is made; what Postgres knows of itself is of the moment.

create type ops.report_kind as enum ('daily', 'weekly', 'monthly');

create table ops.reports (
  kind ops.report_kind not null,
  -- The days that it is about, in UTC, the second one not included.
  begins_on date not null,
  ends_on date not null,
  figures jsonb not null,
  -- Of a monthly one: sizes, indexes, statements, and what retention has left behind, when it was made.
  database jsonb,
  made_at timestamptz not null,
  primary key (kind, begins_on)
);
alter table ops.reports enable row level security;
comment on table ops.reports is 'What the operator was told of each day, week and month, once each.';

-- What the rules of retention took away, so that a report can say so.
create table ops.swept (
  -- Its beginning.
  day timestamptz not null,
  rule text not null,
  rows bigint not null,
  primary key (day, rule)
);
alter table ops.swept enable row level security;
comment on table ops.swept is 'How much each rule of retention took away, by the day in UTC.';

-- A day in UTC as the time at which it begins.
create function ops.begin_of(p_day date)
returns timestamptz
language sql
immutable
return p_day::timestamp at time zone 'UTC';

create function ops.span_of(p_kind ops.report_kind, p_day date, out begins_on date, out ends_on date)
language sql
immutable
set search_path = ''
as $$
  -- The day, the week from Monday on, or the month, that a day is part of.
  select date_trunc(u.unit, p_day::timestamp)::date, (date_trunc(u.unit, p_day::timestamp) + ('1 ' || u.unit)::interval)::date
  from (values (case p_kind when 'daily' then 'day' when 'weekly' then 'week' else 'month' end)) as u (unit)
$$;

create function ops.credits_by_kind(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- What moved in the ledger, by kind.
  select coalesce(jsonb_agg(jsonb_build_object('kind', c.kind, 'transfers', c.transfers, 'credits', c.credits) order by c.kind), '[]')
  from (
    select t.kind, count(*) as transfers, sum(t.amount) as credits
    from credits.transfers as t
    where t.created_at >= p_from and t.created_at < p_until
    group by t.kind
  ) as c
$$;

create function ops.jobs_by_end(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- How many jobs were accepted in that time, and how many ended, and how.
  select jsonb_build_object(
    'accepted', (select count(*) from videos.jobs as j where j.created_at >= p_from and j.created_at < p_until),
    'completed', count(*) filter (where j.status = 'completed'),
    'failed', count(*) filter (where j.status = 'failed'),
    'cancelled', count(*) filter (where j.status = 'cancelled')
  )
  from videos.jobs as j
  where j.completed_at >= p_from and j.completed_at < p_until
$$;

create function ops.limit_hits(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- How many requests rate limits refused, by endpoint, as the isolates counted.
  select coalesce(jsonb_agg(jsonb_build_object('endpoint', l.endpoint, 'refused', l.refused) order by l.refused desc, l.endpoint), '[]')
  from (
    select p.labels ->> 'endpoint' as endpoint, sum(p.count) as refused
    from ops.metric_points as p
    where p.name = 'requests' and p.step = 'day' and p.at >= p_from and p.at < p_until
      and p.labels ->> 'code' = core.error_code('limit/rate-exceeded')
    group by p.labels ->> 'endpoint'
  ) as l
$$;

create function ops.daily_figures(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- What went wrong on a day, what was given back, what moved and what it cost.
  select jsonb_build_object(
    'errors', (
      select coalesce(jsonb_agg(jsonb_build_object('code', e.code, 'count', e.count) order by e.code), '[]')
      from (
        select l.code, sum(l.count) as count from ops.error_log as l
        where l.minute >= p_from and l.minute < p_until
        group by l.code
      ) as e
    ),
    'limit_hits', ops.limit_hits(p_from, p_until),
    'jobs', ops.jobs_by_end(p_from, p_until),
    'failed_jobs', (
      select coalesce(jsonb_agg(jsonb_build_object('code', f.error_code, 'jobs', f.jobs) order by f.error_code), '[]')
      from (
        select j.error_code, count(*) as jobs from videos.jobs as j
        where j.completed_at >= p_from and j.completed_at < p_until and j.status = 'failed'
        group by j.error_code
      ) as f
    ),
    -- What admins gave back; what the ledger gave back by itself is a `release`, what Apple took back a `reversal`.
    'refunds', (
      select jsonb_build_object('refunds', count(*), 'credits', coalesce(sum(a.amount), 0))
      from ops.admin_actions as a
      where a.created_at >= p_from and a.created_at < p_until and a.action in ('refund_credits', 'refund_removal')
    ),
    'credits', ops.credits_by_kind(p_from, p_until),
    'spent', (
      select coalesce(jsonb_agg(jsonb_build_object('provider', s.provider, 'cents', s.cents) order by s.provider), '[]')
      from (
        select d.provider, sum(d.cents) as cents from videos.spending as d
        where ops.begin_of(d.day) >= p_from and ops.begin_of(d.day) < p_until
        group by d.provider
      ) as s
    )
  )
$$;

create function ops.weekly_figures(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- What recurred in a week, what admins did, and what was cleaned up.
  select jsonb_build_object(
    'admin_actions', (
      select coalesce(jsonb_agg(jsonb_build_object('action', a.action, 'count', a.count, 'credits', a.credits) order by a.action), '[]')
      from (
        select x.action, count(*) as count, coalesce(sum(x.amount), 0) as credits from ops.admin_actions as x
        where x.created_at >= p_from and x.created_at < p_until
        group by x.action
      ) as a
    ),
    -- Where errors come from, the most frequent first, and on how many days they came.
    'error_patterns', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'code', e.code, 'endpoint', e.endpoint, 'count', e.count, 'days', e.days
      ) order by e.count desc, e.code, e.endpoint), '[]')
      from (
        select l.code, l.endpoint, sum(l.count) as count, count(distinct date_trunc('day', l.minute, 'UTC')) as days
        from ops.error_log as l
        where l.minute >= p_from and l.minute < p_until
        group by l.code, l.endpoint
        order by count desc, l.code, l.endpoint
        limit 20
      ) as e
    ),
    -- What retention took away; `idempotency_keys` are the expired keys.
    'removed', (
      select coalesce(jsonb_agg(jsonb_build_object('rule', s.rule, 'rows', s.rows) order by s.rule), '[]')
      from (
        select x.rule, sum(x.rows) as rows from ops.swept as x
        where x.day >= p_from and x.day < p_until
        group by x.rule
      ) as s
    ),
    'dead_letters', (
      select coalesce(jsonb_agg(jsonb_build_object('kind', d.kind, 'tasks', d.tasks) order by d.kind), '[]')
      from (
        select t.kind, count(*) as tasks from queue.tasks as t
        where t.failed_at >= p_from and t.failed_at < p_until
        group by t.kind
      ) as d
    )
  )
$$;

create function ops.percentile(p_values numeric[], p_share numeric)
returns numeric
language sql
immutable
set search_path = ''
as $$
  -- The smallest of the values that so large a share of them does not exceed, to a thousandth; null of none.
  select round(percentile_disc(p_share) within group (order by v.value), 3) from unnest(p_values) as v (value)
$$;

create function ops.monthly_figures(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- How a month went: who came, how long they waited, what moved.
  select jsonb_build_object(
    'users', (
      select jsonb_build_object(
        'new', count(*) filter (where u.created_at >= p_from and u.created_at < p_until),
        'closed', count(*) filter (where u.closed_at >= p_from and u.closed_at < p_until)
      )
      from accounts.users as u
    ),
    'jobs', ops.jobs_by_end(p_from, p_until),
    -- How long users waited for a video, in seconds.
    'models', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'model', m.model_name, 'completed', m.completed, 'failed', m.failed, 'seconds_p50', m.p50, 'seconds_p95', m.p95
      ) order by m.model_name), '[]')
      from (
        select j.model_name, count(*) filter (where j.status = 'completed') as completed,
          count(*) filter (where j.status = 'failed') as failed,
          ops.percentile(array_agg(extract(epoch from j.completed_at - j.created_at)) filter (where j.status = 'completed'), 0.5) as p50,
          ops.percentile(array_agg(extract(epoch from j.completed_at - j.created_at)) filter (where j.status = 'completed'), 0.95) as p95
        from videos.jobs as j
        where j.completed_at >= p_from and j.completed_at < p_until
        group by j.model_name
      ) as m
    ),
    -- How long providers took to take a job, in seconds, and what became of what they were sent.
    'providers', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'provider', p.provider, 'submissions', p.submissions, 'accepted', p.accepted, 'refused', p.refused,
        'seconds_p50', p.p50, 'seconds_p95', p.p95
      ) order by p.provider), '[]')
      from (
        select s.provider, count(*) as submissions, count(s.accepted_at) as accepted,
          count(*) filter (where s.state in ('not_accepted', 'refused')) as refused,
          ops.percentile(array_agg(extract(epoch from s.accepted_at - s.claimed_at)) filter (where s.accepted_at is not null), 0.5) as p50,
          ops.percentile(array_agg(extract(epoch from s.accepted_at - s.claimed_at)) filter (where s.accepted_at is not null), 0.95) as p95
        from videos.submissions as s
        where s.claimed_at >= p_from and s.claimed_at < p_until
        group by s.provider
      ) as p
    ),
    'credits', ops.credits_by_kind(p_from, p_until)
  )
$$;

create function ops.figures_of(p_kind ops.report_kind, p_begins_on date, p_ends_on date)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- The figures of a report, of the rows alone. Locks: nothing.
declare
  v_from constant timestamptz := ops.begin_of(p_begins_on);
  v_until constant timestamptz := ops.begin_of(p_ends_on);
begin
  return case p_kind
    when 'daily' then ops.daily_figures(v_from, v_until)
    when 'weekly' then ops.weekly_figures(v_from, v_until)
    else ops.monthly_figures(v_from, v_until)
  end;
end;
$$;

create function ops.due_reports(p_limit integer)
returns setof text
language sql
volatile
set search_path = ''
as $$
  -- The reports that are to be made, the oldest first: of each kind the last span that is over, and those since the last
  -- one made, while their rows are there (errors are for 30 days). What wrote before midnight has ended ten minutes after it.
  select format('%s %s', d.kind, d.day)
  from unnest('{daily,weekly,monthly}'::ops.report_kind[], '{7,4,2}'::integer[]) as k (kind, at_most)
  cross join lateral (
    select (ops.span_of(k.kind, ((core.now() - interval '10 minutes') at time zone 'UTC')::date)).begins_on as day
  ) as running
  cross join lateral (
    select k.kind, (ops.span_of(k.kind, (running.day - case k.kind when 'daily' then n when 'weekly' then 7 * n else 28 * n end)::date)).begins_on as day, n
    from generate_series(1, k.at_most) as n
  ) as d
  where not exists (select from ops.reports as r where r.kind = d.kind and r.begins_on = d.day)
    and (d.n = 1 or d.day > (select max(r.begins_on) from ops.reports as r where r.kind = d.kind))
  order by d.day, d.kind
  limit p_limit
$$;

create function ops.make_report(p_report text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a report, by its kind and the day with which it begins, and tells of it: `daily 2026-11-28`. A second call changes
-- nothing. Locks: the report.
declare
  v_kind constant ops.report_kind := split_part(p_report, ' ', 1);
  v_span record;
  v_figures jsonb;
begin
  select s.begins_on, s.ends_on into v_span from ops.span_of(v_kind, split_part(p_report, ' ', 2)::date) as s;
  v_figures := ops.figures_of(v_kind, v_span.begins_on, v_span.ends_on);
  insert into ops.reports (kind, begins_on, ends_on, figures, database, made_at)
  values (
    v_kind, v_span.begins_on, v_span.ends_on, v_figures, case v_kind when 'monthly' then ops.database_now() end, core.now()
  )
  on conflict do nothing;
  if found then
    perform events.publish('report.made', null, jsonb_build_object(
      'kind', v_kind, 'begins_on', v_span.begins_on, 'ends_on', v_span.ends_on, 'figures', v_figures
    ));
  end if;
end;
$$;
