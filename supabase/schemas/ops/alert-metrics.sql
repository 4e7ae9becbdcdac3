-- What rules measure. A closed set: a rule names one of these, and nothing that a row says is ever run.

create type ops.alert_metric as enum (
  'error_percent', 'response_seconds', 'queue_seconds', 'overdue_jobs', 'provider_failures', 'spending_percent', 'grants',
  'credits_given', 'ledger_violations', 'dead_letters', 'dead_deliveries', 'database_bytes', 'storage_bytes',
  'connections_percent', 'uncredited_purchases', 'unknown_networks', 'provider_balance_cents', 'provider_locked',
  'provider_bill_percent'
);

-- Of what, and how much; what is not named is well.
create type ops.measurement as (subject text, value numeric);

create function ops.measure(p_metric ops.alert_metric, p_window interval)
returns setof ops.measurement
language plpgsql
volatile
set search_path = ''
as $$
-- Measures over the time that ends now, by one statement. Takes no lock; a second call measures again.
declare
  v_now constant timestamptz := core.now();
  v_since constant timestamptz := v_now - p_window;
begin
  case p_metric
    -- Answers that are a fault of ours or of a provider's, of all. That something is switched off is none, though a 503: a rule
    -- that switches it off would hold itself. Of a few, one says nothing.
    when 'error_percent' then return query
      select 'requests', 100.0 * sum(m.count) filter (
        where m.labels ->> 'status' like '5%' and m.labels ->> 'code' is distinct from core.error_code('feature/switched-off')
      ) / sum(m.count)
      from ops.metric_minutes as m
      where m.name = 'requests' and m.minute >= date_trunc('minute', v_since)
      having sum(m.count) >= 20;
    -- How long the twentieth part takes that takes longest, between the bounds of a histogram.
    when 'response_seconds' then return query
      select 'requests', ops.quantile('request_seconds', date_trunc('minute', v_since), 0.95);
    -- How long the task waits for a worker that waits longest; what waits for a slow receiver of webhooks does not.
    when 'queue_seconds' then return query
      select 'queue', extract(epoch from queue.oldest_due());
    -- The tick ends a job within seconds of its bound; one whose provider is asked to stop waits for that, for 5 minutes.
    when 'overdue_jobs' then return query
      select 'jobs', count(*)::numeric from videos.jobs as j
      where j.completed_at is null and j.due_at <= v_now - interval '6 minutes';
    -- In a row: what the breaker counts.
    when 'provider_failures' then return query
      select v.name, greatest(v.failures, v.unfinished)::numeric from videos.providers as v where v.is_enabled;
    -- All of it is spent where what is left pays for no video.
    when 'spending_percent' then return query
      select v.name, greatest(
        100 * (v.daily_cap_cents - m.cents) / v.daily_cap_cents, case when m.cents < videos.least_cents(v.name) then 100 end
      )
      from videos.money_left as m
      join videos.providers as v on v.name = m.provider and v.daily_cap_cents > 0;
    -- What a device gets, of which there is an intent each.
    when 'grants' then return query
      select 'devices', count(*)::numeric from devices.intents as i
      where i.good_until > v_since and i.granted_at > v_since;
    when 'credits_given' then return query
      select 'admins', coalesce(sum(a.amount), 0) from ops.admin_actions as a
      where a.amount > 0 and a.created_at > v_since;
    when 'ledger_violations' then return query
      select 'ledger', p.violations::numeric from credits.proofs as p order by p.id desc limit 1;
    when 'dead_letters' then return query
      select t.kind, count(*)::numeric from queue.tasks as t
      where t.failed_at is not null and t.failed_at > v_since
      group by t.kind;
    when 'dead_deliveries' then return query
      select d.channel, count(*)::numeric from events.deliveries as d
      where d.outcome = 'dead' and d.ended_at > v_since
      group by d.channel;
    when 'database_bytes' then return query
      select 'database', pg_database_size(current_database())::numeric;
    when 'storage_bytes' then return query
      select 'storage', coalesce((select sum(a.bytes) from videos.assets as a where a.deleted_at is null), 0)
        + coalesce((select sum(u.bytes) from videos.uploads as u where u.deleted_at is null), 0);
    when 'connections_percent' then return query
      select 'database', 100.0 * sum(d.numbackends) / current_setting('max_connections')::numeric
      from pg_catalog.pg_stat_database as d;
    -- Somebody has paid, and waits for the operator.
    when 'uncredited_purchases' then return query
      select t.reason::text, count(*)::numeric from purchases.transactions as t
      where t.reason in ('unknown_product', 'wrong_environment', 'sandbox_limit', 'switched_off')
        and t.environment = 'production'
      group by t.reason;
    -- Requests that say nothing about their network share the limits of one.
    when 'unknown_networks' then return query
      select h.policy, count(*)::numeric
      from guard.policies as p
      join guard.hits as h on h.is_logged = p.is_logged and h.policy = p.name and h.subject = 'unknown'
      cross join lateral unnest(h.hits) as u (hit)
      where p.scope = 'network' and p.counts = 'hits' and u.hit > v_since
      group by h.policy;
    when 'provider_balance_cents' then return query
      select a.provider, a.balance_cents from videos.provider_accounts as a where a.balance_cents is not null;
    when 'provider_locked' then return query
      select a.provider, a.is_locked::integer::numeric from videos.provider_accounts as a;
    -- By how much a day's bill differs from what its submissions cost by our count; of a dollar or less it says nothing.
    when 'provider_bill_percent' then return query
      select b.provider, max(100 * abs(b.billed_cents - b.counted_cents) / greatest(b.billed_cents, b.counted_cents))
      from videos.provider_bills as b
      where b.day > (v_since at time zone 'UTC')::date and greatest(b.billed_cents, b.counted_cents) > 100
      group by b.provider;
  end case;
end;
$$;

create function ops.quantile(p_metric text, p_since timestamptz, p_part numeric)
returns numeric
language plpgsql
stable
set search_path = ''
as $$
-- Below which value the part of what a histogram counted since then lies, evenly within its bucket; what is above the last bound
-- counts as that. Null where fewer than 20 were counted. Takes no lock.
declare
  v_bounds constant double precision[] := (select t.bounds from unnest(ops.metric_types()) as t where t.name = p_metric);
  v_counts bigint[];
  v_total bigint;
  v_below bigint := 0;
  v_from numeric := 0;
begin
  select array_agg(b.count order by b.place), sum(b.count) into v_counts, v_total
  from (
    select u.place, sum(u.count)::bigint as count
    from ops.metric_minutes as m
    cross join lateral unnest(m.buckets) with ordinality as u (count, place)
    where m.name = p_metric and m.minute >= p_since
    group by u.place
  ) as b;
  if coalesce(v_total, 0) < 20 then
    return null;
  end if;
  for v_place in 1 .. cardinality(v_bounds) loop
    if v_below + v_counts[v_place] >= p_part * v_total then
      return v_from + (v_bounds[v_place]::numeric - v_from) * (p_part * v_total - v_below) / v_counts[v_place];
    end if;
    v_below := v_below + v_counts[v_place];
    v_from := v_bounds[v_place]::numeric;
  end loop;
  return v_from;
end;
$$;
