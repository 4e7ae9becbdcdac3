-- What moved a balance, newest first.
begin;
select plan(1);

select credits.open_account('00000000-0000-0000-0000-000000000001');
select credits.add('00000000-0000-0000-0000-000000000001', 10, 'purchase', 'purchase');
select credits.hold(credits.lock_account('00000000-0000-0000-0000-000000000001'), 4, '00000000-0000-0000-0000-00000000000a');

select results_eq(
  $$select s.number, s.kind::text, s.amount, s.balance_after
    from credits.statement('00000000-0000-0000-0000-000000000001', 10) as s$$,
  $$values (2::bigint, 'hold', -4::bigint, 6::bigint), (1::bigint, 'purchase', 10::bigint, 10::bigint)$$,
  'the statement tells it, newest first'
);

select * from finish();
rollback;
