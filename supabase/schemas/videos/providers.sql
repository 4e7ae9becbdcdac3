create type videos.breaker_state as enum ('closed', 'open', 'half_open');

create table videos.providers (
  name text primary key check (name in ('fal', 'replicate', 'runway')),
  is_enabled boolean not null default true,
  -- Jobs with it at once; more wait in our queue, where they can still be cancelled. Providers start new accounts low.
  max_in_flight integer not null default 40 check (max_in_flight >= 0),
  -- US cents a day in UTC; null for no cap, which only the operator writes. What is stolen within a day, by whatever
  -- hole, is bounded by it before anybody has thought of it.
  daily_cap_cents bigint default 5000 check (daily_cap_cents >= 0),
  -- The breaker opens after so many failures in a row, lets one submission through after so many seconds, and closes
  -- after so many successes.
  failures_to_open integer not null default 5 check (failures_to_open > 0),
  open_seconds integer not null default 60 check (open_seconds > 0),
  successes_to_close integer not null default 2 check (successes_to_close > 0),
  breaker videos.breaker_state not null default 'closed',
  failures integer not null default 0,
  successes integer not null default 0,
  opened_at timestamptz,
  -- It asked to be left alone until then: others are asked meanwhile, for all jobs.
  busy_until timestamptz,
  -- Half open, one submission is on its way; until when it is waited for.
  probe_until timestamptz,
  -- Jobs in a row that it took and had not finished when their bound was over. So many open the breaker too, and then
  -- only a job that it finishes closes it: to take one proves nothing.
  unfinished integer not null default 0
);
alter table videos.providers enable row level security;
comment on table videos.providers is 'The providers: their limits, which the operator sets, and their circuit breakers.';

create table videos.spending (
  provider text not null references videos.providers,
  day date not null,
  cents numeric not null default 0 check (cents >= 0),
  primary key (provider, day)
);
alter table videos.spending enable row level security;
comment on table videos.spending is
  'What a day''s submissions cost: counted when they are claimed, given back when it is known that they are not billed.';

-- What a provider takes for a video, in US cents.
create function videos.cost_cents(p_offer videos.model_providers, p_model videos.models, p_settings jsonb)
returns numeric
language sql
immutable
return (p_offer).cost_cents * case (p_model).pricing_type
  when 'per_second' then (p_settings ->> 'duration_seconds')::numeric else 1
end * case when videos.inputs_in(p_settings) = '{}' then 1
  else videos.cost_factor(p_offer, (p_model).inputs, p_settings)
end;

create view videos.money_left with (security_invoker = true) as
select v.name as provider, v.daily_cap_cents - coalesce(s.cents, 0) as cents
from videos.providers as v
left join videos.spending as s on s.provider = v.name and s.day = (core.now() at time zone 'UTC')::date
where v.is_enabled;
comment on view videos.money_left is 'What each provider may still cost today; null where nothing caps it.';

create function videos.admit_submission(p_provider text, p_cost numeric)
returns date
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a provider one more job, if it may have one: counts its cost and, half open, takes its one place. Returns the
-- day on which the cost is counted; null where the provider gets no job. Locks: the provider's row, so that caps hold
-- under any number of claims at once.
declare
  v_provider videos.providers;
  v_now timestamptz;
begin
  select v.* into v_provider from videos.providers as v where v.name = p_provider for update;
  v_now := core.now();
  if not found
    -- Which a rule of the operator's may turn off.
    or not ops.is_enabled('providers.' || p_provider)
    or v_provider.busy_until > v_now
    or (v_provider.breaker = 'open'
      and v_provider.opened_at > v_now - make_interval(secs => v_provider.open_seconds))
    or (v_provider.breaker = 'half_open' and v_provider.probe_until > v_now)
    -- Of one that finishes nothing, one job at a time finds out whether it does again.
    or (v_provider.breaker <> 'closed' and v_provider.unfinished >= v_provider.failures_to_open and exists (
      select from videos.submissions as s
      join videos.jobs as j on j.id = s.job_id
      where s.provider = p_provider and s.state in ('sending', 'accepted', 'unknown') and j.completed_at is null
        and s.claimed_at > v_provider.opened_at
    ))
    or not exists (
      select from videos.money_left as m where m.provider = p_provider and coalesce(m.cents >= p_cost, true)
    )
    or v_provider.max_in_flight <= (
      select count(*)
      from videos.submissions as s
      join videos.jobs as j on j.id = s.job_id
      where s.provider = p_provider and s.state in ('sending', 'accepted', 'unknown') and j.completed_at is null
    )
  then
    return null;
  end if;

  if v_provider.breaker <> 'closed' then
    update videos.providers as v
    set breaker = 'half_open', successes = case v.breaker when 'open' then 0 else v.successes end,
        probe_until = v_now + make_interval(secs => v.open_seconds)
    where v.name = p_provider;
  end if;
  insert into videos.spending as s (provider, day, cents)
  values (p_provider, (v_now at time zone 'UTC')::date, p_cost)
  on conflict (provider, day) do update set cents = s.cents + excluded.cents;
  return (v_now at time zone 'UTC')::date;
end;
$$;

create function videos.note_bill(p_submission_id uuid, p_is_billed boolean)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a submission's cost back to the day on which it was counted, once it is known that the provider does not bill
-- it; counts it again, today, where it did after all. Once each: a second call changes nothing. Nobody calls it about
-- what may have been billed, which stays counted. The caller has locked the job. Locks: submission → provider → its
-- spending → ops.stat_sums.
declare
  v_submission videos.submissions;
  v_today constant date := (core.now() at time zone 'UTC')::date;
begin
  select s.* into v_submission from videos.submissions as s where s.id = p_submission_id for update;
  if p_is_billed = (v_submission.counted_on is not null) then
    return;
  end if;
  -- As admit_submission does: first the provider, then its spending.
  perform from videos.providers as v where v.name = v_submission.provider for update;
  if p_is_billed then
    insert into videos.spending as s (provider, day, cents)
    values (v_submission.provider, v_today, v_submission.cost_cents)
    on conflict (provider, day) do update set cents = s.cents + excluded.cents;
  else
    -- Not below zero, also where the operator has changed the day's sum.
    update videos.spending as s
    set cents = greatest(0, s.cents - v_submission.cost_cents)
    where s.provider = v_submission.provider and s.day = v_submission.counted_on;
  end if;
  update videos.submissions as s
  set counted_on = case when p_is_billed then v_today end
  where s.id = p_submission_id;
  perform ops.forget_stats(v_submission.claimed_at);
end;
$$;

create function videos.note_submission(p_submission videos.submissions, p_outcome jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What a submission's outcome tells about its provider. Only unavailability counts against it: no answer, or one that
-- proves it did not take the job; not a refusal of the request, and not being busy. What it did not take, or refused
-- before it made anything, is not billed. Who is busy, or names a time, is left alone until then. While all is well
-- nothing is written. Locks: submission → provider → its spending.
declare
  v_outcome constant text := p_outcome ->> 'outcome';
  v_is_busy constant boolean := coalesce((p_outcome ->> 'is_busy')::boolean, false);
  v_wait constant numeric := (p_outcome ->> 'retry_after_seconds')::numeric;
begin
  if v_outcome in ('not_accepted', 'refused') then
    perform videos.note_bill(p_submission.id, false);
  end if;
  if v_outcome = 'not_accepted' and (v_is_busy or v_wait > 0) then
    update videos.providers as v
    -- 5 s where it names no time; no longer than an hour, whatever it names.
    set busy_until = greatest(
          v.busy_until, core.now() + make_interval(secs => least(coalesce(v_wait, 5), 3600)::double precision)
        )
    where v.name = p_submission.provider;
  end if;
  if v_outcome = 'not_accepted' and v_is_busy then
    update videos.providers as v
    set probe_until = null
    where v.name = p_submission.provider and v.breaker = 'half_open';
  elsif v_outcome in ('not_accepted', 'unknown') then
    update videos.providers as v
    set failures = v.failures + 1,
        breaker = (case when v.breaker = 'half_open' or v.failures + 1 >= v.failures_to_open then 'open' else v.breaker
          end)::videos.breaker_state,
        opened_at = case when v.breaker = 'half_open' or v.failures + 1 >= v.failures_to_open then core.now()
          else v.opened_at end,
        probe_until = null
    where v.name = p_submission.provider and v.breaker <> 'open';
  else
    update videos.providers as v
    set failures = 0, successes = v.successes + 1, probe_until = null,
        breaker = (case when v.breaker = 'half_open' and v.successes + 1 < v.successes_to_close then 'half_open'
          else 'closed' end)::videos.breaker_state
    where v.name = p_submission.provider and v.unfinished < v.failures_to_open
      and (v.breaker = 'half_open' or v.failures > 0);
  end if;
end;
$$;

create function videos.note_unfinished(p_job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A job's bound is over while a provider has it, which counts against that provider: one that takes everything and
-- finishes nothing is as good as away. The caller has locked the job. Locks: provider.
begin
  update videos.providers as v
  set unfinished = v.unfinished + 1,
      breaker = (case when v.breaker <> 'closed' or v.unfinished + 1 >= v.failures_to_open then 'open' else 'closed'
        end)::videos.breaker_state,
      opened_at = case when v.breaker <> 'open' and (v.breaker = 'half_open' or v.unfinished + 1 >= v.failures_to_open)
        then core.now() else v.opened_at end,
      probe_until = null
  where v.name in (select s.provider from videos.submissions as s where s.job_id = p_job_id and s.state = 'accepted');
end;
$$;

create function videos.note_finished(p_provider text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A provider said how a job ended: it works. Where nothing but that had opened its breaker, jobs go there again, one
-- after the other first. While all is well nothing is written. Locks: provider.
begin
  update videos.providers as v
  set unfinished = 0, probe_until = null, successes = 0,
      breaker = (case when v.breaker <> 'closed' and v.unfinished >= v.failures_to_open then 'half_open' else v.breaker
        end)::videos.breaker_state
  where v.name = p_provider and v.unfinished > 0;
end;
$$;

-- What providers say of our account, where they say it.
create table videos.provider_accounts (
  provider text primary key references videos.providers,
  -- US cents; null where the provider does not say.
  balance_cents numeric,
  -- It takes no more jobs from us.
  is_locked boolean not null,
  asked_at timestamptz not null
);
alter table videos.provider_accounts enable row level security;
comment on table videos.provider_accounts is 'What is left at each provider, and whether it still works for us, as it says.';

-- A day's bill as the provider tells it, beside what we counted.
create table videos.provider_bills (
  provider text not null references videos.providers,
  -- In UTC.
  day date not null,
  billed_cents numeric not null check (billed_cents >= 0),
  counted_cents numeric not null check (counted_cents >= 0),
  asked_at timestamptz not null,
  primary key (provider, day)
);
alter table videos.provider_bills enable row level security;
comment on table videos.provider_bills is 'What providers billed for a day, and what its submissions cost by our count.';

create function videos.note_provider_account(
  p_provider text, p_balance_cents numeric, p_is_locked boolean, p_day date, p_billed_cents numeric
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Notes what a provider says of our account; null is what it does not say. A day that was noted before is noted anew: bills
-- are late. A day on which it gave back more than it took costs nothing. Locks: the provider's account → the bill.
declare
  v_now constant timestamptz := core.now();
begin
  insert into videos.provider_accounts as a (provider, balance_cents, is_locked, asked_at)
  values (p_provider, p_balance_cents, p_is_locked, v_now)
  on conflict (provider) do update
    set balance_cents = excluded.balance_cents, is_locked = excluded.is_locked, asked_at = excluded.asked_at;
  if p_billed_cents is not null then
    insert into videos.provider_bills as b (provider, day, billed_cents, counted_cents, asked_at)
    values (p_provider, p_day, greatest(0, p_billed_cents), coalesce((
      select s.cents from videos.spending as s where s.provider = p_provider and s.day = p_day
    ), 0), v_now)
    on conflict (provider, day) do update
      set billed_cents = excluded.billed_cents, counted_cents = excluded.counted_cents, asked_at = excluded.asked_at;
  end if;
end;
$$;

create function videos.ask_for_accounts()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `read_provider_accounts`: has a worker ask the providers. One task at a time, under a subject that
-- never changes. What a provider has not said for a day is true no more: it is forgotten, and the operator is told once that
-- nobody watches that account. Locks: the task → accounts → alerts.
declare
  v_silent videos.provider_accounts;
begin
  perform queue.add('read_provider_accounts', '00000000-0000-7000-8000-000000000022', null, core.now());
  for v_silent in
    delete from videos.provider_accounts as a where a.asked_at <= core.now() - interval '1 day' returning a.*
  loop
    perform ops.raise_alert('provider_account_unknown', v_silent.provider, jsonb_build_object(
      'asked_at', core.to_iso(v_silent.asked_at)
    ));
  end loop;
end;
$$;

create function videos.give_up_accounts(p_subject uuid, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Nobody asked the providers, in all tries: no dead letter is left, since the next task asks anew. What was said last stands,
-- with its time. Locks: the task.
begin
  perform queue.drop(p_subject, '{read_provider_accounts}');
end;
$$;
