-- appeals: what its procedures decide.
begin;
select plan(6);

insert into auth.users (id) values
  ('00000000-0000-4000-8000-000000000001'), ('00000000-0000-4000-8000-000000000002');
insert into videos.jobs (id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at, removed_at)
select id, '00000000-0000-4000-8000-000000000001', gen_random_uuid(), 'A model', 'completed', 'A fox', '{}', 0, 'r', now(), now(), removed
from (values
  ('00000000-0000-4000-8000-00000000000a'::uuid, now()), ('00000000-0000-4000-8000-00000000000b', null)
) as j (id, removed);
insert into safety.cases (job_id, status, ground, opened_at) values ('00000000-0000-4000-8000-00000000000a', 'removed', 'hate', now());
create function pg_temp.appeal(p_user integer, p_job text, p_statement text default 'It is me') returns jsonb language sql volatile as $$
  select api.appeals(('00000000-0000-4000-8000-00000000000' || p_user)::uuid, ('00000000-0000-4000-8000-00000000000' || p_job)::uuid, p_statement)
$$;

select is(pg_temp.appeal(2, 'a') ->> 'error', 'ERR_4007', 'another''s removal is not there');
select is(pg_temp.appeal(1, 'b') #>> '{details,status}', 'completed', 'what was not removed cannot be appealed');
select is(pg_temp.appeal(1, 'a') #>> '{data,status}', 'appealed', 'what was removed can');
select is(pg_temp.appeal(1, 'a') #>> '{data,status}', 'appealed', 'the same words again are the same appeal');
select is(pg_temp.appeal(1, 'a', 'Once more') #>> '{details,status}', 'appealed', 'others come too late');
select is((select c.appeal from safety.cases as c), 'It is me', 'the first words count');

select * from finish();
rollback;
