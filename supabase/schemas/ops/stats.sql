-- What `admin-stats` shows: how an hour, a day or a month went, step by step. What is recent is counted from the rows. A month
-- of them would take seconds, by whatever index: of each six hours in UTC that are over, the sums are kept.

-- What something came to. Of `completion_seconds` each label is a number of seconds, and its value how many videos took them:
-- so the quantiles of any span are exact, to the second.
create type ops.stat as (name text, label text, value numeric);

create table ops.stat_sums (
  -- When the six hours began.
  at timestamptz primary key,
  -- All that was counted, so that six hours are summed or not.
  stats ops.stat[] not null
);
alter table ops.stat_sums enable row level security;
comment on table ops.stat_sums is 'What each six hours of the last month came to. A row that is missing is counted again.';

create function ops.count_stats(p_from timestamptz, p_until timestamptz, p_step interval)
returns table (at timestamptz, name text, label text, value numeric)
language plpgsql
stable
set search_path = ''
-- For an hour another plan than for six.
set plan_cache_mode = force_custom_plan
as $$
-- What the rows of [p_from, p_until) come to, by steps that begin with p_from. What did not happen is not there.
begin
  return query
  select date_bin(p_step, j.created_at, p_from), 'jobs_accepted', '', count(*)::numeric
  from videos.jobs as j
  where j.created_at >= p_from and j.created_at < p_until
  group by 1
  union all
  -- The two of one reading: GROUPING says which.
  select e.at, case grouping(e.status) when 0 then 'jobs_ended' else 'completion_seconds' end,
    coalesce(e.status::text, e.seconds::text), count(*)::numeric
  from (
    select date_bin(p_step, j.completed_at, p_from) as at, j.status,
      case j.status when 'completed' then round(date_part('epoch', j.completed_at - j.created_at))::integer end as seconds
    from videos.jobs as j
    where j.completed_at >= p_from and j.completed_at < p_until
  ) as e
  group by grouping sets ((e.at, e.status), (e.at, e.seconds))
  having grouping(e.status) = 0 or e.seconds is not null
  union all
  select date_bin(p_step, t.created_at, p_from), 'credits', m.movement, sum(t.amount)::numeric
  from credits.transfers as t
  join (values
    ('purchase'::credits.transfer_kind, 'sold'), ('grant', 'granted'), ('capture', 'spent'), ('refund', 'refunded'), ('release', 'refunded')
  ) as m (kind, movement) on m.kind = t.kind
  where t.created_at >= p_from and t.created_at < p_until
    and not (t.kind = 'purchase' and t.from_account_id = credits.system_account('sandbox'))
  group by 1, m.movement
  union all
  select date_bin(p_step, s.claimed_at, p_from), 'provider_cents', s.provider, sum(s.cost_cents)
  from videos.submissions as s
  where s.claimed_at >= p_from and s.claimed_at < p_until and s.counted_on is not null
  group by 1, s.provider;
end;
$$;

-- The six hours of which sums are kept, and within which a time lies.
create function ops.stat_block(p_time timestamptz)
returns timestamptz
language sql
immutable
return date_bin(interval '6 hours', p_time, timestamptz 'epoch');

create function ops.unsummed_stats(p_limit integer)
returns setof timestamptz
language plpgsql
volatile
set search_path = ''
as $$
-- The six hours of the last month that have no sums yet, the oldest first, up to p_limit; from an hour after their end on, when
-- whatever was begun in them is written.
declare
  v_now constant timestamptz := core.now();
begin
  return query
  select b.at
  from generate_series(ops.stat_block(v_now - interval '30 days'), v_now - interval '7 hours', interval '6 hours') as b (at)
  where not exists (select from ops.stat_sums as s where s.at = b.at)
  order by b.at
  limit p_limit;
end;
$$;

create function ops.sum_stats(p_at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Keeps what six hours came to; a second call changes nothing. Locks: ops.stat_sums, against ops.forget_stats.
begin
  lock table ops.stat_sums in share row exclusive mode;
  insert into ops.stat_sums (at, stats)
  select p_at, coalesce(array_agg(row(c.name, c.label, c.value)::ops.stat), '{}')
  from ops.count_stats(p_at, p_at + interval '6 hours', interval '6 hours') as c
  on conflict do nothing;
end;
$$;

create function ops.forget_stats(p_time timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Called by whoever changes what was counted at a time: its six hours are counted again. Locks: ops.stat_sums, against
-- ops.sum_stats, which so sees the change or has its sums deleted.
begin
  if ops.stat_block(p_time) < ops.stat_block(core.now()) then
    lock table ops.stat_sums in row exclusive mode;
    delete from ops.stat_sums as s where s.at = ops.stat_block(p_time);
  end if;
end;
$$;

create function ops.stat_steps(p_span text, p_now timestamptz, out step interval, out first_at timestamptz)
language sql
immutable
set search_path = ''
as $$
  -- How a span is divided; its last step is the one that p_now lies in.
  select s.step, date_bin(s.step, p_now, timestamptz 'epoch') - (s.steps - 1) * s.step
  from (values ('hour', interval '1 minute', 60), ('day', interval '15 minutes', 96), ('month', interval '6 hours', 120))
    as s (span, step, steps)
  where s.span = p_span
$$;

create function ops.stats_json(p_span text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- How the last `hour`, `day` or `month` went: `{ span, from, to, step_seconds, series, totals }`, of which series and totals
-- name the same things in the same order. Locks: nothing.
declare
  -- To the millisecond, as it is told: what is counted is exactly what lies between `from` and `to`.
  v_now constant timestamptz := date_trunc('milliseconds', core.now());
  v_steps record;
  v_stats jsonb;
begin
  v_steps := ops.stat_steps(p_span, v_now);
  with counted as materialized (
    select c.at, c.name, c.label, c.value
    from ops.count_stats(v_steps.first_at, v_now, v_steps.step) as c
    where p_span <> 'month'
    union all
    select s.at, c.name, c.label, c.value
    from ops.stat_sums as s
    cross join unnest(s.stats) as c
    where p_span = 'month' and s.at >= v_steps.first_at
    union all
    select c.at, c.name, c.label, c.value
    from generate_series(v_steps.first_at, v_now, v_steps.step) as b (at)
    cross join ops.count_stats(b.at, least(b.at + v_steps.step, v_now), v_steps.step) as c
    where p_span = 'month' and not exists (select from ops.stat_sums as s where s.at = b.at)
  ),
  -- Of each step, and of the span, which ends them all.
  summed as (
    select coalesce(c.at, 'infinity') as at, c.name, c.label, sum(c.value) as value
    from counted as c
    where c.name <> 'completion_seconds'
    group by grouping sets ((c.at, c.name, c.label), (c.name, c.label))
  ),
  -- In integers, and each second of a step once: these are many.
  taken as materialized (
    select c.at, c.label::integer as seconds, c.value::integer as jobs from counted as c where c.name = 'completion_seconds'
  ),
  ranked as (
    select t.at, t.seconds, t.jobs, sum(t.jobs) over (partition by t.at order by t.seconds rows unbounded preceding) as up_to,
      sum(t.jobs) over (partition by t.at) as of_all
    from (
      select t.at, t.seconds, t.jobs from taken as t
      union all
      select 'infinity', t.seconds, sum(t.jobs)::integer from taken as t group by t.seconds
    ) as t
  ),
  figures as materialized (
    select s.at, s.name, s.label, s.value from summed as s
    union all
    -- As percentile_disc has it: the least that so many did not exceed.
    select r.at, 'completion_seconds', q.quantile, r.seconds
    from ranked as r
    join (values (50, '0.5'), (95, '0.95')) as q (percent, quantile)
      on r.up_to * 100 >= q.percent * r.of_all and (r.up_to - r.jobs) * 100 < q.percent * r.of_all
  ),
  named as (
    select n.place, n.name, case when n.key is null then '{}' else jsonb_build_object(n.key, n.label) end as labels, n.label, n.unit,
      case n.name when 'completion_seconds' then null else 0 end as nothing
    from (
      select * from (values
        (1, 'jobs_accepted', null, '', 'jobs'),
        (2, 'jobs_ended', 'outcome', 'completed', 'jobs'), (3, 'jobs_ended', 'outcome', 'failed', 'jobs'),
        (4, 'jobs_ended', 'outcome', 'cancelled', 'jobs'),
        (5, 'completion_seconds', 'quantile', '0.5', 'seconds'), (6, 'completion_seconds', 'quantile', '0.95', 'seconds'),
        (7, 'credits', 'movement', 'sold', 'credits'), (8, 'credits', 'movement', 'granted', 'credits'),
        (9, 'credits', 'movement', 'spent', 'credits'), (10, 'credits', 'movement', 'refunded', 'credits')
      ) as k (place, name, key, label, unit)
      union all
      select 11, f.name, 'provider', f.label, 'cents' from figures as f where f.at = 'infinity' and f.name = 'provider_cents'
    ) as n
  ),
  shown as (
    select n.place, n.label,
      jsonb_build_object('name', n.name, 'labels', n.labels, 'unit', n.unit) as what,
      jsonb_agg(coalesce(f.value, n.nothing) order by t.at) filter (where t.at < 'infinity') as values,
      max(coalesce(f.value, n.nothing)) filter (where t.at = 'infinity') as value
    from named as n
    cross join (
      select g.at from generate_series(v_steps.first_at, v_now, v_steps.step) as g (at)
      union all
      select 'infinity'
    ) as t (at)
    left join figures as f on f.name = n.name and f.label = n.label and f.at = t.at
    group by n.place, n.label, n.name, n.labels, n.unit
  )
  select jsonb_build_object(
    'series', jsonb_agg(s.what || jsonb_build_object('values', s.values) order by s.place, s.label),
    'totals', jsonb_agg(s.what || jsonb_build_object('value', s.value) order by s.place, s.label)
  ) into v_stats
  from shown as s;
  return v_stats || jsonb_build_object(
    'span', p_span, 'from', core.to_iso(v_steps.first_at), 'to', core.to_iso(v_now),
    'step_seconds', extract(epoch from v_steps.step)::integer
  );
end;
$$;

create function ops.now_json()
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- How things stand: what waits for a worker, what runs, what is wrong, and the providers.
begin
  return jsonb_build_object(
    'due_tasks', (select count(*) from queue.tasks as t where t.failed_at is null and t.run_at <= core.now()),
    'oldest_due_task_seconds', extract(epoch from queue.oldest_due()),
    'dead_tasks', (select count(*) from queue.tasks as t where t.failed_at is not null),
    'jobs_running', (select count(*) from videos.jobs as j where j.completed_at is null),
    'open_alerts', (
      select jsonb_build_object(
        'warning', count(*) filter (where a.level = 'warning'), 'critical', count(*) filter (where a.level = 'critical')
      )
      from ops.alerts as a
      where a.resolved_at is null
    ),
    'providers', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'provider', v.name, 'is_enabled', v.is_enabled and ops.is_enabled('providers.' || v.name), 'breaker', v.breaker,
        'spent_cents_today', s.cents, 'cap_cents', s.cap_cents
      ) order by v.name), '[]')
      from videos.providers as v
      join ops.spending_today as s on s.provider = v.name
    )
  );
end;
$$;
