-- Who may enter: nobody reads or writes a table, and the secret key calls procedures. An admin's token acts as authenticated, too.
begin;
select plan(24);

insert into accounts.users (id, is_admin) values ('00000000-0000-0000-0000-000000000001', true);

-- Nobody.
set local role anon;
select throws_ok('select id from accounts.users', '42501', null, 'nobody sees users');
select throws_ok('select id from videos.jobs', '42501', null, 'nobody sees jobs');
select throws_ok('select id from videos.models', '42501', null, 'nobody reads the catalogue past its endpoint');
select throws_ok($$select api.health()$$, '42501', null, 'nobody calls a procedure');

-- A user.
set local role authenticated;
set local request.jwt.claims = '{"sub": "00000000-0000-0000-0000-000000000001", "role": "authenticated"}';
select throws_ok('select id from accounts.users', '42501', null, 'a user does not see their own row');
select throws_ok('select id from videos.jobs', '42501', null, 'nor their own jobs');
select throws_ok('select id from videos.models', '42501', null, 'nor the catalogue');
select throws_ok('select * from credits.accounts', '42501', null, 'nor anything of the ledger');
select throws_ok('select * from ops.user_overview', '42501', null, 'nor what the operator sees');
select throws_ok('update accounts.users set is_admin = true', '42501', null, 'a user makes nobody an admin');
select throws_ok(
  'update accounts.users set display_name = ''a''', '42501', null, 'nor changes a profile past its endpoint'
);
select throws_ok('delete from accounts.users', '42501', null, 'nor deletes a user');
select throws_ok(
  $$insert into accounts.users (id) values ('00000000-0000-0000-0000-000000000009')$$, '42501', null, 'nor makes one'
);
select throws_ok($$update videos.jobs set status = 'completed'$$, '42501', null, 'a user changes no job');
select throws_ok('delete from videos.jobs', '42501', null, 'nor deletes one past its endpoint');
select throws_ok(
  $$select api.generate_video(gen_random_uuid(), null, 'key', repeat('f', 64), 'r', gen_random_uuid(), 'p', '{}', null)$$,
  '42501', null, 'nor calls a procedure, for themselves or for another'
);
select throws_ok(
  $$select credits.add_credits('00000000-0000-0000-0000-000000000001', 100, 'for me')$$, '42501', null,
  'nor adds credits'
);
select throws_ok(
  $$select ops.make_admin('00000000-0000-0000-0000-000000000001')$$, '42501', null, 'nor makes an admin'
);
select throws_ok('call core.tick()', '42501', null, 'nor lets the clock tick');

-- The secret key is for procedures, not for tables.
set local role service_role;
select throws_ok('select * from accounts.users', '42501', null, 'service_role reads no table');
select throws_ok('update credits.accounts set balance = 1', '42501', null, 'and writes no ledger');
select throws_ok(
  $$select credits.add_credits('00000000-0000-0000-0000-000000000001', 100, 'for a friend')$$, '42501', null,
  'nor adds credits by hand'
);
select throws_ok('create table api.mine ()', '42501', null, 'nor makes anything');
select ok(api.health() ? 'data', 'it calls procedures');
reset role;

select * from finish();
rollback;
