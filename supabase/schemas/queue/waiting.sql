-- What waits for a worker, and what a worker did not come back for.

create function queue.count_due()
returns integer
language sql
volatile
set search_path = ''
as $$
  -- Tasks that wait for a worker; of each place in the queue 1000 stand for more.
  select coalesce(sum(d.tasks), 0)::integer
  from queue.heads(array(select k.kind from queue.kinds as k)) as h
  cross join lateral (
    select count(*) as tasks
    from (
      select from queue.tasks as t
      where t.kind = h.kind and t.lane = h.lane and t.priority = h.priority and t.place = h.place
        and t.failed_at is null and t.run_at <= core.now()
      limit 1000
    ) as due
  ) as d
$$;

create function queue.longest_waits()
returns table (kind text, waits interval)
language plpgsql
volatile
set search_path = ''
-- As queue.claim.
set plan_cache_mode = force_generic_plan
as $$
-- Of each kind of which a task waits for a worker, how long the one does that waits longest. What a lane has at its bound
-- waits for its receiver, however many workers there are, and counts from when a worker last came by and found it so: a lane
-- has room for a moment whenever one of its attempts ends. A kind at its own bound is slow service, and counts. Takes no lock.
declare
  v_now constant timestamptz := core.now();
begin
  return query
  select h.kind, v_now - min(greatest(d.run_at, l.full_at))
  from queue.heads(array(select k.kind from queue.kinds as k)) as h
  join queue.kinds as k on k.kind = h.kind
  left join queue.lanes as l on l.kind = h.kind and l.lane = h.lane and k.lane_concurrency is not null
  cross join lateral (
    select t.run_at
    from queue.tasks as t
    where t.kind = h.kind and t.lane = h.lane and t.priority = h.priority and t.place = h.place and t.failed_at is null
    order by t.run_at
    limit 1
  ) as d
  where d.run_at <= v_now and (k.lane_concurrency is null or k.lane_concurrency > (
    select count(*) from queue.tasks as b where b.kind = h.kind and b.lane = h.lane and b.leased_until > v_now
  ))
  group by h.kind;
end;
$$;

create function queue.oldest_due()
returns interval
language sql
volatile
set search_path = ''
as $$
  -- How long the task waits for a worker that waits longest; zero where none does.
  select coalesce(max(w.waits), '0') from queue.longest_waits() as w
$$;

create function queue.lost_tasks(p_limit integer)
returns setof bigint
language plpgsql
stable
set search_path = ''
as $$
-- Tasks whose last try ended with its worker, up to p_limit.
declare
  -- Not in the query: a volatile function cannot be looked up in an index.
  v_now constant timestamptz := core.now();
begin
  return query
  select l.id
  from queue.kinds as k
  cross join lateral (
    select t.id
    from queue.tasks as t
    where t.kind = k.kind and t.leased_until <= v_now and t.failed_at is null
      and t.attempts - t.uncounted_attempts >= k.tries
    limit p_limit
  ) as l
  limit p_limit;
end;
$$;

create function queue.bury_lost(p_task_id bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a dead letter of a task whose last try ended with its worker; any other stays as it is.
-- Locks: those of its domain → task.
declare
  v_task queue.tasks;
begin
  select t.* into v_task
  from queue.tasks as t
  join queue.kinds as k on k.kind = t.kind
  where t.id = p_task_id and t.leased_until <= core.now() and t.failed_at is null
    and t.attempts - t.uncounted_attempts >= k.tries;
  if found then
    perform queue.bury(v_task, 'the worker did not come back from the last try');
  end if;
end;
$$;
