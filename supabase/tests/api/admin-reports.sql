-- admin-reports: what its procedures decide.
begin;
select plan(9);

insert into auth.users (id, is_anonymous) values ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
select accounts.admit('00000000-0000-4000-8000-000000000002');
insert into videos.jobs (id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at)
select ('00000000-0000-4000-8000-00000000001' || n)::uuid, '00000000-0000-4000-8000-000000000002', gen_random_uuid(), 'A model', 'completed',
  'A fox', '{}', 0, 'r', now(), now()
from generate_series(1, 3) as n;
insert into safety.cases (id, job_id, opened_at)
select ('00000000-0000-4000-8000-00000000002' || n)::uuid, ('00000000-0000-4000-8000-00000000001' || n)::uuid, now() + n * interval '1 minute'
from generate_series(1, 3) as n;
create function pg_temp.page(p_limit integer, p_status text default null, p_after jsonb default null) returns jsonb language sql volatile as $$
  select api.get_admin_reports('00000000-0000-4000-8000-000000000001', p_limit, p_status, p_after) -> 'data'
$$;
create function pg_temp.decide(p_case integer, p_decision text) returns jsonb language sql volatile as $$
  select api.patch_admin_reports(
    '00000000-0000-4000-8000-000000000001', 'r', ('00000000-0000-4000-8000-00000000002' || p_case)::uuid, p_decision, 'for a reason', 'hate'
  )
$$;

select is(pg_temp.page(2) #>> '{cases,0,job_id}', '00000000-0000-4000-8000-000000000013', 'the newest comes first');
select is(
  pg_temp.page(2, null, pg_temp.page(2) -> 'next') #>> '{cases,0,job_id}', '00000000-0000-4000-8000-000000000011',
  'the next page goes on after it'
);
select unalike(pg_temp.page(9)::text, '%A fox%', 'what their users wrote is not among it');
update videos.jobs as j set prompt = '' where j.id = '00000000-0000-4000-8000-000000000012';
select is(jsonb_path_query_array(pg_temp.page(9), '$.cases[*].has_prompt')::text, '[true, false, true]', 'but whether they did');
select is(pg_temp.decide(1, 'remove') #>> '{data,status}', 'removed', 'a case is decided');
select is(pg_temp.decide(1, 'remove') #>> '{details,status}', 'removed', 'once');
select is(jsonb_array_length(pg_temp.page(9, 'open') -> 'cases'), 2, 'what is decided is not among the open ones');
select is(
  api.get_admin_reports('00000000-0000-4000-8000-000000000002', 9) ->> 'error', 'ERR_4006', 'who is no admin sees nothing'
);
select throws_ok($$ select pg_temp.decide(2, 'hide') $$, '20000', null, 'there is no other decision');

select * from finish();
rollback;
