-- reports: what its procedures decide.
begin;
select plan(5);

insert into auth.users (id) values
  ('00000000-0000-4000-8000-000000000001'), ('00000000-0000-4000-8000-000000000002');
insert into videos.jobs (id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at, due_at)
select id, '00000000-0000-4000-8000-000000000001', gen_random_uuid(), 'A model', status, 'A fox', '{}', 0, 'r', now(), ended, due
from (values
  ('00000000-0000-4000-8000-00000000000a'::uuid, 'completed'::videos.job_status, now(), null::timestamptz),
  ('00000000-0000-4000-8000-00000000000b', 'pending', null, now())
) as j (id, status, ended, due);
create function pg_temp.report(p_user integer, p_job text, p_reason text default 'hate') returns jsonb language sql volatile as $$
  select api.reports(('00000000-0000-4000-8000-00000000000' || p_user)::uuid, ('00000000-0000-4000-8000-00000000000' || p_job)::uuid, p_reason)
$$;

select is(pg_temp.report(1, 'a') #>> '{data,reason}', 'hate', 'one''s own video can be reported');
select is(pg_temp.report(2, 'a') #>> '{data,reason}', 'hate', 'and another''s');
select is(pg_temp.report(2, 'a', 'other') -> 'data', pg_temp.report(2, 'a') -> 'data', 'a second report answers the first');
select is(pg_temp.report(1, 'b') ->> 'error', 'ERR_4007', 'what is not made yet is not there');
select is((select c.reports from safety.cases as c), 2, 'there is one case, which counts users');

select * from finish();
rollback;
