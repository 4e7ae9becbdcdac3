create function events.is_pattern(p_pattern text)
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Whether a pattern can fit anything: everything (`#`), a topic (`video.*`), or one type, of those that there are.
  select coalesce(p_pattern = '#' or exists (
    select from unnest(events.types()) as t where p_pattern in (t.type, split_part(t.type, '.', 1) || '.*')
  ), false)
$$;

-- The patterns that fit a type.
create function events.patterns_of(p_type text)
returns text[]
language sql
immutable
return array[p_type, split_part(p_type, '.', 1) || '.*', '#'];

create table events.channels (
  channel text primary key check (channel ~ '^[a-z_]{1,30}$'),
  -- The kind of task that delivers, whose subject is the delivery.
  kind text check (kind ~ '^[a-z_]{1,50}$'),
  -- What is no delivery, and may be lost: a function of the event's id, with its schema, which events.publish calls in the
  -- transaction of the fact.
  procedure text check (procedure ~ '^[a-z_]+\.[a-z_]+$'),
  -- Whether there is anybody to hear of what happens to a user: a function of the user's id, with its schema. Where it says
  -- no, there is no delivery. Without it there is one for every event that fits.
  audience text check (audience ~ '^[a-z_]+\.[a-z_]+$'),
  constraint a_kind_or_a_procedure check (num_nonnulls(kind, procedure) = 1)
);
alter table events.channels enable row level security;
comment on table events.channels is 'The ways in which events are told. The migrations'' to write: their procedures are run.';

create table events.subscriptions (
  id bigint generated always as identity primary key,
  pattern text not null constraint subscriptions_pattern check (events.is_pattern(pattern)),
  channel text not null references events.channels,
  -- Which of the channel's receivers; null where it is the event's own user.
  target uuid,
  -- Of the tasks that deliver; lower first.
  priority smallint not null,
  constraint subscriptions_once unique nulls not distinct (pattern, channel, target)
);
alter table events.subscriptions enable row level security;
comment on table events.subscriptions is 'Who hears what. A receiver hears of an event once, whichever of its patterns fit.';

create function events.subscribe(p_channel text, p_target uuid, p_patterns text[], p_priority smallint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A receiver of a channel hears these patterns from now on, and no others; none where there are none. A second call changes
-- nothing. Raises check_violation for a pattern that fits nothing. Locks: its subscriptions.
begin
  delete from events.subscriptions as s
  where s.channel = p_channel and s.target = p_target and s.pattern <> all (p_patterns);
  insert into events.subscriptions (pattern, channel, target, priority)
  select distinct p.pattern, p_channel, p_target, p_priority from unnest(p_patterns) as p (pattern)
  on conflict (pattern, channel, target) do nothing;
end;
$$;
