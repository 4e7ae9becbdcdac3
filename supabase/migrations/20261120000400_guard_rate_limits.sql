-- guard: rate limits. A policy is a row that the operator may change; it counts in one statement.

create type guard.scope as enum ('user', 'network', 'endpoint', 'global');
create type guard.failure_mode as enum ('open', 'closed');

create table guard.policies (
  name text primary key check (name ~ '^[a-z_]{1,63}$'),
  scope guard.scope not null,
  -- Hits in any window of this length, exactly, up to 300 hits: more grow too long a row to rewrite each time. A larger
  -- policy, or one with a burst, is a token bucket, which is approximate: it fills evenly, so that a window may see
  -- what was in it and what ran in, burst + max_hits.
  max_hits integer not null check (max_hits between 1 and 1000000),
  window_seconds integer not null check (window_seconds between 1 and 604800),
  -- How many may come at once; null: all of them.
  burst integer check (burst between 1 and max_hits),
  -- Rows that a subject's hits are spread over at random, so that its callers do not wait for one another. Each admits
  -- its part, never more together; one may refuse while another has room.
  shards integer not null default 1 check (shards between 1 and 64),
  -- What a broken limiter means: `open` admits, `closed` refuses with ERR_6001.
  on_failure guard.failure_mode not null,
  -- Whether the hits survive a crash of the database. Policies that guard money do.
  is_logged boolean not null,
  check (on_failure = 'open' or is_logged),
  check (shards = 1 or scope in ('endpoint', 'global')),
  check (shards <= coalesce(burst, max_hits))
);
alter table guard.policies enable row level security;
revoke all on guard.policies from anon, authenticated, service_role;
comment on table guard.policies is 'Rate limits; a change takes effect with the next request.';

insert into guard.policies (name, scope, max_hits, window_seconds, on_failure, is_logged) values
  ('video_generation', 'user', 10, 3600, 'closed', true),
  ('generation_attempts', 'user', 60, 60, 'open', false),
  ('generation_attempts_network', 'network', 300, 3600, 'open', false),
  ('device_check', 'user', 10, 3600, 'open', false),
  ('device_check_network', 'network', 60, 3600, 'open', false),
  ('device_grants', 'network', 5, 86400, 'closed', true),
  ('reads', 'user', 120, 60, 'open', false),
  ('writes', 'user', 60, 60, 'open', false),
  ('admin', 'user', 60, 60, 'open', false);

-- The hits of the current window, one row per policy and subject. Two partitions, so that one statement serves
-- logged and unlogged policies. Half of each page stays free: an update then stays in its page (HOT).
create table guard.hits (
  is_logged boolean not null,
  policy text not null,
  subject text not null,
  hits timestamptz[] not null,
  -- Of a token bucket.
  full_at timestamptz,
  admitted boolean not null,
  primary key (is_logged, policy, subject)
) partition by list (is_logged);
create table guard.hits_logged partition of guard.hits for values in (true) with (fillfactor = 50);
create unlogged table guard.hits_unlogged partition of guard.hits for values in (false) with (fillfactor = 50);
alter table guard.hits enable row level security;
alter table guard.hits_logged enable row level security;
alter table guard.hits_unlogged enable row level security;
revoke all on guard.hits, guard.hits_logged, guard.hits_unlogged from anon, authenticated, service_role;
comment on table guard.hits is 'Times of the hits inside a policy''s window, oldest first; or when its bucket is full.';

create function guard.slide(
  p_hits timestamptz[], p_max_hits integer, p_window interval, out hits timestamptz[], out admitted boolean
)
language plpgsql
volatile
set search_path = ''
as $$
-- The window after one more attempt: what left it is dropped, and the attempt joins it if there is room.
declare
  v_now constant timestamptz := ops.now();
  v_first integer := 1;
begin
  while v_first <= cardinality(p_hits) and p_hits[v_first] <= v_now - p_window loop
    v_first := v_first + 1;
  end loop;
  hits := p_hits[v_first:];
  admitted := cardinality(hits) < p_max_hits;
  if admitted then
    hits := hits || v_now;
  end if;
end;
$$;

revoke all on function guard.slide(timestamptz[], integer, interval) from public, anon, authenticated, service_role;
comment on function guard.slide(timestamptz[], integer, interval) is 'A sliding window, exact to the microsecond.';

create function guard.token_interval(p_policy guard.policies)
returns interval
language sql
immutable
-- 300 times are 2.4 kB: a page holds such a row and its next version.
return case when (p_policy).burst is not null or (p_policy).max_hits / (p_policy).shards > 300 then
  make_interval(secs => (p_policy).window_seconds) / ((p_policy).max_hits / (p_policy).shards)
end;

revoke all on function guard.token_interval(guard.policies) from public, anon, authenticated, service_role;
comment on function guard.token_interval(guard.policies) is
  'How often a policy''s bucket gets a token; null for a policy that keeps the exact window.';

create function guard.spend_token(
  p_full_at timestamptz, p_interval interval, p_burst integer, out full_at timestamptz, out admitted boolean
)
returns record
language plpgsql
volatile
set search_path = ''
as $$
-- The bucket after one more attempt. When it will be full says how many tokens it has: each that is missing is one
-- interval away (the generic cell rate algorithm).
declare
  v_now constant timestamptz := ops.now();
begin
  full_at := greatest(p_full_at, v_now);
  admitted := full_at + p_interval <= v_now + p_burst * p_interval;
  if admitted then
    full_at := full_at + p_interval;
  end if;
end;
$$;

revoke all on function guard.spend_token(timestamptz, interval, integer) from public, anon, authenticated, service_role;
comment on function guard.spend_token(timestamptz, interval, integer) is 'A token bucket of one timestamp.';

create function guard.hit(p_policy guard.policies, p_subject text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Counts one attempt against one policy and returns its limit as the API shows it (`reset` in whole seconds). Of a
-- policy in several rows, `current` and `remaining` are estimates: this row's, times the rows.
-- Locks: the subject's row, until the transaction ends. Time is read after that lock, inside guard.slide and
-- guard.spend_token, so that hits are in order and no window admits one too many.
declare
  v_window constant interval := make_interval(secs => p_policy.window_seconds);
  v_token constant interval := guard.token_interval(p_policy);
  -- The row's part of the policy.
  v_room constant integer := coalesce(p_policy.burst, p_policy.max_hits) / p_policy.shards;
  v_row record;
  v_count integer;
  v_reset interval;
begin
  if v_token is null then
    insert into guard.hits as h (is_logged, policy, subject, hits, admitted)
    values (p_policy.is_logged, p_policy.name, p_subject, array[ops.now()], true)
    on conflict (is_logged, policy, subject) do update
      set (hits, admitted) = (select s.hits, s.admitted from guard.slide(h.hits, v_room, v_window) as s)
    returning h.hits, h.admitted into v_row;
    v_count := cardinality(v_row.hits);
    -- When a hit leaves and makes room: the oldest, or a later one where the operator lowered the limit.
    v_reset := v_row.hits[greatest(1, v_count - v_room + 1)] + v_window - ops.now();
  else
    insert into guard.hits as h (is_logged, policy, subject, hits, full_at, admitted)
    values (p_policy.is_logged, p_policy.name, p_subject, '{}', ops.now() + v_token, true)
    on conflict (is_logged, policy, subject) do update
      set (full_at, admitted) = (select t.full_at, t.admitted from guard.spend_token(h.full_at, v_token, v_room) as t)
    returning h.full_at - ops.now() as missing, h.admitted into v_row;
    v_count := ceil(extract(epoch from v_row.missing) / extract(epoch from v_token));
    v_reset := v_row.missing - (v_room - 1) * v_token;
  end if;
  return jsonb_build_object(
    'policy', p_policy.name,
    'allowed', v_row.admitted,
    'current', v_count * p_policy.shards,
    'limit', p_policy.max_hits,
    'window', p_policy.window_seconds,
    'remaining', greatest(0, v_room - v_count) * p_policy.shards,
    'reset', greatest(1, ceil(extract(epoch from v_reset))::integer)
  );
end;
$$;

revoke all on function guard.hit(guard.policies, text) from public, anon, authenticated, service_role;
comment on function guard.hit(guard.policies, text) is 'One attempt against one policy, in one statement.';

create function guard.take(p_policies text[], p_user_id uuid, p_network text, p_endpoint text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Counts one attempt against several policies, all or none: `{ limits, refusal }`. `refusal` is absent when all
-- admit, else the envelope to return: ERR_4004, or ERR_6001 where a limiter that fails closed is broken. Those that
-- fail open are then passed over. An unknown network is one subject, shared by all who have none.
-- Locks: one row a policy, in the order of their names.
begin
  return guard.take_all(p_policies, p_user_id, p_network, p_endpoint);
exception
  -- A deadlock or a lost race is no fault of the limiter: the caller tries the whole again.
  when deadlock_detected or serialization_failure then
    raise;
  when others then
    raise warning 'a rate limiter of % is broken: %', p_policies, sqlerrm;
    if exists (
      select from guard.policies as p where p.name = any (p_policies) and p.on_failure = 'closed'
    ) then
      return jsonb_build_object('limits', '[]'::jsonb, 'refusal', guard.refusal('ERR_6001'));
    end if;
    return '{"limits": []}';
end;
$$;

revoke all on function guard.take(text[], uuid, text, text) from public, anon, authenticated, service_role;
comment on function guard.take(text[], uuid, text, text) is 'The only way to ask a rate limit.';

create function guard.take_all(p_policies text[], p_user_id uuid, p_network text, p_endpoint text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- guard.take without its answer to a broken limiter, which is the end of this statement's work in any case.
declare
  v_policy guard.policies;
  v_limit jsonb;
  v_limits jsonb := '[]';
  v_subject text;
  v_taken text[] := '{}';
  v_subjects text[] := '{}';
begin
  for v_policy in
    select p.* from guard.policies as p where p.name = any (p_policies) order by p.name
  loop
    v_subject := case v_policy.scope
      when 'user' then p_user_id::text
      when 'network' then coalesce(p_network, 'unknown')
      when 'endpoint' then p_endpoint
      else 'all'
    end;
    if v_policy.shards > 1 then
      v_subject := format('%s#%s', v_subject, floor(random() * v_policy.shards));
    end if;
    v_limit := guard.hit(v_policy, v_subject);
    if (v_limit ->> 'allowed')::boolean then
      v_limits := v_limits || v_limit;
      v_taken := v_taken || v_policy.name;
      v_subjects := v_subjects || v_subject;
      continue;
    end if;

    -- The hits already counted are the newest of their rows, which this transaction has locked.
    update guard.hits as h
    set hits = trim_array(h.hits, least(1, cardinality(h.hits))), full_at = h.full_at - guard.token_interval(p)
    from unnest(v_taken, v_subjects) as taken (policy, subject)
    join guard.policies as p on p.name = taken.policy
    where h.is_logged = p.is_logged and h.policy = taken.policy and h.subject = taken.subject;
    v_limits := jsonb_build_array(v_limit);
    return jsonb_build_object(
      'limits', v_limits,
      'refusal', guard.refusal(
        'ERR_4004', jsonb_build_object('policy', v_policy.name, 'retry_after', v_limit -> 'reset'), v_limits
      )
    );
  end loop;
  return jsonb_build_object('limits', v_limits);
end;
$$;

revoke all on function guard.take_all(text[], uuid, text, text) from public, anon, authenticated, service_role;
comment on function guard.take_all(text[], uuid, text, text) is 'One attempt against several policies, all or none.';

create function guard.sweep_hits()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes up to 10,000 rows whose last hit left its window and whose bucket is full, or whose policy is gone, and
-- returns how many.
declare
  v_now constant timestamptz := ops.now();
  v_deleted integer;
begin
  delete from guard.hits as h
  using (
    select s.is_logged, s.policy, s.subject
    from guard.hits as s
    left join guard.policies as p on p.name = s.policy and p.is_logged = s.is_logged
    where p.name is null
      or coalesce(s.hits[cardinality(s.hits)], '-infinity') <= v_now - make_interval(secs => p.window_seconds)
        and coalesce(s.full_at, '-infinity') <= v_now
    limit 10000
    for update of s skip locked
  ) as stale
  where h.is_logged = stale.is_logged and h.policy = stale.policy and h.subject = stale.subject;
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;

revoke all on function guard.sweep_hits() from public, anon, authenticated, service_role;
comment on function guard.sweep_hits() is 'Scheduled: removes windows that are empty by now.';

insert into ops.scheduled_tasks (name, procedure, every)
values ('sweep_hits', 'guard.sweep_hits', interval '10 minutes');
