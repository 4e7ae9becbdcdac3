create function events.of_delivery(p_delivery_id uuid)
returns events.log
language plpgsql
stable
set search_path = ''
as $$
-- The event that a delivery is to tell; null where it is gone.
declare
  v_event events.log;
begin
  select l.* into v_event
  from events.deliveries as d
  join events.log as l on l.id = d.event_id
  where d.id = p_delivery_id;
  return v_event;
end;
$$;

create function events.begin_delivery(p_delivery_id uuid)
returns events.log
language plpgsql
volatile
set search_path = ''
as $$
-- events.of_delivery for who is about to tell it: until the transaction ends nobody forgets it. Locks: the delivery.
begin
  perform from events.deliveries as d where d.id = p_delivery_id for no key update;
  return events.of_delivery(p_delivery_id);
end;
$$;

create function events.end_delivery(p_delivery_id uuid, p_outcome events.outcome, p_reason text default null)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- How a delivery ended. What is delivered stays so, whatever an attempt says that lost its lease; what was dead is delivered
-- when its replay is. Locks: the delivery.
begin
  update events.deliveries as d
  set outcome = p_outcome, ended_at = core.now(), reason = left(p_reason, 500)
  where d.id = p_delivery_id and d.outcome is distinct from 'delivered';
end;
$$;

create function events.reopen(p_delivery_id uuid)
returns events.deliveries
language plpgsql
volatile
set search_path = ''
as $$
-- A delivery that has ended waits again, as its task then must; null where it has not, or there is none. Locks: the delivery.
declare
  v_delivery events.deliveries;
begin
  update events.deliveries as d
  set outcome = null, ended_at = null, reason = null
  where d.id = p_delivery_id and d.outcome is not null
  returning d.* into v_delivery;
  return v_delivery;
end;
$$;

create function events.deliver_again(p_delivery_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- The operator's replay: has a delivery that has ended tried again, with all its tries, and tells whether there was one. A
-- receiver knows by the event's id what it has had. Locks: delivery → task.
declare
  v_delivery constant events.deliveries := events.reopen(p_delivery_id);
begin
  if v_delivery.id is null then
    return false;
  end if;
  -- Its dead letter, which has no try left.
  perform queue.drop(p_delivery_id, array[c.kind]) from events.channels as c where c.channel = v_delivery.channel;
  perform events.add_task(v_delivery, l.type, l.user_id) from events.log as l where l.id = v_delivery.event_id;
  return true;
end;
$$;

create function events.note_attempt(p_delivery_id uuid, p_answer jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Counts an attempt at a delivery, with what the server that was spoken to said. Locks: the delivery.
begin
  update events.deliveries as d
  set attempts = d.attempts + 1, attempted_at = core.now(), answer = p_answer
  where d.id = p_delivery_id;
end;
$$;

create function events.drop_open(p_channel text, p_target uuid, p_reason text, p_limit integer)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- A receiver is told nothing of what it has not been told yet: up to p_limit of its open deliveries are dropped, the oldest
-- first, with their tasks. Whether none is left; one that somebody else has at that moment is. It costs the same however many
-- they are. An attempt that is at work may deliver all the same, and then says so. A second call goes on. Locks: deliveries,
-- which are never waited for → tasks.
declare
  v_now constant timestamptz := core.now();
  v_ids uuid[];
begin
  -- By their places, which are read at once: a join might read the whole table. The order is their index's.
  with dropped as (
    update events.deliveries as d
    set outcome = 'dropped', ended_at = v_now, reason = p_reason
    where d.ctid = any (array(
      select o.ctid from events.deliveries as o
      where o.channel = p_channel and o.target = p_target and o.outcome is null
      order by o.created_at, o.id
      limit p_limit
      for update skip locked
    ))
    returning d.id
  )
  select array_agg(r.id) into v_ids from dropped as r;
  perform queue.drop_all(v_ids, array[c.kind]) from events.channels as c where c.channel = p_channel;
  perform from events.deliveries as d
  where d.channel = p_channel and d.target = p_target and d.outcome is null
  order by d.created_at desc, d.id desc
  limit 1;
  return not found;
end;
$$;

create function events.waiting_targets(p_channel text)
returns setof uuid
language plpgsql
stable
set search_path = ''
as $$
-- The receivers of a channel that are still to be told something. One jump in the index for each, however much that is.
begin
  return query
  with recursive targets as (
    (
      select d.target, d.channel from events.deliveries as d
      where d.target is not null and d.outcome is null
      order by d.target
      limit 1
    )
    union all
    select n.target, n.channel
    from targets as t
    cross join lateral (
      select d.target, d.channel from events.deliveries as d
      where d.target > t.target and d.outcome is null
      order by d.target
      limit 1
    ) as n
  )
  select t.target from targets as t where t.channel = p_channel;
end;
$$;

create function events.is_open(p_event_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether somebody is still to be told of an event.
begin
  return exists (select from events.deliveries as d where d.event_id = p_event_id and d.outcome is null);
end;
$$;
