-- What the tables know, for any span [p_from, p_until): each figure is a query on them, and reads of them what the span has.
-- The views are the last hour's. Functions, because a volatile now() in a view would be asked for each row.

create function ops.job_figures(p_from timestamptz, p_until timestamptz)
returns table (
  model text, provider text, status text, code text, jobs bigint, seconds_p50 double precision, seconds_p95 double precision
)
language plpgsql
stable
set search_path = ''
-- For an hour another plan than for a month.
set plan_cache_mode = force_custom_plan
as $$
-- Jobs that ended, by the provider that had them last (`none` where none did), and how long they took from acceptance.
-- Nearly all are handed on and end within an hour: these submissions are read at once, those of the others one by one.
begin
  return query
  select e.model_name, coalesce(e.provider, 'none'), e.status::text, coalesce(e.error_code, 'none'), e.jobs, e.took[1], e.took[2]
  from (
    select j.model_name, coalesce(s.provider, o.provider) as provider, j.status, j.error_code, count(*) as jobs,
      percentile_cont('{0.5,0.95}'::double precision[])
        within group (order by date_part('epoch', j.completed_at - j.created_at)) as took
    from videos.jobs as j
    left join (
      select distinct on (x.job_id) x.job_id, x.provider
      from videos.submissions as x
      where x.claimed_at >= p_from - interval '1 hour' and x.claimed_at < p_until
      order by x.job_id, x.claimed_at desc
    ) as s on s.job_id = j.id
    left join lateral (
      select x.provider
      from videos.submissions as x
      -- Here and not where it is joined, so that the others are not asked for.
      where x.job_id = j.id and s.job_id is null and j.created_at < p_from - interval '1 hour'
      order by x.claimed_at desc
      limit 1
    ) as o on true
    where j.completed_at >= p_from and j.completed_at < p_until
    group by j.model_name, coalesce(s.provider, o.provider), j.status, j.error_code
  ) as e;
end;
$$;

create function ops.provider_figures(p_from timestamptz, p_until timestamptz)
returns table (
  provider text, submissions bigint, accepted bigint, not_accepted bigint, unknown bigint, refused bigint,
  accept_seconds_p50 double precision, accept_seconds_p95 double precision,
  make_seconds_p50 double precision, make_seconds_p95 double precision, cents numeric
)
language sql
stable
set search_path = ''
as $$
  -- What was handed to each provider: how it took it, how long until then, how long it made it, and what it costs.
  select s.provider, count(*), count(*) filter (where s.state in ('accepted', 'ended')),
    count(*) filter (where s.state = 'not_accepted'), count(*) filter (where s.state = 'unknown'),
    count(*) filter (where s.state = 'refused'),
    percentile_cont(0.5) within group (order by date_part('epoch', s.accepted_at - s.claimed_at)),
    percentile_cont(0.95) within group (order by date_part('epoch', s.accepted_at - s.claimed_at)),
    percentile_cont(0.5) within group (order by date_part('epoch', s.ended_at - s.accepted_at)),
    percentile_cont(0.95) within group (order by date_part('epoch', s.ended_at - s.accepted_at)),
    coalesce(sum(s.cost_cents) filter (where s.counted_on is not null), 0)
  from videos.submissions as s
  where s.claimed_at >= p_from and s.claimed_at < p_until
  group by 1
$$;

create function ops.credit_figures(p_from timestamptz, p_until timestamptz)
returns table (
  granted bigint, sold bigint, held bigint, spent bigint, released bigint, refunded bigint, adjusted bigint,
  expired bigint, reversed bigint, forfeited bigint
)
language sql
stable
set search_path = ''
as $$
  -- What moved in the ledger. `sold` is what was paid for; `held` is `spent` or `released` in the end; `adjusted` is signed.
  select coalesce(sum(t.amount) filter (where t.kind = 'grant'), 0)::bigint,
    coalesce(sum(t.amount) filter (
      where t.kind = 'purchase' and t.from_account_id <> credits.system_account('sandbox')
    ), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'hold'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'capture'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'release'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'refund'), 0)::bigint,
    coalesce(sum(case when t.to_number is null then -t.amount else t.amount end) filter (where t.kind = 'adjustment'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'expiry'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'reversal'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'forfeit'), 0)::bigint
  from credits.transfers as t
  where t.created_at >= p_from and t.created_at < p_until
$$;

create function ops.conversion_figures(p_from timestamptz, p_until timestamptz)
returns table (accounts bigint, with_video bigint, with_purchase bigint)
language sql
stable
set search_path = ''
as $$
  -- Of the accounts that came: how many have a video by now, and how many have bought. Videos that were deleted are none.
  select count(*),
    count(*) filter (where exists (
      select from videos.jobs as j where j.user_id = u.id and j.status = 'completed' and j.deleted_at is null
    )),
    count(*) filter (where exists (
      select from purchases.transactions as p
      where p.owner_id = u.id and p.environment = 'production' and p.credited_at is not null
    ))
  from accounts.users as u
  where u.created_at >= p_from and u.created_at < p_until
$$;

create function ops.error_figures(p_from timestamptz, p_until timestamptz)
returns table (code text, source text, errors bigint)
language sql
stable
set search_path = ''
as $$
  -- ERR_5xxx and ERR_6xxx that were recorded, by whole minutes.
  select e.code, e.endpoint, sum(e.count)::bigint
  from ops.error_log as e
  where e.minute >= p_from and e.minute < p_until
  group by 1, 2
$$;

create view ops.jobs_last_hour with (security_invoker = true) as
select f.* from ops.job_figures(core.now() - interval '1 hour', core.now()) as f;
comment on view ops.jobs_last_hour is 'Jobs that ended within an hour, by model, provider, end and code, and how long they took.';

create view ops.providers_last_hour with (security_invoker = true) as
select f.* from ops.provider_figures(core.now() - interval '1 hour', core.now()) as f;
comment on view ops.providers_last_hour is 'What was handed to providers within an hour, and how they took it.';

create view ops.credits_last_hour with (security_invoker = true) as
select f.* from ops.credit_figures(core.now() - interval '1 hour', core.now()) as f;
comment on view ops.credits_last_hour is 'What moved in the ledger within an hour.';

create view ops.conversion_last_day with (security_invoker = true) as
select f.* from ops.conversion_figures(core.now() - interval '1 day', core.now()) as f;
comment on view ops.conversion_last_day is 'Accounts that came within a day, and how many of them have a video, and have bought.';

create view ops.errors_last_hour with (security_invoker = true) as
select f.* from ops.error_figures(core.now() - interval '1 hour', core.now()) as f;
comment on view ops.errors_last_hour is 'Errors that were recorded within an hour, by code and source.';

create view ops.queue_now with (security_invoker = true) as
select k.kind, count(t.id) filter (where t.failed_at is null) as waiting,
  count(t.id) filter (where t.failed_at is null and t.run_at <= core.now()) as due,
  coalesce(extract(epoch from w.waits), 0)::double precision as oldest_due_seconds,
  count(t.id) filter (where t.failed_at is not null) as dead,
  count(t.id) filter (where t.leased_until > core.now()) as running
from queue.kinds as k
left join queue.tasks as t on t.kind = k.kind
left join queue.longest_waits() as w on w.kind = k.kind
group by k.kind, w.waits;
comment on view ops.queue_now is 'Tasks by kind: those that wait, those that are due, for how long one has waited for a worker, dead letters, and those that a worker has.';

create view ops.debt_now with (security_invoker = true) as
select count(*) filter (where a.balance > 0) as accounts, coalesce(sum(a.balance), 0)::bigint as credits
from credits.accounts as a
where a.kind = 'owed' and a.owner_id is not null;
comment on view ops.debt_now is 'Credits that are owed: taken back after they were spent.';

create view ops.spending_today with (security_invoker = true) as
select v.name as provider, coalesce(s.cents, 0) as cents, v.daily_cap_cents as cap_cents
from videos.providers as v
left join videos.spending as s on s.provider = v.name and s.day = (core.now() at time zone 'UTC')::date;
comment on view ops.spending_today is 'US cents that the day''s submissions cost, in UTC, and what caps them.';

-- One metric as `metrics` prints it: a sample of a histogram has bounds, buckets, count and sum, any other a value.
create function ops.metric_family(p_name text, p_type text, p_help text, p_samples jsonb)
returns jsonb
language sql
immutable
return jsonb_build_object('name', p_name, 'type', p_type, 'help', p_help, 'samples', coalesce(p_samples, '[]'));

create function ops.metric_families()
returns jsonb
language sql
volatile
set search_path = ''
as $$
-- All that `metrics` prints: what isolates ever counted, and what the tables know now.
with jobs as (select f.* from ops.jobs_last_hour as f),
providers as (select f.* from ops.providers_last_hour as f),
queued as (select q.* from ops.queue_now as q)
select coalesce((
  select jsonb_agg(ops.metric_family(
    'kinora_' || t.name || case when t.bounds is null then '_total' else '' end,
    case when t.bounds is null then 'counter' else 'histogram' end,
    t.help,
    (
      select jsonb_agg(
        case when t.bounds is null then jsonb_build_object('labels', p.labels, 'value', p.count)
          else jsonb_build_object(
            'labels', p.labels, 'count', p.count, 'sum', p.sum, 'buckets', to_jsonb(p.buckets), 'bounds', to_jsonb(t.bounds)
          )
        end
        order by p.labels
      )
      from ops.metric_points as p
      where p.step = 'total' and p.at = '-infinity' and p.name = t.name
    )
  ) order by t.name)
  from unnest(ops.metric_types()) as t
), '[]') || jsonb_build_array(
    ops.metric_family('kinora_jobs_ended_last_hour', 'gauge', 'Jobs that ended within an hour', (
      select jsonb_agg(jsonb_build_object(
        'labels', jsonb_build_object('model', j.model, 'provider', j.provider, 'status', j.status, 'code', j.code),
        'value', j.jobs
      )) from jobs as j
    )),
    ops.metric_family('kinora_job_seconds_last_hour', 'gauge', 'Time from acceptance to the end of jobs that ended within an hour', (
      select jsonb_agg(jsonb_build_object(
        'labels', jsonb_build_object(
          'model', j.model, 'provider', j.provider, 'status', j.status, 'code', j.code, 'percentile', q.percentile
        ),
        'value', q.seconds
      ))
      from jobs as j
      cross join lateral (values ('50', j.seconds_p50), ('95', j.seconds_p95)) as q (percentile, seconds)
    )),
    ops.metric_family('kinora_submissions_last_hour', 'gauge', 'What was handed to providers within an hour, by how they took it', (
      select jsonb_agg(jsonb_build_object(
        'labels', jsonb_build_object('provider', f.provider, 'outcome', o.outcome), 'value', o.submissions
      ))
      from providers as f
      cross join lateral (values
        ('accepted', f.accepted), ('not_accepted', f.not_accepted), ('unknown', f.unknown), ('refused', f.refused)
      ) as o (outcome, submissions)
    )),
    ops.metric_family('kinora_provider_accept_seconds_last_hour', 'gauge', 'Time until a provider took a submission', (
      select jsonb_agg(jsonb_build_object(
        'labels', jsonb_build_object('provider', f.provider, 'percentile', q.percentile), 'value', q.seconds
      ))
      from providers as f
      cross join lateral (values ('50', f.accept_seconds_p50), ('95', f.accept_seconds_p95)) as q (percentile, seconds)
      where q.seconds is not null
    )),
    ops.metric_family('kinora_provider_make_seconds_last_hour', 'gauge', 'Time from then until it had made the video', (
      select jsonb_agg(jsonb_build_object(
        'labels', jsonb_build_object('provider', f.provider, 'percentile', q.percentile), 'value', q.seconds
      ))
      from providers as f
      cross join lateral (values ('50', f.make_seconds_p50), ('95', f.make_seconds_p95)) as q (percentile, seconds)
      where q.seconds is not null
    )),
    ops.metric_family('kinora_credits_moved_last_hour', 'gauge', 'Credits that moved in the ledger within an hour', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('kind', k.key), 'value', k.value))
      from ops.credits_last_hour as f cross join lateral jsonb_each(to_jsonb(f)) as k
    )),
    ops.metric_family('kinora_credits_owed', 'gauge', 'Credits that were taken back after they were spent', (
      select jsonb_agg(jsonb_build_object('labels', '{}'::jsonb, 'value', d.credits)) from ops.debt_now as d
    )),
    ops.metric_family('kinora_accounts_last_day', 'gauge', 'Accounts that came within a day, and what they have by now', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('reached', k.key), 'value', k.value))
      from ops.conversion_last_day as f cross join lateral jsonb_each(to_jsonb(f)) as k
    )),
    ops.metric_family('kinora_errors_last_hour', 'gauge', 'Errors of ours and of providers that were recorded within an hour', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('code', f.code, 'source', f.source), 'value', f.errors))
      from ops.errors_last_hour as f
    )),
    ops.metric_family('kinora_tasks', 'gauge', 'Tasks of the queue', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('kind', q.kind, 'state', s.state), 'value', s.tasks))
      from queued as q
      cross join lateral (values ('waiting', q.waiting), ('due', q.due), ('dead', q.dead)) as s (state, tasks)
    )),
    ops.metric_family('kinora_oldest_due_task_seconds', 'gauge', 'How long the task has waited for a worker that waits longest', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('kind', q.kind), 'value', q.oldest_due_seconds))
      from queued as q
    )),
    ops.metric_family('kinora_provider_spent_cents_today', 'gauge', 'US cents that the submissions of the day cost, in UTC', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('provider', s.provider), 'value', s.cents))
      from ops.spending_today as s
    )),
    ops.metric_family('kinora_provider_cap_cents', 'gauge', 'US cents that a day may cost; absent where nothing caps it', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('provider', s.provider), 'value', s.cap_cents))
      from ops.spending_today as s where s.cap_cents is not null
    ))
  )
$$;
