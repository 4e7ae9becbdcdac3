-- A time as the API shows it.
begin;
select plan(2);

set local timezone = 'Asia/Tokyo';

select is(
  core.to_iso('2026-11-20 12:00:00.5+00'), '2026-11-20T12:00:00.500Z',
  'a time is shown in UTC with milliseconds, whatever the session''s time zone'
);
select is(core.to_iso(null), null, 'no time is no text');

select * from finish();
rollback;
