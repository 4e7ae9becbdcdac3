-- admin-search: what its procedures decide.
begin;
select plan(17);

insert into auth.users (id, is_anonymous, email) values
  ('00000000-0000-4000-8000-000000000001', false, 'admin@example.com'),
  ('12345678-0000-4000-8000-000000000002', false, 'ada@example.com'),
  ('12345678-9000-4000-8000-000000000003', true, null);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
select accounts.admit('12345678-0000-4000-8000-000000000002');
select credits.add('12345678-0000-4000-8000-000000000002', 100, 'grant', 'given');
update guard.policies set max_hits = 300 where name = 'admin';
create function pg_temp.found(p_query text) returns jsonb language sql volatile as $$
  select api.admin_search('00000000-0000-4000-8000-000000000001', p_query) -> 'data'
$$;
create function pg_temp.users(p_query text) returns text language sql volatile as $$
  select string_agg(right(u ->> 'user_id', 1), '') from jsonb_array_elements(pg_temp.found(p_query) -> 'users') as u
$$;
create function pg_temp.jobs(p_query text) returns text language sql volatile as $$
  select string_agg(concat_ws(' ', right(j ->> 'job_id', 1), j ->> 'matched'), ', ' order by n)
  from jsonb_array_elements(pg_temp.found(p_query) -> 'jobs') with ordinality as o (j, n)
$$;
insert into videos.jobs (
  id, user_id, model_id, model_name, prompt, settings, credits_used, request_id, created_at, due_at, client_reference
)
select ('00000000-0000-7000-8000-00000000010' || n)::uuid, '12345678-0000-4000-8000-000000000002',
  '0190a000-0000-7000-8000-000000000001', 'A model', 'a secret prompt', '{}', 4, 'made-by-' || n, core.now(),
  core.now() + interval '1 hour', 'draft'
from generate_series(1, 2) as n;

select is(pg_temp.users('12345678-0000-4000-8000-000000000002'), '2', 'a user is found by their id');
select is(pg_temp.users('12345678'), '23', 'by its beginning, also who has called nothing yet');
select is(pg_temp.users('123456789000'), '3', 'by more of it, without the hyphens');
select is(pg_temp.users('1234567'), null, 'seven digits are too few');
select is(
  pg_temp.users((select u.reference::text from accounts.users as u where u.id = '12345678-0000-4000-8000-000000000002')), '2',
  'by the reference of their files'
);
select is(pg_temp.users('ADA@Example.com'), '2', 'by the e-mail address, in either case');
select is(pg_temp.users('ada@'), null, 'and by the whole of it alone');
select is(pg_temp.users('%@%'), null, 'nothing stands for anything');
select is(
  (pg_temp.found('ada@example.com') #> '{users,0}') - '{reference,created_at}'::text[],
  '{"user_id": "12345678-0000-4000-8000-000000000002", "email": "ada@example.com", "is_guest": false, "is_banned": false, "credits_remaining": 100}',
  'and shown with what they have'
);
select credits.add(
  '12345678-0000-4000-8000-000000000002', 10, 'grant', 'expired since', p_expires_at => clock_timestamp() + interval '50 milliseconds'
);
select pg_sleep(0.06);
select is(
  pg_temp.found('ada@example.com') #> '{users,0,credits_remaining}', '100', 'of which nothing is that has expired, and is not booked yet'
);
select is(pg_temp.jobs('00000000-0000-7000-8000-000000000101'), '1 job_id', 'a job is found by its id');
select is(pg_temp.jobs('made-by-2'), '2 request_id', 'by the request that made it');
select is(pg_temp.jobs('draft'), '2 client_reference, 1 client_reference', 'by the app''s own name, the newest first');
select unalike(pg_temp.found('draft')::text, '%secret%', 'without its prompt');
select is(pg_temp.found('nothing'), '{"users": [], "jobs": []}', 'nothing is two empty lists');
update videos.jobs set client_reference = id::text where request_id = 'made-by-1';
select is(pg_temp.jobs('00000000-0000-7000-8000-000000000101'), '1 job_id', 'what fits in two ways is named once');
select is(
  api.admin_search('12345678-0000-4000-8000-000000000002', 'ada@example.com') ->> 'error', 'ERR_4006', 'who is no admin searches nothing'
);

select * from finish();
rollback;
