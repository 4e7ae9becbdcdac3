-- The ledger in one session: a purchase, a video, a refund, and what nobody may do to them.
begin;
select plan(24);

select credits.open_account('00000000-0000-0000-0000-000000000001');
select lives_ok(
  $$select credits.open_account('00000000-0000-0000-0000-000000000001')$$, 'an account is opened twice as once'
);
select throws_ok(
  $$select credits.lock_account('00000000-0000-0000-0000-000000000002')$$, 'P0002', null,
  'nobody has an account before it is opened'
);

select is(
  credits.add('00000000-0000-0000-0000-000000000001', 10, 'purchase', 'purchase') -> 'credits_remaining', '10'::jsonb,
  'a purchase adds its credits'
);
select is(
  credits.hold(
    credits.lock_account('00000000-0000-0000-0000-000000000001'), 4, '00000000-0000-0000-0000-00000000000a'
  ) -> 'credits_remaining',
  '6'::jsonb, 'a hold sets the price aside'
);
select is(
  credits.hold(
    credits.lock_account('00000000-0000-0000-0000-000000000001'), 7, '00000000-0000-0000-0000-00000000000b'
  ),
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
select results_eq(
  $$select s.number, s.kind::text, s.amount, s.balance_after
    from credits.statement('00000000-0000-0000-0000-000000000001', 10) as s$$,
  $$values (2::bigint, 'hold', -4::bigint, 6::bigint), (1::bigint, 'purchase', 10::bigint, 10::bigint)$$,
  'the statement tells it, newest first'
);
select is(
  credits.balance_at('00000000-0000-0000-0000-000000000001', clock_timestamp()), 6::bigint,
  'the balance of now is the last one booked'
);
select is(
  credits.balance_at('00000000-0000-0000-0000-000000000001', now() - interval '1 day'), 0::bigint,
  'before the first entry it is zero'
);

-- The chain.
select is(
  (select e.hash from credits.entries as e where e.number = 2),
  (
    select sha256(p.hash || convert_to(concat_ws(
      '|', e.account_id, e.number, e.transfer_id, e.amount, e.balance_after,
      (extract(epoch from e.created_at) * 1000000)::bigint
    ), 'UTF8'))
    from credits.entries as e
    join credits.entries as p on p.account_id = e.account_id and p.number = 1
    where e.number = 2
  ),
  'an entry''s hash is over the one before and its own content'
);
select is(
  (select array[a.entry_count::text, encode(a.head_hash, 'hex')] from credits.accounts as a where a.user_id is not null),
  (select array[e.number::text, encode(e.hash, 'hex')] from credits.entries as e where e.number = 2),
  'the account knows its head'
);
select is_empty(
  $$select * from credits.reconcile(true) as r where r.violation in ('broken_chain', 'balance_differs', 'lots_differ')$$,
  'and the proof holds'
);

-- What nobody may do, the owner included.
select throws_ok('update credits.entries set amount = 1', '42501', null, 'an entry is not changed');
select throws_ok('delete from credits.entries', '42501', null, 'an entry is not deleted');
select throws_ok('truncate credits.entries', '42501', null, 'entries are not truncated');
select throws_ok('update credits.transfers set amount = 1', '42501', null, 'a transfer is not changed');
select throws_ok('delete from credits.postings', '42501', null, 'a posting is not forgotten');
select throws_ok(
  'update credits.accounts set balance = 1000 where user_id is not null', '42501', null,
  'a balance moves by a posting, and not otherwise'
);
select throws_ok('update credits.lots set remaining = 0', '42501', null, 'so does a lot');
select throws_ok(
  $$insert into credits.accounts (kind, user_id) values ('revenue', gen_random_uuid())$$, '23514', null,
  'a system account is nobody''s'
);
select lives_ok(
  $$update credits.accounts set closed_at = now() where user_id is not null$$, 'what is no money may be updated'
);

select * from finish();
rollback;
