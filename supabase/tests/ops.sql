-- Time, ids, switches and the clock's work.
begin;
select plan(12);

-- The version and variant digits of RFC 9562.
select matches(
  ops.new_id()::text, '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
  'a new id is a UUID of version 7'
);
select ok(
  (
    select abs(
      ('x' || left(replace(ops.new_id()::text, '-', ''), 12))::bit(48)::bigint
        - extract(epoch from clock_timestamp()) * 1000
    ) < 1000
  ),
  'its first 48 bits are the milliseconds of now'
);
select is(
  (select count(distinct ops.new_id())::integer from generate_series(1, 10000)), 10000,
  'ten thousand of them differ'
);

set local timezone = 'Asia/Tokyo';
select is(
  ops.to_iso('2026-11-20 12:00:00.5+00'), '2026-11-20T12:00:00.500Z',
  'a time is shown in UTC with milliseconds, whatever the session''s time zone'
);
select is(ops.to_iso(null), null, 'no time is no text');

select ok(ops.is_enabled('generation'), 'generation is on');
select ok(ops.is_enabled('never heard of'), 'a feature that nobody named is on');
update ops.feature_flags set is_enabled = false where name = 'generation';
select ok(not ops.is_enabled('generation'), 'what is switched off is off');

select throws_ok(
  $$insert into ops.scheduled_tasks (name, procedure, every) values ('a', 'drop table x; --', '1 minute')$$,
  '23514', null, 'a scheduled procedure is a name and nothing more'
);
select throws_ok(
  $$insert into ops.scheduled_tasks (name, procedure, every) values ('a', 'ops.tick', '1 millisecond')$$,
  '23514', null, 'nothing is due more than once a second'
);
select lives_ok('select ops.call_worker()', 'without pg_net and Vault the worker is called by whoever ticks');
select ok(ops.tick() >= 0, 'a tick tells how many tasks wait');

select * from finish();
rollback;
