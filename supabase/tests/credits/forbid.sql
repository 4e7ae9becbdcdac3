-- What nobody may do to the ledger, the owner included.
begin;
select plan(8);

select credits.open_account('00000000-0000-0000-0000-000000000001');
select credits.add('00000000-0000-0000-0000-000000000001', 10, 'purchase', 'purchase');
select credits.hold(credits.lock_account('00000000-0000-0000-0000-000000000001'), 4, '00000000-0000-0000-0000-00000000000a');

select throws_ok('update credits.transfers set amount = 1', '42501', null, 'a transfer is not changed');
select throws_ok($$update credits.transfers set from_hash = ''$$, '42501', null, 'nor are its entries');
select throws_ok('delete from credits.transfers', '42501', null, 'a transfer is not deleted');
select throws_ok('truncate credits.transfers', '42501', null, 'transfers are not truncated');
select throws_ok('delete from credits.postings', '42501', null, 'a posting is not forgotten');
select throws_ok(
  'update credits.accounts set balance = 1000 where owner_id is not null', '42501', null,
  'a balance moves by a posting, and not otherwise'
);
select throws_ok('update credits.lots set remaining = 0', '42501', null, 'so does a lot');
select lives_ok(
  $$update credits.accounts set closed_at = now() where owner_id is not null$$, 'what is no money may be updated'
);

select * from finish();
rollback;
