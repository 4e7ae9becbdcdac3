-- No job is ever at two providers.
begin;
select plan(5);

insert into accounts.users (id, created_at) values ('00000000-0000-0000-0000-000000000001', now());
insert into videos.jobs (
  id, user_id, model_id, model_name, prompt, settings, credits_used, request_id, created_at, due_at
)
values (
  '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001',
  '0190a000-0000-7000-8000-000000000001', 'A model', 'a prompt', '{}', 4, 'request', '2026-11-20 12:00:00+00', now()
);

insert into videos.submissions (id, job_id, owner_id, provider, provider_model, cost_cents, claimed_at)
values ('00000000-0000-0000-0000-0000000000aa', '00000000-0000-0000-0000-00000000000a', gen_random_uuid(), 'fal', 'a', 1, now());
prepare another_submission as
  insert into videos.submissions (job_id, owner_id, provider, provider_model, cost_cents, claimed_at)
  values ('00000000-0000-0000-0000-00000000000a', gen_random_uuid(), 'runway', 'a', 1, now());

select throws_ok('another_submission', '23505', null, 'a job that is being sent is not sent to another');
update videos.submissions set state = 'unknown';
select throws_ok('another_submission', '23505', null, 'nor while a provider may have it');
select throws_ok(
  $$update videos.submissions set state = 'accepted'$$, '23514', null, 'an accepted submission has an id'
);
update videos.submissions set state = 'accepted', request_id = 'r';
select throws_ok('another_submission', '23505', null, 'nor while one has it');
update videos.submissions set state = 'not_accepted', request_id = null;
select lives_ok('another_submission', 'only with the proof that it does not');

select * from finish();
rollback;
