-- admin-jobs: what its procedures decide.
begin;
select plan(24);

insert into auth.users (id, is_anonymous) values ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
select accounts.admit('00000000-0000-4000-8000-000000000002');
select credits.add('00000000-0000-4000-8000-000000000002', 100, 'grant', 'given');
update guard.policies set max_hits = 300 where name = 'admin';
create function pg_temp.id(p_number integer) returns uuid language sql immutable as $$
  select ('00000000-0000-7000-8000-0000000001' || lpad(p_number::text, 2, '0'))::uuid
$$;
create function pg_temp.jobs(
  p_limit integer default 20, p_status text default null, p_provider text default null, p_error_code text default null,
  p_after jsonb default null, p_user_id uuid default null
)
returns jsonb language sql volatile as $$
  select api.get_admin_jobs(
    '00000000-0000-4000-8000-000000000001', p_limit, p_status, p_user_id, null, p_provider, p_error_code, null, p_after
  ) -> 'data'
$$;
create function pg_temp.ids(p_page jsonb) returns text language sql immutable as $$
  select string_agg(right(j ->> 'job_id', 2), ' ' order by n) from jsonb_array_elements(p_page -> 'jobs') with ordinality as o (j, n)
$$;
create function pg_temp.story(p_number integer) returns jsonb language sql volatile as $$
  select api.get_admin_jobs('00000000-0000-4000-8000-000000000001', 20, p_job_id => pg_temp.id(p_number)) #> '{data,story}'
$$;
create function pg_temp.read(p_number integer, p_admin_id uuid default '00000000-0000-4000-8000-000000000001')
returns jsonb language sql volatile as $$
  select api.post_admin_jobs(p_admin_id, 'a-request', pg_temp.id(p_number), 'the court of A asks')
$$;

-- Four jobs: 1 runs, 2 was completed, 3 failed, 4 was completed and deleted.
insert into videos.jobs (id, user_id, model_id, model_name, prompt, settings, credits_used, request_id, created_at, due_at)
select pg_temp.id(n), '00000000-0000-4000-8000-000000000002', '0190a000-0000-7000-8000-000000000001', 'A model', 'a secret prompt',
  '{"resolution": "720p", "negative_prompt": "a secret wish"}', 4, 'made-by-' || n, core.now(), core.now() + interval '1 hour'
from generate_series(1, 4) as n;
select credits.hold(credits.lock_account('00000000-0000-4000-8000-000000000002'), 4, pg_temp.id(n)) from generate_series(1, 4) as n;
insert into videos.submissions (job_id, owner_id, provider, provider_model, state, request_id, cost_cents, claimed_at, ended_at)
select pg_temp.id(n), '00000000-0000-4000-8000-000000000002', case n when 3 then 'replicate' else 'fal' end, 'a/model',
  'ended', 'r' || n, 35, core.now(), core.now()
from generate_series(2, 4) as n;
update videos.jobs set status = 'processing' where id in (pg_temp.id(2), pg_temp.id(3), pg_temp.id(4));
insert into videos.assets (job_id, owner_id, kind, path, bytes, content_type, created_at)
select pg_temp.id(n), '00000000-0000-4000-8000-000000000002', 'video', 'folder/' || n, 1000, 'video/mp4', core.now()
from unnest(array[2, 4]) as n;
select videos.settle_video_job(pg_temp.id(2), 'completed');
select videos.settle_video_job(pg_temp.id(3), 'failed', 'ERR_5001', '{}');
select videos.settle_video_job(pg_temp.id(4), 'completed');
update videos.jobs set deleted_at = core.now() where id = pg_temp.id(4);
select api.record_error('ERR_6002', 'generate-video', null, 'made-by-2', '{"error": "away"}');

select is(pg_temp.ids(pg_temp.jobs()), '04 03 02 01', 'all jobs are shown, the newest first, deleted ones too');
select is(pg_temp.ids(pg_temp.jobs(p_status => 'completed')), '04 02', 'those of a status');
select is(pg_temp.ids(pg_temp.jobs(p_status => 'pending')), '01', 'those that run');
select is(pg_temp.ids(pg_temp.jobs(p_provider => 'fal')), '04 02', 'those that a provider had last');
select is(pg_temp.ids(pg_temp.jobs(p_error_code => 'ERR_5001')), '03', 'those that failed by a code');
select is(
  pg_temp.ids(pg_temp.jobs(p_user_id => '00000000-0000-4000-8000-000000000002', p_provider => 'fal')), '04 02',
  'those of a user, and all filters must fit'
);
select is(pg_temp.ids(pg_temp.jobs(p_user_id => pg_temp.id(9))), null, 'of nobody there are none');
select is(pg_temp.ids(pg_temp.jobs(3)) || ', ' || pg_temp.ids(pg_temp.jobs(3, p_after => pg_temp.jobs(3) -> 'next')), '04 03 02, 01', 'by pages');
select is(pg_temp.jobs(4) -> 'next', 'null', 'the last of which has no next one');
select unalike(pg_temp.jobs()::text, '%secret%', 'no list has what a user wrote');

select unalike(pg_temp.story(2)::text, '%secret%', 'no story has what a user wrote');
select is(pg_temp.story(2) #> '{job,settings}', '{"resolution": "720p"}', 'settings are the size alone');
select is(
  (select string_agg(concat_ws(' ', p ->> 'kind', p ->> 'amount', p ->> 'balance_after'), ', ' order by n)
   from jsonb_array_elements(pg_temp.story(3) -> 'postings') with ordinality as o (p, n)),
  'hold -4 88, release 4 88', 'a story has what moved the credits'
);
select is(
  (select string_agg(concat_ws(' ', p ->> 'kind', p ->> 'amount', p ->> 'balance_after'), ', ' order by n)
   from jsonb_array_elements(pg_temp.story(2) -> 'postings') with ordinality as o (p, n)),
  'hold -4 92, capture 4', 'a capture moves none of the user''s'
);
select is(pg_temp.story(2) #>> '{submissions,0,provider}', 'fal', 'who was asked to make it');
select is(pg_temp.story(2) #>> '{files,0,path}', 'folder/2', 'the files');
select is(pg_temp.story(4) #> '{files,0,path}', 'null', 'those of a deleted job without their place');
select is(pg_temp.story(2) #>> '{errors,0,code}', 'ERR_6002', 'what went wrong in its request');
select is(
  api.get_admin_jobs('00000000-0000-4000-8000-000000000001', 20, p_job_id => pg_temp.id(9)) ->> 'error', 'ERR_4007',
  'there is no story of what is not there'
);

select is(pg_temp.read(2) #>> '{data,prompt}', 'a secret prompt', 'a prompt is read');
select is(
  (select string_agg(concat_ws(' ', a ->> 'action', a ->> 'reason'), ', ') from jsonb_array_elements(pg_temp.story(2) -> 'admin_actions') as a),
  'read_prompt the court of A asks', 'which is written down with its reason'
);
select is(pg_temp.read(9) ->> 'error', 'ERR_4007', 'there is none of what is not there');
select is(pg_temp.read(2, '00000000-0000-4000-8000-000000000002') ->> 'error', 'ERR_4006', 'who is no admin reads none');
update videos.jobs set prompt = '' where id = pg_temp.id(4);
select is(pg_temp.read(4) #> '{data,prompt}', 'null', 'what is erased is null');

select * from finish();
rollback;
