-- A job as the API shows it.
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
update videos.jobs
set status = 'processing';
update videos.jobs
set status = 'failed', completed_at = '2026-11-20 12:01:00+00', due_at = null, error_code = 'ERR_5002', error_details = '{}';

-- Not all of it: that it has what the contract says, every call of a function checks.
select ok(
  (select videos.job_json(j) from videos.jobs as j) @> '{
    "job_id": "00000000-0000-0000-0000-00000000000a", "status": "failed", "prompt": "a prompt", "settings": {},
    "credits_used": 4, "video_url": null, "error": {"code": "ERR_5002", "details": {}},
    "created_at": "2026-11-20T12:00:00.000Z", "completed_at": "2026-11-20T12:01:00.000Z"
  }'::jsonb, 'a job is shown as the API says'
);

select * from finish();
rollback;
