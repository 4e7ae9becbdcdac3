-- projects: what its procedures decide.
begin;
select plan(17);

insert into auth.users (id) values
  ('00000000-0000-4000-8000-000000000001'), ('00000000-0000-4000-8000-000000000002');
create temporary table made as
  select n, (api.post_projects('00000000-0000-4000-8000-000000000001', 'Project ' || n) #>> '{data,project_id}')::uuid as id
  from generate_series(1, 3) as n;
create function pg_temp.project(p_n integer) returns uuid language sql volatile as $$ select m.id from made as m where m.n = p_n $$;
create function pg_temp.page(p_limit integer, p_after jsonb default null) returns jsonb language sql volatile as $$
  select api.get_projects('00000000-0000-4000-8000-000000000001', p_limit, p_after) -> 'data'
$$;

select is(pg_temp.page(2) #>> '{projects,0,name}', 'Project 3', 'the newest comes first');
select is(jsonb_array_length(pg_temp.page(2) -> 'projects'), 2, 'a page has so many');
select is(
  pg_temp.page(2, pg_temp.page(2) -> 'next') -> 'projects' -> 0 ->> 'name', 'Project 1', 'the next page goes on after it'
);
select is(pg_temp.page(2, pg_temp.page(2) -> 'next') -> 'next', 'null', 'and ends');
select is(pg_temp.page(3) -> 'next', 'null', 'a full last page has none after it');
select is(
  api.get_projects('00000000-0000-4000-8000-000000000002', 20) #> '{data,projects}', '[]', 'another''s are not shown'
);

select is(
  api.patch_projects('00000000-0000-4000-8000-000000000001', pg_temp.project(1), 'Renamed') #>> '{data,name}', 'Renamed',
  'a project is renamed'
);
select is(
  api.patch_projects('00000000-0000-4000-8000-000000000002', pg_temp.project(1), 'Theirs') ->> 'error', 'ERR_4007',
  'nobody renames another''s'
);
select is(
  api.patch_projects('00000000-0000-4000-8000-000000000001', gen_random_uuid(), 'None') ->> 'error', 'ERR_4007',
  'nor one that is not there'
);
select is(
  api.delete_projects('00000000-0000-4000-8000-000000000002', pg_temp.project(1)) ->> 'error', 'ERR_4007',
  'nobody deletes another''s'
);
select is(
  api.delete_projects('00000000-0000-4000-8000-000000000001', pg_temp.project(1)) #>> '{data,project_id}',
  pg_temp.project(1)::text, 'a project is deleted'
);
select is(
  api.delete_projects('00000000-0000-4000-8000-000000000001', pg_temp.project(1)) ->> 'error', 'ERR_4007',
  'a second call finds none'
);
select is(
  api.patch_projects('00000000-0000-4000-8000-000000000001', pg_temp.project(1), 'Again') ->> 'error', 'ERR_4007',
  'nor does a change'
);
select is(jsonb_array_length(pg_temp.page(20) -> 'projects'), 2, 'the others are there');
select is(
  api.video_jobs('00000000-0000-4000-8000-000000000001', 20, p_project_id => pg_temp.project(2)) #> '{data,videos}', '[]',
  'a project without videos has an empty page'
);
select is(
  api.video_jobs('00000000-0000-4000-8000-000000000001', 20, p_project_id => pg_temp.project(1)) ->> 'error', 'ERR_4007',
  'one that is gone has none'
);
select is(
  api.video_jobs('00000000-0000-4000-8000-000000000002', 20, p_project_id => pg_temp.project(2)) ->> 'error', 'ERR_4007',
  'nor has another''s'
);

select * from finish();
rollback;
