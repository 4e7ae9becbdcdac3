-- What clients see of users and jobs, and that they write nothing.
begin;
select plan(35);

insert into accounts.users (id, created_at) values
  ('00000000-0000-0000-0000-000000000001', now()), ('00000000-0000-0000-0000-000000000002', now());
insert into videos.jobs (
  id, user_id, model_id, model_name, prompt, settings, credits_used, request_id, created_at, due_at
)
select j.id::uuid, j.user_id::uuid, '0190a000-0000-7000-8000-000000000001', 'A model', 'a prompt', '{}', 4, 'request', now(), now()
from (values
  ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001'),
  ('00000000-0000-0000-0000-00000000000b', '00000000-0000-0000-0000-000000000001'),
  ('00000000-0000-0000-0000-00000000000c', '00000000-0000-0000-0000-000000000002')
) as j (id, user_id);
update videos.jobs set deleted_at = now() where id = '00000000-0000-0000-0000-00000000000b';

-- Nobody.
set local role anon;
select throws_ok('select id from accounts.users', '42501', null, 'nobody sees users');
select throws_ok('select id from videos.jobs', '42501', null, 'nobody sees jobs');
select throws_ok('select id from videos.models', '42501', null, 'nobody reads the catalogue past its endpoint');
select throws_ok(
  $$select api.health()$$, '42501', null, 'nobody calls a procedure'
);

-- The first user.
set local role authenticated;
set local request.jwt.claims = '{"sub": "00000000-0000-0000-0000-000000000001", "role": "authenticated"}';
select results_eq(
  'select id from accounts.users', $$values ('00000000-0000-0000-0000-000000000001'::uuid)$$, 'a user sees their own row'
);
select results_eq(
  'select id from videos.jobs', $$values ('00000000-0000-0000-0000-00000000000a'::uuid)$$,
  'and their own jobs, but for deleted ones'
);
select throws_ok('select is_admin from accounts.users', '42501', null, 'not whether somebody is an admin');
select throws_ok('select * from videos.jobs', '42501', null, 'not what the API does not show of a job');
select throws_ok('select request_id from videos.jobs', '42501', null, 'such as the request that made it');
select throws_ok('select id from videos.models', '42501', null, 'not the catalogue');
select throws_ok('select * from credits.accounts', '42501', null, 'nothing of the ledger');
select throws_ok('update accounts.users set is_admin = true', '42501', null, 'a user makes nobody an admin');
select throws_ok('update accounts.users set display_name = ''a''', '42501', null, 'nor changes a profile past its endpoint');
select throws_ok('delete from accounts.users', '42501', null, 'nor deletes a user');
select throws_ok(
  $$insert into accounts.users (id) values ('00000000-0000-0000-0000-000000000009')$$, '42501', null, 'nor makes one'
);
select throws_ok(
  $$update videos.jobs set status = 'completed'$$, '42501', null, 'a user changes no job'
);
select throws_ok('delete from videos.jobs', '42501', null, 'nor deletes one past its endpoint');
select throws_ok(
  $$select api.generate_video(gen_random_uuid(), null, 'key', repeat('f', 64), 'r', gen_random_uuid(), 'p', '{}', null)$$,
  '42501', null, 'nor calls a procedure, for themselves or for another'
);
select throws_ok(
  $$select credits.add_credits('00000000-0000-0000-0000-000000000001', 100, 'for me')$$, '42501', null,
  'nor adds credits'
);

-- Somebody who has no row yet, or never will.
set local request.jwt.claims = '{"sub": "00000000-0000-0000-0000-000000000009", "role": "authenticated"}';
select is_empty('select id from accounts.users', 'a stranger sees no user');
select is_empty('select id from videos.jobs', 'and no job');
set local request.jwt.claims = '{"role": "authenticated"}';
select is_empty('select id from videos.jobs', 'a token without a subject sees nothing');

-- Banned and closed users, whose tokens live on for a while.
reset role;
update accounts.users set is_banned = true where id = '00000000-0000-0000-0000-000000000001';
set local role authenticated;
set local request.jwt.claims = '{"sub": "00000000-0000-0000-0000-000000000001", "role": "authenticated"}';
select is_empty('select id from accounts.users', 'a banned user sees no user, not even themselves');
select is_empty('select id from videos.jobs', 'and no job');
reset role;
update accounts.users set is_banned = false, closed_at = now() where id = '00000000-0000-0000-0000-000000000001';
set local role authenticated;
select is_empty('select id from accounts.users', 'nor does one who has closed the account');
select is_empty('select id from videos.jobs', 'whose jobs are gone from sight');
reset role;

-- The secret key is for procedures, not for tables.
set local role service_role;
select throws_ok('select * from accounts.users', '42501', null, 'service_role reads no table');
select throws_ok('update credits.accounts set balance = 1', '42501', null, 'and writes no ledger');
select throws_ok(
  $$select credits.add_credits('00000000-0000-0000-0000-000000000001', 100, 'for a friend')$$, '42501', null,
  'nor adds credits by hand'
);
select ok(api.health() ? 'data', 'it calls procedures');
reset role;

-- The catalogue.
select throws_ok('delete from videos.models', '23001', null, 'a model is never deleted');
select throws_ok('truncate videos.models cascade', '23001', null, 'nor truncated');
select throws_ok(
  $$update videos.models set options = jsonb_set(options, '{resolution,default}', '"8k"')$$, '23514', null,
  'a default is one of the values'
);
update videos.models set is_available = false where position = 1;
select is(
  (
    select jsonb_array_length(api.models('00000000-0000-0000-0000-000000000002') #> '{data,models}')
  ), (select count(*)::integer - 1 from videos.models), 'what is not available is not listed'
);
select throws_ok(
  $$update videos.jobs set status = 'completed', completed_at = now(), due_at = null
    where id = '00000000-0000-0000-0000-00000000000a'$$,
  '23514', null, 'a job goes no way that is not in job_transitions'
);

select * from finish();
rollback;
