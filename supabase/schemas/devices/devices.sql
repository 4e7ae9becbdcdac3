-- devices: who was granted a device's credits, and what bounds it. In this order: devices.sql, limits.sql,
-- app-transactions.sql.

create schema devices;

create table devices.grants (
  user_id uuid primary key,
  granted_at timestamptz not null
);
alter table devices.grants enable row level security;
comment on table devices.grants is 'Who got a device''s credits.';

create table devices.lanes (
  -- As devices.network_of has it.
  network text primary key,
  holder uuid not null,
  leased_until timestamptz not null
);
alter table devices.lanes enable row level security;
comment on table devices.lanes is 'One device check of a network at a time is in its critical section.';

-- Written before a device's bit is set, and gone when the bit is known not to be. What is left is good for the grant.
create table devices.intents (
  -- The check that it belongs to, by the holder of the lane that it was made in.
  lane uuid primary key,
  -- Null once the account is erased: the row then only counts.
  user_id uuid,
  network text not null,
  -- Between these times it is good for a later check of its account in its network, too, since its own check may have
  -- died. Its own check needs it no longer by then.
  good_from timestamptz not null,
  good_until timestamptz not null,
  granted_at timestamptz
);
alter table devices.intents enable row level security;
create index intents_open on devices.intents (user_id) where granted_at is null;
-- For the counts of a network and of all.
create index intents_network on devices.intents (network, good_until);
create index intents_good_until on devices.intents (good_until);
comment on table devices.intents is 'Checks that meant to set a device''s bit; the limits of grants count them.';
