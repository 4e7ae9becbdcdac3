-- The version and variant digits of RFC 9562.
begin;
select plan(3);

select matches(
  core.new_id()::text, '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
  'a new id is a UUID of version 7'
);
select ok(
  (
    select abs(
      ('x' || left(replace(core.new_id()::text, '-', ''), 12))::bit(48)::bigint
        - extract(epoch from clock_timestamp()) * 1000
    ) < 1000
  ),
  'its first 48 bits are the milliseconds of now'
);
select is(
  (select count(distinct core.new_id())::integer from generate_series(1, 10000)), 10000,
  'ten thousand of them differ'
);

select * from finish();
rollback;
