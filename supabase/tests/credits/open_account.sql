-- An account is there from its opening on, once.
begin;
select plan(3);

select credits.open_account('00000000-0000-0000-0000-000000000001');
select lives_ok(
  $$select credits.open_account('00000000-0000-0000-0000-000000000001')$$, 'an account is opened twice as once'
);
select throws_ok(
  $$select credits.lock_account('00000000-0000-0000-0000-000000000002')$$, 'P0002', null,
  'nobody has an account before it is opened'
);
select throws_ok(
  $$insert into credits.accounts (kind, owner_id) values ('revenue', gen_random_uuid())$$, '42501', null,
  'an account of the platform is nobody''s'
);

select * from finish();
rollback;
