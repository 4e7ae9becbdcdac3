create function queue.heads(p_kinds text[])
returns table (kind text, lane text, priority smallint, place smallint)
language plpgsql
stable
set search_path = ''
-- As queue.claim.
set plan_cache_mode = force_generic_plan
as $$
-- Where the open tasks of these kinds stand: each lane, priority and place that has any. One jump in the index for
-- each, however many tasks there are.
begin
  return query
  with recursive heads as (
    select k.kind, f.lane, f.priority, f.place
    from unnest(p_kinds) as k (kind)
    cross join lateral (
      select t.lane, t.priority, t.place
      from queue.tasks as t
      where t.kind = k.kind and t.failed_at is null
      order by t.lane, t.priority, t.place
      limit 1
    ) as f
    union all
    select h.kind, n.lane, n.priority, n.place
    from heads as h
    cross join lateral (
      select t.lane, t.priority, t.place
      from queue.tasks as t
      where t.kind = h.kind and t.failed_at is null and (t.lane, t.priority, t.place) > (h.lane, h.priority, h.place)
      order by t.lane, t.priority, t.place
      limit 1
    ) as n
  )
  select h.kind, h.lane, h.priority, h.place::smallint from heads as h;
end;
$$;

create function queue.claim(p_limit integer, p_subject uuid default null, p_without text[] default '{}')
returns setof queue.tasks
language plpgsql
volatile
set search_path = ''
-- The caller gives up after 10 s; what is claimed for nobody would wait for the end of its lease.
set lock_timeout = '1s'
-- With its limits known a plan always looks cheaper, and to make it takes longer than to claim.
set plan_cache_mode = force_generic_plan
as $$
-- Leases up to p_limit due tasks, of one subject if it is named and of no kind in p_without, within each kind's
-- claim_limit and each kind's and lane's concurrency, in the order of their priority. Within a priority owners take
-- turns: a task lets those go first that came up to a minute later, for each task that its owner had before it. What a
-- claim costs grows with what it takes, and not with what waits. A claim for all subjects notes which lanes are full after
-- it. Locks: the kinds, by name, so that concurrent claims count right → tasks → lanes; tasks that another transaction holds
-- are passed over. Where the kinds cannot be had within a second, nothing is claimed.
declare
  v_now timestamptz;
begin
  perform from queue.kinds as k
  where p_subject is null or exists (
    select from queue.tasks as t where t.subject = p_subject and t.kind = k.kind and t.failed_at is null
  )
  order by k.kind
  for update;
  v_now := core.now();

  return query
  with room as (
    select k.kind, k.tries, k.lane_concurrency, least(k.claim_limit, k.concurrency - (
      select count(*) from queue.tasks as b where b.kind = k.kind and b.leased_until > v_now
    )) as free
    from queue.kinds as k
    where k.kind <> all (p_without)
  ),
  due as (
    select d.id, h.kind, h.lane, r.lane_concurrency, h.priority, d.run_at + h.place * interval '1 minute' as turn
    from queue.heads(array(select r.kind from room as r where r.free > 0 and p_subject is null)) as h
    join room as r on r.kind = h.kind
    cross join lateral (
      select t.id, t.run_at
      from queue.tasks as t
      where t.kind = h.kind and t.lane = h.lane and t.priority = h.priority and t.place = h.place
        and t.failed_at is null and t.run_at <= v_now and (r.tries is null or t.attempts - t.uncounted_attempts < r.tries)
      order by t.run_at
      limit p_limit
    ) as d
    union all
    select t.id, t.kind, t.lane, r.lane_concurrency, t.priority, t.run_at
    from queue.tasks as t
    join room as r on r.kind = t.kind
    where t.subject = p_subject and t.failed_at is null and t.run_at <= v_now
      and (r.tries is null or t.attempts - t.uncounted_attempts < r.tries) and r.free > 0
  ),
  -- What a lane may still have at work, then what its kind may.
  in_lanes as (
    select d.*, row_number() over (partition by d.kind, d.lane order by d.priority, d.turn, d.id) as number
    from due as d
  ),
  in_kinds as (
    select l.*, row_number() over (partition by l.kind order by l.priority, l.turn, l.id) as number_of_kind
    from in_lanes as l
    where l.lane_concurrency is null or l.number <= l.lane_concurrency - (
      select count(*) from queue.tasks as b where b.kind = l.kind and b.lane = l.lane and b.leased_until > v_now
    )
  ),
  chosen as (
    select a.id, a.priority, a.turn
    from in_kinds as a
    join room as r on r.kind = a.kind
    where a.number_of_kind <= r.free
    order by a.priority, a.turn, a.id
    limit p_limit
  ),
  -- Each by its id, whatever is thought of how many there are: a join may read the whole table, and did.
  locked as (
    select l.id
    from chosen as c
    cross join lateral (select t.id from queue.tasks as t where t.id = c.id for update skip locked) as l
  )
  update queue.tasks as t
  set attempts = t.attempts + 1, claimed_at = v_now,
      leased_until = v_now + make_interval(secs => k.lease_seconds), run_at = v_now + make_interval(secs => k.lease_seconds)
  from queue.kinds as k
  where t.id = any (array(select l.id from locked as l)) and k.kind = t.kind
  returning t.*;

  if p_subject is null then
    -- By itself: what is claimed by now has been returned, and nothing takes it back.
    begin
      insert into queue.lanes as l (kind, lane, full_at)
      select k.kind, f.lane, v_now
      from queue.kinds as k
      cross join lateral (
        select b.lane
        from queue.tasks as b
        where b.kind = k.kind and b.leased_until > v_now
        group by b.lane
        having count(*) >= k.lane_concurrency
      ) as f
      where k.lane_concurrency is not null
      -- Once a second is often enough.
      on conflict (kind, lane) do update set full_at = excluded.full_at
        where l.full_at <= excluded.full_at - interval '1 second';
    exception
      -- It is just being swept away; the next claim notes the others.
      when lock_not_available then
        null;
    end;
  end if;
exception
  when lock_not_available then
    return;
end;
$$;

create function queue.hand_out(p_limit integer, p_subject uuid default null, p_without text[] default '{}')
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Claims tasks, see queue.claim, and tells a worker of them: a list of `{ task_id, kind, subject, owner_id, attempt,
-- payload, facts }`, first what is most urgent. `facts` is what its kind says of its subject, null where it says nothing.
-- It is not there where it cannot be had, which is for that task's attempt to report and stops no other's.
declare
  v_task record;
  v_facts jsonb;
  v_are_known boolean;
  v_tasks jsonb := '[]';
begin
  for v_task in
    select t.id, t.kind, t.subject, t.owner_id, t.attempts, t.payload, k.facts
    from queue.claim(p_limit, p_subject, p_without) as t
    join queue.kinds as k on k.kind = t.kind
    order by t.priority, t.id
  loop
    v_facts := null;
    v_are_known := true;
    if v_task.facts is not null then
      begin
        execute format('select %s($1)', v_task.facts) into v_facts using v_task.subject;
      exception when others then
        v_are_known := false;
        raise warning 'the facts for task % cannot be had: %', v_task.id, sqlerrm;
      end;
    end if;
    v_tasks := v_tasks || (jsonb_build_object(
      'task_id', v_task.id, 'kind', v_task.kind, 'subject', v_task.subject, 'owner_id', v_task.owner_id,
      'attempt', v_task.attempts, 'payload', v_task.payload
    ) || case when v_are_known then jsonb_build_object('facts', v_facts) else '{}' end);
  end loop;
  return v_tasks;
end;
$$;

create function queue.lease(p_kind text, p_subject uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Leases the open task of a subject to whoever does its work without having claimed it, for the longest attempt.
declare
  v_until constant timestamptz := core.now() + queue.timeout(p_kind);
begin
  update queue.tasks as t
  set leased_until = v_until, run_at = v_until
  where t.subject = p_subject and t.kind = p_kind and t.failed_at is null;
end;
$$;

create function queue.renew(p_task_ids bigint[], p_attempts integer[])
returns boolean[]
language plpgsql
volatile
set search_path = ''
as $$
-- Renews the leases of attempts that go on, within their kind's timeout, and tells of each whether it has its task
-- still.
declare
  v_now constant timestamptz := core.now();
  v_kept boolean[];
begin
  with renewed as (
    update queue.tasks as t
    set leased_until = n.until, run_at = n.until
    from (
      select r.id, r.attempts, greatest(r.leased_until, least(
        v_now + make_interval(secs => k.lease_seconds), r.claimed_at + make_interval(secs => k.timeout_seconds)
      )) as until
      from unnest(p_task_ids, p_attempts) as a (id, attempt)
      join queue.tasks as r on r.id = a.id and r.attempts = a.attempt and r.failed_at is null
      join queue.kinds as k on k.kind = r.kind
    ) as n
    where t.id = n.id and t.attempts = n.attempts and t.leased_until is not null and n.until > v_now
    returning t.id, t.attempts
  )
  select array_agg(r.id is not null order by a.place) into v_kept
  from unnest(p_task_ids, p_attempts) with ordinality as a (id, attempt, place)
  left join renewed as r on r.id = a.id and r.attempts = a.attempt;
  return v_kept;
end;
$$;
