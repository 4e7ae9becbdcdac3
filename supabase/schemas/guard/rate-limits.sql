create type guard.scope as enum ('user', 'network', 'endpoint', 'global');

create type guard.failure_mode as enum ('open', 'closed');

create table guard.policies (
  name text primary key check (name ~ '^[a-z_]{1,63}$'),
  scope guard.scope not null,
  -- What any window of this length admits, exactly.
  max_hits integer not null check (max_hits between 1 and 1000000),
  window_seconds integer not null check (window_seconds between 1 and 604800),
  -- Credits and grants are counted from the rows that gave them; hits are kept here, each by its time.
  counts text not null default 'hits' check (counts in ('hits', 'credits', 'grants')),
  window_length interval not null generated always as (make_interval(secs => window_seconds)) stored,
  -- What a broken limiter means: `open` admits, `closed` refuses with database/unavailable.
  on_failure guard.failure_mode not null,
  -- Whether the hits survive a crash of the database. Policies that guard money do.
  is_logged boolean not null,
  -- What is left of the limit while an alert has lowered it: never below a tenth.
  throttle_percent integer not null default 100 check (throttle_percent between 10 and 100),
  -- What is admitted now, and what answers say. Stored, so that whoever takes a hit pays nothing for it.
  admits integer not null generated always as (greatest(1, max_hits * throttle_percent / 100)) stored,
  check (on_failure = 'open' or is_logged),
  -- 300 times are 2.4 kB: a page holds such a row and its next version. A longer one is too long to rewrite each time.
  constraint a_window_keeps_at_most_300_hits check (counts <> 'hits' or max_hits <= 300)
);
alter table guard.policies enable row level security;
comment on table guard.policies is 'Rate limits; a change takes effect with the next request.';

-- The hits of the current window, one row per policy and subject. Two partitions, so that who reads or deletes hits
-- need not know which policies are logged. Half of each page stays free: an update then stays in its page (HOT).
create table guard.hits (
  is_logged boolean not null,
  policy text not null,
  subject text not null,
  hits timestamptz[] not null,
  primary key (is_logged, policy, subject)
) partition by list (is_logged);

create table guard.hits_logged partition of guard.hits for values in (true) with (fillfactor = 50);

create unlogged table guard.hits_unlogged partition of guard.hits for values in (false) with (fillfactor = 50);
alter table guard.hits enable row level security;
alter table guard.hits_logged enable row level security;
alter table guard.hits_unlogged enable row level security;
comment on table guard.hits is 'Times of the hits inside a policy''s window, oldest first.';

create function guard.fails_closed(p_policy text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- What a broken limiter of this policy means: true refuses. A policy whose row is gone is broken, too, and then those that
-- guard money refuse; the reference rows say the same of each, which a test holds. Takes no lock.
begin
  return coalesce(
    (select p.on_failure = 'closed' from guard.policies as p where p.name = p_policy),
    p_policy in ('video_generation', 'uncaptured_jobs', 'device_grants', 'device_grants_global', 'admin_credits',
      'sandbox_credits', 'sandbox_credits_global')
  );
end;
$$;

-- A limit as the API shows it, `reset` being the whole seconds until the hit leaves its window. The names need no quoting.
create function guard.limit_text(
  p_policy guard.policies, p_is_allowed text, p_current integer, p_remaining integer, p_hit timestamptz
)
returns text
language sql
volatile
return format(
  '{"policy":"%s","allowed":%s,"current":%s,"limit":%s,"window":%s,"remaining":%s,"reset":%s}',
  (p_policy).name, p_is_allowed, p_current, (p_policy).admits, (p_policy).window_seconds, p_remaining,
  greatest(1, ceil(date_part('epoch', p_hit + (p_policy).window_length - core.now())))
);

create function guard.throttle(p_policy text, p_percent integer)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Leaves so many percent of a policy's limit, from the next request on; 100 is all of it. A second call changes nothing.
-- Locks: the policy.
begin
  update guard.policies as p set throttle_percent = p_percent
  where p.name = p_policy and p.throttle_percent <> p_percent;
end;
$$;

create function guard.set_limit(p_policy text, p_max_hits integer, p_window_seconds integer)
returns guard.policies
language plpgsql
volatile
set search_path = ''
as $$
-- Changes what a policy admits, null being as it is, and returns it as it is then; null where there is none. A second call
-- changes nothing. Locks: the policy.
declare
  v_policy guard.policies;
begin
  update guard.policies as p
  set max_hits = coalesce(p_max_hits, p.max_hits), window_seconds = coalesce(p_window_seconds, p.window_seconds)
  where p.name = p_policy
  returning p.* into v_policy;
  return v_policy;
end;
$$;

create function guard.take(p_policies text[], p_user_id uuid, p_network text, p_endpoint text)
returns guard.taken
language plpgsql
volatile
set search_path = ''
as $$
-- Counts one attempt against several policies, all or none. `hits` are for guard.give_back. `refusal` is
-- limit/rate-exceeded, or database/unavailable where a limiter that fails closed is broken. Those that fail open are
-- then passed over. A policy without its row is broken. An unknown network is one subject, shared by all who have none.
-- Locks: one row a policy, in the order that is given, until the transaction ends: callers name policies in the order of
-- their names, which tests/contract/policies_test.ts holds them to. Time is read after that lock, so that hits are in order
-- and no window admits one too many.
declare
  v_name text;
  v_policy guard.policies;
  v_subject text;
  v_hits timestamptz[];
  v_used integer;
  v_taken guard.taken;
begin
  -- One by one: a plan for `name = any (…)` is made anew at every call.
  foreach v_name in array p_policies loop
    select p.* into v_policy from guard.policies as p where p.name = v_name;
    if not found then
      raise exception 'a policy has no row';
    end if;
    v_subject := case v_policy.scope
      when 'user' then p_user_id::text
      when 'network' then coalesce(p_network, 'unknown')
      when 'endpoint' then p_endpoint
      else 'all'
    end;
    -- The hit joins those that are still inside the window, without being asked for: a refusal undoes it. They stand in
    -- order, so their number is a place. Twice the same, each into its partition: finding it costs half as much again as
    -- the statement.
    if v_policy.is_logged then
      insert into guard.hits_logged as h (is_logged, policy, subject, hits)
      values (true, v_name, v_subject, array[core.now()])
      on conflict (is_logged, policy, subject) do update
        set hits = h.hits[width_bucket(core.now() - v_policy.window_length, h.hits) + 1:] || core.now()
      returning h.hits into v_hits;
    else
      insert into guard.hits_unlogged as h (is_logged, policy, subject, hits)
      values (false, v_name, v_subject, array[core.now()])
      on conflict (is_logged, policy, subject) do update
        set hits = h.hits[width_bucket(core.now() - v_policy.window_length, h.hits) + 1:] || core.now()
      returning h.hits into v_hits;
    end if;
    v_used := cardinality(v_hits);
    if v_used > v_policy.admits then
      -- Without the attempt that is refused. A hit leaves: the oldest, or a later one where the operator lowered the limit.
      v_taken.limits := guard.limit_text(v_policy, 'false', v_used - 1, 0, v_hits[v_used - v_policy.admits]);
      v_taken.refusal := guard.refusal(
        'limit/rate-exceeded',
        jsonb_build_object('policy', v_name, 'retry_after', v_taken.limits::jsonb -> 'reset'),
        guard.limits_json(v_taken.limits)
      );
      v_taken.hits := '{}';
      -- Undoes what this policy and those before it counted.
      raise exception 'refused';
    end if;
    v_taken.limits := concat_ws(',', v_taken.limits, guard.limit_text(
      v_policy, 'true', v_used, v_policy.admits - v_used, v_hits[1]
    ));
    v_taken.hits := v_taken.hits || v_hits[v_used];
  end loop;
  return v_taken;
exception
  -- A deadlock or a lost race is no fault of the limiter: the caller tries the whole again.
  when deadlock_detected or serialization_failure then
    raise;
  when others then
    if v_taken.refusal is not null then
      return v_taken;
    end if;
    if cardinality(p_policies) > 1 then
      return guard.take_each(p_policies, p_user_id, p_network, p_endpoint);
    end if;
    raise warning 'the rate limiter of % is broken: %', p_policies[1], sqlerrm;
    v_taken.limits := null;
    v_taken.hits := array[null::timestamptz];
    if guard.fails_closed(p_policies[1]) then
      v_taken.refusal := guard.refusal('database/unavailable');
    end if;
    return v_taken;
end;
$$;

create function guard.take_each(p_policies text[], p_user_id uuid, p_network text, p_endpoint text)
returns guard.taken
language plpgsql
volatile
set search_path = ''
as $$
-- guard.take when something in it is broken: each policy alone, so that what is broken takes none of the others along.
declare
  v_policy text;
  v_one guard.taken;
  v_all guard.taken;
begin
  foreach v_policy in array p_policies loop
    v_one := guard.take(array[v_policy], p_user_id, p_network, p_endpoint);
    if v_one.refusal is not null then
      raise exception 'refused';
    end if;
    v_all.limits := nullif(concat_ws(',', v_all.limits, v_one.limits), '');
    v_all.hits := v_all.hits || v_one.hits;
  end loop;
  return v_all;
exception
  -- What the others counted is undone; the refusal is what its variable still holds.
  when raise_exception then
    return v_one;
end;
$$;

create function guard.give_back(p_policy text, p_user_id uuid, p_hit timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes one hit of a user's back, by the time that guard.take named for it. One that has left its window, or was never
-- counted, changes nothing; a second call takes another hit of the very same time, if there is one. A limiter that is
-- broken stops nobody: the hit then stays. Locks: the hit's row.
begin
  update guard.hits as h
  set hits = h.hits[: array_position(h.hits, p_hit) - 1] || h.hits[array_position(h.hits, p_hit) + 1 :]
  where h.policy = p_policy and h.subject = p_user_id::text and p_hit = any (h.hits);
exception
  when deadlock_detected or serialization_failure then
    raise;
  when others then
    raise warning 'the rate limiter of % is broken: %', p_policy, sqlerrm;
end;
$$;

create function guard.sweep_hits(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `rate_limit_hits`: deletes rows whose last hit left its window, or whose policy is gone, and returns how
-- many.
declare
  v_deleted integer;
begin
  delete from guard.hits as h
  using (
    select s.is_logged, s.policy, s.subject
    from guard.hits as s
    left join guard.policies as p on p.name = s.policy and p.is_logged = s.is_logged
    where p.name is null
      or s.hits = '{}'
      or s.hits[cardinality(s.hits)] <= p_before - p.window_length
    limit p_batch
    for update of s skip locked
  ) as stale
  where h.is_logged = stale.is_logged and h.policy = stale.policy and h.subject = stale.subject;
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;
