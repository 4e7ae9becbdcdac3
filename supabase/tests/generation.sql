-- Prices, settings, stages, and what the tables themselves forbid.
begin;
select plan(27);

create function pg_temp.model(p_id text) returns videos.models language sql
as $$ select m from videos.models as m where m.id = ('0190a000-0000-7000-8000-00000000000' || p_id)::uuid $$;

-- What depends on the model in a request.
select is(
  videos.resolve_settings(pg_temp.model('1'), '{}', null),
  '{"settings": {"duration_seconds": 5, "resolution": "1080p", "aspect_ratio": "16:9"}, "fields": []}'::jsonb,
  'what is not asked for is the model''s default'
);
select is(
  videos.resolve_settings(pg_temp.model('2'), '{"duration_seconds": 8, "aspect_ratio": "9:16"}', null) -> 'settings',
  '{"duration_seconds": 8, "resolution": "720p", "aspect_ratio": "9:16"}'::jsonb, 'what is asked for is taken'
);
select is(
  videos.resolve_settings(pg_temp.model('1'), '{"duration_seconds": 6, "resolution": "8k"}', 'https://a.example/a.png')
    #> '{fields}',
  '[
    {"path": "settings.duration_seconds", "message": "This model takes one of [5]"},
    {"path": "settings.resolution", "message": "This model takes one of [\"1080p\"]"},
    {"path": "image_url", "message": "This model takes no image"}
  ]'::jsonb, 'all that does not fit is named at once'
);
select is(
  videos.resolve_settings(pg_temp.model('3'), '{}', null) #>> '{fields,0,path}', 'image_url',
  'an image is missed where one is needed'
);
select is(videos.price(pg_temp.model('1'), '{"duration_seconds": 5}'), 4::bigint, 'a price by the video');
select is(videos.price(pg_temp.model('2'), '{"duration_seconds": 8}'), 8::bigint, 'a price by the second');
select throws_ok(
  $$select videos.price(pg_temp.model('2'), '{"duration_seconds": 1.5}')$$, '22P02', null,
  'no price has a fraction'
);

-- Jobs, one for each stage.
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
select is(
  (select videos.job_json(j) from videos.jobs as j),
  '{
    "job_id": "00000000-0000-0000-0000-00000000000a", "status": "failed", "prompt": "a prompt",
    "model_id": "0190a000-0000-7000-8000-000000000001", "model_name": "A model", "settings": {}, "credits_used": 4,
    "video_url": null, "video_url_expires_at": null, "thumbnail_url": null,
    "error": {"code": "ERR_5002", "details": {}}, "created_at": "2026-11-20T12:00:00.000Z",
    "completed_at": "2026-11-20T12:01:00.000Z"
  }'::jsonb, 'a job is shown as the API says'
);

-- No job is ever at two providers.
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

-- Tasks.
select queue.add('poll', '00000000-0000-0000-0000-00000000000a', null, now());
select queue.add('poll', '00000000-0000-0000-0000-00000000000a', null, now());
select is((select count(*)::integer from queue.tasks), 1, 'open work is there once');
update queue.tasks set failed_at = now();
select queue.add('poll', '00000000-0000-0000-0000-00000000000a', null, now());
select is((select count(*)::integer from queue.tasks), 2, 'a dead letter does not stand in its way');
select throws_ok('update queue.tasks set failed_at = null', '23505', null, 'nor is it replayed beside it');
select is(
  (select t.priority from queue.tasks as t where t.failed_at is null),
  (select k.priority from queue.kinds as k where k.kind = 'poll'), 'a task has its kind''s priority'
);
select ok(
  (select bool_and(k.timeout_seconds > 30) from queue.kinds as k),
  'every attempt outlives the 30 s of a submission'
);
select is(
  (select b.public from storage.buckets as b where b.id = 'videos'), false, 'the videos'' bucket is private'
);

select * from finish();
rollback;
