-- What only the functions know: how many requests, how long, whom they asked. Counted in the isolates, told in rows that
-- nobody updates, and folded into points. It is best effort: no bill, and no alert about money, stands on it.

-- Emptied by a crash, as an isolate's own memory is. Without an index: it is written often and read as a whole.
create unlogged table ops.metric_rows (
  recorded_at timestamptz not null,
  name text not null,
  labels jsonb not null,
  count bigint not null,
  sum double precision not null,
  buckets bigint[] not null
);
alter table ops.metric_rows enable row level security;
comment on table ops.metric_rows is 'What isolates have told and ops.fold_metrics has not folded yet.';

create table ops.metric_points (
  -- What a point stands for: a minute, an hour or a day in UTC, or all that ever was.
  step text not null check (step in ('minute', 'hour', 'day', 'total')),
  -- When it begins; -infinity for a total.
  at timestamptz not null,
  name text not null,
  labels jsonb not null,
  -- How often; for a histogram, of how many.
  count bigint not null,
  -- Of what was measured; 0 for what is only counted.
  sum double precision not null,
  -- How many of them lie in each bucket, not cumulated; {} for what is only counted.
  buckets bigint[] not null,
  primary key (step, at, name, labels)
) with (fillfactor = 70);
alter table ops.metric_points enable row level security;
-- A series over its time.
create index metric_points_name on ops.metric_points (name, step, at);
comment on table ops.metric_points is
  'What isolates counted, by minute (2 days), hour (90 days), day (2 years), and ever. A database that is restored goes on.';

create view ops.metric_minutes with (security_invoker = true) as
select p.at as minute, p.name, p.labels, p.count, p.sum, p.buckets from ops.metric_points as p where p.step = 'minute';
comment on view ops.metric_minutes is 'What isolates counted in each minute of the last 2 days.';

create view ops.metric_hours with (security_invoker = true) as
select p.at as hour, p.name, p.labels, p.count, p.sum, p.buckets from ops.metric_points as p where p.step = 'hour';
comment on view ops.metric_hours is 'What isolates counted in each hour of the last 90 days.';

create view ops.metric_days with (security_invoker = true) as
select p.at as day, p.name, p.labels, p.count, p.sum, p.buckets from ops.metric_points as p where p.step = 'day';
comment on view ops.metric_days is 'What isolates counted in each day, in UTC, of the last 2 years.';

create function ops.closed_labels(p_type ops.metric_type, p_labels jsonb)
returns jsonb
language sql
stable
set search_path = ''
as $$
-- The labels of a metric, each with a value of its set: what is not of it is `other`. What is no label of it is left out.
select coalesce(jsonb_object_agg(l.label, case
  when coalesce(ops.metric_sets() -> (l.allowed #>> '{}'), l.allowed) ? (p_labels ->> l.label) then p_labels ->> l.label
  else 'other'
end), '{}')
from jsonb_each((p_type).labels) as l (label, allowed)
$$;

create function ops.record_metrics(p_rows jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Notes what an isolate counted: `[{ name, labels, count, sum?, buckets? }]`, up to 1,000 of them, under the database's
-- own time. A metric that this database does not know, or that is not of its form, is left out: a function may be newer.
-- `data`: `{ recorded }`. A second call counts a second time. Locks: nothing; no row that another call writes.
declare
  v_now constant timestamptz := core.now();
  v_recorded integer;
begin
  insert into ops.metric_rows (recorded_at, name, labels, count, sum, buckets)
  select v_now, t.name, ops.closed_labels(t, r.labels), r.count, coalesce(r.sum, 0), coalesce(r.buckets, '{}')
  from jsonb_to_recordset(case when jsonb_typeof(p_rows) = 'array' then p_rows else '[]' end)
    as r (name text, labels jsonb, count bigint, sum double precision, buckets bigint[])
  join unnest(ops.metric_types()) as t on t.name = r.name
  where r.count > 0
    and coalesce(r.sum, 0) >= 0 and coalesce(r.sum, 0) < 'infinity'
    and cardinality(coalesce(r.buckets, '{}')) = coalesce(cardinality(t.bounds) + 1, 0)
    and 0 <= all (coalesce(r.buckets, '{}'))
  limit 1000;
  get diagnostics v_recorded = row_count;
  return guard.answer(jsonb_build_object('recorded', v_recorded));
end;
$$;

create function ops.fold_metrics()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `fold_metrics`: adds what isolates have told to the points of its minute, hour and day, and to what
-- ever was, and returns how many rows there were. It takes some at a time and ends well before its time limit, so that what
-- has piled up is less after each run; the rest is for the next. A second call finds none of them. Locks: the rows, past
-- those that another call has → the points; of two at once, which the tick does not have, one may be undone.
declare
  v_batch constant integer := 5000;
  v_until constant timestamptz := clock_timestamp() + interval '1 second';
  v_folded integer;
  v_all integer := 0;
begin
  loop
    with taken as (
      delete from ops.metric_rows as d
      where d.ctid = any (array(select r.ctid from ops.metric_rows as r limit v_batch for update skip locked))
      returning date_trunc('minute', d.recorded_at, 'UTC') as minute, d.name, d.labels, d.count, d.sum, d.buckets
    ),
    -- Of a minute there are many rows and few series: the longer steps are made of these.
    minutes as (
      select t.minute, t.name, t.labels, sum(t.count) as count, sum(t.sum) as sum, count(*) as rows
      from taken as t
      group by t.minute, t.name, t.labels
    ),
    minute_cells as (
      select t.minute, t.name, t.labels, b.place, sum(b.count) as count
      from taken as t
      cross join unnest(t.buckets) with ordinality as b (count, place)
      group by t.minute, t.name, t.labels, b.place
    ),
    sums as (
      select s.step, s.at, m.name, m.labels, sum(m.count)::bigint as count, sum(m.sum) as sum
      from minutes as m
      cross join lateral (values ('minute', m.minute), ('hour', date_trunc('hour', m.minute, 'UTC')),
        ('day', date_trunc('day', m.minute, 'UTC')), ('total', '-infinity')) as s (step, at)
      group by s.step, s.at, m.name, m.labels
    ),
    cells as (
      select s.step, s.at, c.name, c.labels, c.place, sum(c.count)::bigint as count
      from minute_cells as c
      cross join lateral (values ('minute', c.minute), ('hour', date_trunc('hour', c.minute, 'UTC')),
        ('day', date_trunc('day', c.minute, 'UTC')), ('total', '-infinity')) as s (step, at)
      group by s.step, s.at, c.name, c.labels, c.place
    ),
    histograms as (
      select c.step, c.at, c.name, c.labels, array_agg(c.count order by c.place) as buckets
      from cells as c
      group by c.step, c.at, c.name, c.labels
    ),
    folded as (
      insert into ops.metric_points as p (step, at, name, labels, count, sum, buckets)
      select s.step, s.at, s.name, s.labels, s.count, s.sum, coalesce(h.buckets, '{}')
      from sums as s
      left join histograms as h using (step, at, name, labels)
      order by s.step, s.at, s.name, s.labels
      on conflict (step, at, name, labels) do update
        set count = p.count + excluded.count, sum = p.sum + excluded.sum,
            buckets = array(
              select coalesce(b.old, 0) + coalesce(b.new, 0)
              from unnest(p.buckets, excluded.buckets) with ordinality as b (old, new, place)
              order by b.place
            )
    )
    select coalesce(sum(m.rows), 0) into v_folded from minutes as m;
    v_all := v_all + v_folded;
    exit when v_folded < v_batch or clock_timestamp() > v_until;
  end loop;
  return v_all;
end;
$$;
