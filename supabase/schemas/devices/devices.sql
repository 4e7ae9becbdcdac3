-- devices: who was granted a device's credits.

create schema devices;

create table devices.grants (
  user_id uuid primary key,
  network text not null,
  -- Written before the device's bit is set: whoever finds the bit set and their own intent is granted.
  intended_at timestamptz not null,
  -- The holder of the lane that it was made in, until another check relies on it.
  lane uuid,
  granted_at timestamptz
);
create unique index device_grants_lane on devices.grants (lane) where granted_at is null;
alter table devices.grants enable row level security;
comment on table devices.grants is 'Who meant to get a device''s credits, and who got them.';

create table devices.lanes (
  network text primary key,
  holder uuid not null,
  leased_until timestamptz not null
);
alter table devices.lanes enable row level security;
comment on table devices.lanes is 'One device check of a network at a time is in its critical section.';
