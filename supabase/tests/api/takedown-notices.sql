-- takedown-notices: what its procedures decide.
begin;
select plan(6);

insert into videos.jobs (id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at)
values ('00000000-0000-4000-8000-00000000000a', gen_random_uuid(), gen_random_uuid(), 'A model', 'completed', 'A fox', '{}', 0, 'r', now(), now());
create function pg_temp.notice(p_statement text, p_job text default 'a') returns jsonb language sql volatile as $$
  select api.takedown_notices('192.0.2.1', ('00000000-0000-4000-8000-00000000000' || p_job)::uuid, 'ada@example.com', p_statement)
$$;

select is(pg_temp.notice('x') #>> '{data,job_id}', '00000000-0000-4000-8000-00000000000a', 'nobody in particular is heard');
select is(pg_temp.notice('x') -> 'data', pg_temp.notice('x') -> 'data', 'the same again is the same notice');
select is(
  pg_temp.notice('y') #> '{data,due_at}', pg_temp.notice('x') #> '{data,due_at}', 'the clock goes from the first one on'
);
select is((select c.notices from safety.cases as c), 2, 'and both count');
select is(pg_temp.notice('x', 'b') ->> 'error', 'ERR_4007', 'of what is not there nothing is said');
select is(
  pg_temp.notice('x') #>> '{limits,0,policy}', 'takedown_notices', 'a notice counts among all, and of its network'
);

select * from finish();
rollback;
