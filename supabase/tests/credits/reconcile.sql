-- What was booked by the procedures proves true.
begin;
select plan(1);

select credits.open_account('00000000-0000-0000-0000-000000000001');
select credits.add('00000000-0000-0000-0000-000000000001', 10, 'purchase', 'purchase');
select credits.hold(credits.lock_account('00000000-0000-0000-0000-000000000001'), 4, '00000000-0000-0000-0000-00000000000a');

select is_empty(
  $$select * from credits.reconcile(true) as r where r.violation in ('broken_chain', 'balance_differs', 'lots_differ')$$,
  'and the proof holds'
);

select * from finish();
rollback;
