-- The ways of a job are rows.
begin;
select plan(1);

insert into accounts.users (id, created_at) values ('00000000-0000-0000-0000-000000000001', now());
insert into videos.jobs (
  id, user_id, model_id, model_name, prompt, settings, credits_used, request_id, created_at, due_at
)
values (
  '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001',
  '0190a000-0000-7000-8000-000000000001', 'A model', 'a prompt', '{}', 4, 'request', '2026-11-20 12:00:00+00', now()
);

select throws_ok(
  $$update videos.jobs set status = 'completed', completed_at = now(), due_at = null
    where id = '00000000-0000-0000-0000-00000000000a'$$,
  '23514', null, 'a job goes no way that is not in job_transitions'
);

select * from finish();
rollback;
