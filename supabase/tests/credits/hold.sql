-- A purchase, the price of a video set aside, and its end.
begin;
select plan(7);

select credits.open_account('00000000-0000-0000-0000-000000000001');
select is(
  credits.add('00000000-0000-0000-0000-000000000001', 10, 'purchase', 'purchase') -> 'credits_remaining', '10'::jsonb,
  'a purchase adds its credits'
);
select is(
  credits.hold(credits.lock_account('00000000-0000-0000-0000-000000000001'), 4, '00000000-0000-0000-0000-00000000000a') -> 'credits_remaining',
  '6'::jsonb, 'a hold sets the price aside'
);
select is(
  credits.hold(credits.lock_account('00000000-0000-0000-0000-000000000001'), 7, '00000000-0000-0000-0000-00000000000b'),
  '{"error": "insufficient_credits", "current_credits": 6}'::jsonb, 'what is set aside cannot be spent again'
);
select is(
  credits.capture('00000000-0000-0000-0000-00000000000a') -> 'amount', '4'::jsonb, 'a capture pays all of it'
);
select is(
  credits.release('00000000-0000-0000-0000-00000000000a'), '{"error": "already_ended"}'::jsonb,
  'and ends the hold for good'
);

select results_eq(
  'select s.kind::text, s.balance from credits.system_balances as s where s.balance <> 0 order by 1',
  $$values ('purchases', -10::bigint), ('revenue', 4::bigint)$$, 'the platform''s accounts say where the credits are'
);
select is((select sum(e.amount)::integer from credits.entries as e), 0, 'all entries sum to zero');

select * from finish();
rollback;
