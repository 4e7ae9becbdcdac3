create type events.outcome as enum (
  'delivered',
  'dropped', -- nobody is to hear it: the account is closed, or its user does not want it
  'dead' -- no try was left
);

create table events.deliveries (
  id uuid primary key default core.new_id(),
  event_id uuid not null references events.log on delete cascade,
  channel text not null,
  target uuid,
  created_at timestamptz not null,
  -- How it ended, when, and why it was not delivered; null while its task is open.
  outcome events.outcome,
  ended_at timestamptz,
  reason text check (char_length(reason) between 1 and 500),
  -- Of a channel that speaks with a server: how often it has, when last, and what that said, as its operator reads it.
  attempts integer not null default 0,
  attempted_at timestamptz,
  answer jsonb,
  constraint deliveries_once unique nulls not distinct (event_id, channel, target),
  constraint deliveries_end check (
    (outcome is null) = (ended_at is null) and coalesce(outcome not in ('dropped', 'dead'), true) = (reason is null)
  )
);
alter table events.deliveries enable row level security;
create index deliveries_dead on events.deliveries (channel, ended_at) where outcome = 'dead';
-- A receiver's, newest first, all of them or those that ended in one way.
create index deliveries_target on events.deliveries (target, created_at desc, id desc) where target is not null;
create index deliveries_target_outcome on events.deliveries (target, outcome, created_at desc, id desc)
  where target is not null and outcome is not null;
create index deliveries_target_open on events.deliveries (target, created_at desc, id desc)
  where target is not null and outcome is null;
comment on table events.deliveries is 'Each event with each of its receivers, and how that ended.';

select core.keep_rows_out_of_logs('events.deliveries');

create function events.is_heard(p_audience text, p_user_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether a channel's audience says that there is somebody to hear of what happens to a user.
declare
  v_is_heard boolean;
begin
  execute format('select %s($1)', p_audience) into v_is_heard using p_user_id;
  return coalesce(v_is_heard, false);
end;
$$;

create function events.publish(p_type text, p_user_id uuid, p_data jsonb, p_metadata jsonb default '{}')
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
-- Writes down what has become true in this transaction, and makes a delivery with its task for each receiver: the event's
-- id. It costs the same however long the log is. What is no delivery is called at once, and undoes nothing where it fails.
-- Raises invalid_parameter_value for a type that is none. A second call writes a second event: whoever calls it knows that
-- the fact is new. Locks: nothing that anybody waits for.
declare
  v_now constant timestamptz := core.now();
  v_id constant uuid := events.write_down(p_type, p_user_id, p_data, p_metadata, v_now);
  v_procedure text;
begin
  insert into events.deliveries (event_id, channel, target, created_at)
  select distinct v_id, s.channel, s.target, v_now
  from events.subscriptions as s
  join events.channels as c on c.channel = s.channel
  where s.pattern = any (events.patterns_of(p_type)) and c.kind is not null
    and (c.audience is null or events.is_heard(c.audience, p_user_id));
  if found then
    perform events.add_task(d, p_type, p_user_id) from events.deliveries as d where d.event_id = v_id;
  end if;

  for v_procedure in
    select c.procedure from events.channels as c
    where c.procedure is not null and exists (
      select from events.subscriptions as s where s.pattern = any (events.patterns_of(p_type)) and s.channel = c.channel
    )
  loop
    begin
      execute format('select %s($1)', v_procedure) using v_id;
    exception when others then
      raise warning 'event % could not be told by %: %', v_id, v_procedure, sqlerrm;
    end;
  end loop;
  return v_id;
end;
$$;

create function events.write_down(p_type text, p_user_id uuid, p_data jsonb, p_metadata jsonb, p_now timestamptz)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
-- An event in the log, and told nobody yet: its id. Raises invalid_parameter_value for a type that is none.
declare
  v_id constant uuid := core.new_id();
  v_keep interval;
begin
  select t.keep into v_keep from unnest(events.types()) as t where t.type = p_type;
  if not found then
    raise exception 'there is no type of event %', p_type using errcode = 'invalid_parameter_value';
  end if;
  insert into events.log (id, type, user_id, data, metadata, created_at, expires_at)
  values (v_id, p_type, p_user_id, p_data, p_metadata, p_now, p_now + v_keep);
  return v_id;
end;
$$;

create function events.tell(p_type text, p_data jsonb, p_channel text, p_target uuid, p_metadata jsonb default '{}')
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
-- Writes down what only one receiver is to hear, whatever it has asked for: the id of its delivery. A second call tells it
-- again, as another event. Raises as events.publish. Locks: nothing that anybody waits for.
declare
  v_now constant timestamptz := core.now();
  v_delivery events.deliveries;
begin
  insert into events.deliveries (event_id, channel, target, created_at)
  values (events.write_down(p_type, null, p_data, p_metadata, v_now), p_channel, p_target, v_now)
  returning * into v_delivery;
  perform events.add_task(v_delivery, p_type, null);
  return v_delivery.id;
end;
$$;

create function events.add_task(p_delivery events.deliveries, p_type text, p_owner_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes the task of a delivery, which is to run now; one that is open stays. Each receiver has a lane of its own, and the
-- users take turns.
begin
  perform queue.add(
    c.kind, p_delivery.id, p_owner_id, core.now(), p_lane => coalesce(p_delivery.target::text, ''), p_priority => (
      select min(s.priority) from events.subscriptions as s
      where s.pattern = any (events.patterns_of(p_type)) and s.channel = p_delivery.channel
        and s.target is not distinct from p_delivery.target
    )
  )
  from events.channels as c
  where c.channel = p_delivery.channel;
end;
$$;
