-- The balance of a time is the last one that was booked.
begin;
select plan(2);

select credits.open_account('00000000-0000-0000-0000-000000000001');
select credits.add('00000000-0000-0000-0000-000000000001', 10, 'purchase', 'purchase');
select credits.hold(credits.lock_account('00000000-0000-0000-0000-000000000001'), 4, '00000000-0000-0000-0000-00000000000a');

select is(
  credits.balance_at('00000000-0000-0000-0000-000000000001', clock_timestamp()), 6::bigint,
  'the balance of now is the last one booked'
);
select is(
  credits.balance_at('00000000-0000-0000-0000-000000000001', now() - interval '1 day'), 0::bigint,
  'before the first entry it is zero'
);

select * from finish();
rollback;
