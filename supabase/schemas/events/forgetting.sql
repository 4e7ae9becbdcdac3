-- What is over: events whose time has come, and those about what their user has taken back. Everywhere an event is locked
-- before its deliveries, and these before their tasks; the erasure of an account, which goes by the names of tables, begins
-- with deliveries: so what is removed here is what nobody else has at that moment.

create function events.take(p_ids uuid[])
returns uuid[]
language plpgsql
volatile
set search_path = ''
as $$
-- Locks events with their deliveries and returns them, but those that somebody else has, or a delivery of theirs. A second
-- call in the transaction returns the same. Locks: events and deliveries, which are never waited for.
declare
  v_ids uuid[];
  v_delivery_ids uuid[];
begin
  v_ids := array(select l.id from events.log as l where l.id = any (p_ids) for update skip locked);
  v_delivery_ids := array(
    select d.id from events.deliveries as d where d.event_id = any (v_ids) for update skip locked
  );
  return array(
    select i.id from unnest(v_ids) as i (id)
    except
    select d.event_id from events.deliveries as d
    where d.event_id = any (v_ids) and d.id not in (select t.id from unnest(v_delivery_ids) as t (id))
  );
end;
$$;

create function events.remove_taken(p_ids uuid[])
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes events with their deliveries, and with the tasks of these, dead letters too; and returns how many there were. The
-- caller has taken them, as events.take does. Locks: tasks.
declare
  v_removed integer;
begin
  perform queue.drop_all(
    array(select d.id from events.deliveries as d where d.event_id = any (p_ids)),
    array(select c.kind from events.channels as c where c.kind is not null)
  );
  delete from events.log as l where l.id = any (p_ids);
  get diagnostics v_removed = row_count;
  return v_removed;
end;
$$;

create function events.sweep(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `events`: removes those whose time is over, once all are told, and returns how many. A server is told for three
-- days, and some types are kept for one. One that somebody else has, or has told again meanwhile, stays for the next call.
-- Locks: events and deliveries, which are never waited for → tasks.
declare
  v_ids uuid[] := array(
    select l.id from events.log as l
    where l.expires_at <= p_before and not events.is_open(l.id)
    limit p_batch
    for update skip locked
  );
begin
  v_ids := events.take(v_ids);
  -- Asked anew: what is theirs may have been sent again until it was locked.
  return events.remove_taken(array(select t.id from unnest(v_ids) as t (id) where not events.is_open(t.id)));
end;
$$;

create function events.remove_about(p_user_ids uuid[], p_member text, p_values text[])
returns text[]
language plpgsql
volatile
set search_path = ''
as $$
-- Removes the events of users in whose data a member has one of these values, told or not: nothing is kept of what they were
-- about. Returns the values of which something stays, since somebody else has it, for the caller to come again with. Locks:
-- events and deliveries, which are never waited for → tasks.
begin
  perform events.remove_taken(events.take(array(
    select l.id from events.log as l where l.user_id = any (p_user_ids) and l.data ->> p_member = any (p_values)
  )));
  return array(
    select distinct l.data ->> p_member from events.log as l
    where l.user_id = any (p_user_ids) and l.data ->> p_member = any (p_values)
  );
end;
$$;

create function events.forget(p_user_id uuid, p_about jsonb, p_blanks text[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A user has taken back what events of theirs are about, those whose data contain p_about: what they wrote into them, the
-- members p_blanks, becomes null, and so does the request's id; and nothing tells them of it any more, nor again. Other
-- receivers are told without it. A second call changes nothing. Locks: events → deliveries → tasks.
declare
  v_ids uuid[];
  v_delivery record;
begin
  with forgotten as (
    update events.log as l
    set metadata = l.metadata - 'request_id',
        data = l.data || coalesce(
          (select jsonb_object_agg(b.member, null) from unnest(p_blanks) as b (member) where l.data ? b.member), '{}'
        )
    where l.user_id = p_user_id and l.data @> p_about
    returning l.id
  )
  select array_agg(f.id) into v_ids from forgotten as f;
  for v_delivery in
    delete from events.deliveries as d
    using events.channels as c
    where d.event_id = any (v_ids) and d.target is null and c.channel = d.channel
    returning d.id, c.kind
  loop
    perform queue.drop(v_delivery.id, array[v_delivery.kind]);
  end loop;
end;
$$;
