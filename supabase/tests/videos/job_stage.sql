-- A job, one stage after the other, and what its row forbids.
begin;
select plan(8);

insert into accounts.users (id, created_at) values ('00000000-0000-0000-0000-000000000001', now());
insert into videos.jobs (
  id, user_id, model_id, model_name, prompt, settings, credits_used, request_id, created_at, due_at
)
values (
  '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001',
  '0190a000-0000-7000-8000-000000000001', 'A model', 'a prompt', '{}', 4, 'request', '2026-11-20 12:00:00+00', now()
);
create function pg_temp.stage() returns text language sql
as $$ select videos.job_stage(j) from videos.jobs as j $$;

select is(pg_temp.stage(), 'queued', 'a pending job is queued');
update videos.jobs set status = 'processing';
select is(pg_temp.stage(), 'submitted', 'a claimed one is submitted');
update videos.jobs set started_at = now();
select is(pg_temp.stage(), 'generating', 'a started one is generating');
update videos.jobs set storing_at = now(), due_at = null;
select is(pg_temp.stage(), 'storing', 'a finished one is storing');
select throws_ok(
  'update videos.jobs set due_at = now()', '23514', null, 'and no bound runs while it is stored'
);
select throws_ok(
  $$update videos.jobs set status = 'failed', completed_at = now()$$, '23514', null, 'a failure has a code'
);
update videos.jobs set status = 'failed', completed_at = '2026-11-20 12:01:00+00', error_code = 'ERR_5002', error_details = '{}';
select is(pg_temp.stage(), 'done', 'an ended one is done, however it ended');
select throws_ok(
  $$update videos.jobs set status = 'processing', completed_at = null, error_code = null, due_at = now()$$,
  '23514', null, 'and ended it stays'
);

select * from finish();
rollback;
