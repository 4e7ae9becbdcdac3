-- uploads: what its procedures decide.
begin;
select plan(17);

insert into auth.users (id, is_anonymous) values
  ('00000000-0000-4000-8000-000000000001', true), ('00000000-0000-4000-8000-000000000002', false);
create function pg_temp.begun(p_bytes bigint default 1000, p_user integer default 1) returns jsonb language sql volatile as $$
  select api.post_uploads(('00000000-0000-4000-8000-00000000000' || p_user)::uuid, 'image/jpeg', p_bytes)
$$;
create function pg_temp.listing() returns jsonb language sql volatile as $$
  select api.get_uploads('00000000-0000-4000-8000-000000000001', 100) #> '{data,uploads}'
$$;
create function pg_temp.completed(p_id uuid, p_path text, p_user integer default 1) returns jsonb language sql volatile as $$
  select api.patch_uploads(
    ('00000000-0000-4000-8000-00000000000' || p_user)::uuid, p_id, p_path, 'image/png', 900, 64, 65
  )
$$;

create temp table mine as select (pg_temp.begun() #>> '{data,upload_id}')::uuid as id;
select is(
  api.load_upload('00000000-0000-4000-8000-000000000001', m.id) #>> '{data,folder}',
  (select u.reference || '/' || m.id from accounts.users as u where u.id = '00000000-0000-4000-8000-000000000001'),
  'its files are below the reference of its user, which is not their id'
) from mine as m;
select is(
  api.load_upload('00000000-0000-4000-8000-000000000002', m.id) ->> 'error', 'ERR_4007', 'nobody loads another''s'
) from mine as m;
select is(pg_temp.completed(m.id, 'b', 2) ->> 'error', 'ERR_4007', 'nobody completes another''s') from mine as m;
select is(pg_temp.listing() #>> '{0,status}', 'pending', 'it is shown while it is pending');

select is(pg_temp.completed(m.id, 'a') #>> '{data,is_first}', 'true', 'the first copy makes it ready') from mine as m;
select is(pg_temp.completed(m.id, 'b') #>> '{data,is_first}', 'false', 'a second one changes nothing') from mine as m;
select is((select u.path from videos.uploads as u), 'a', 'nor does it stand in the row');
select is(
  api.load_upload('00000000-0000-4000-8000-000000000001', m.id) #>> '{data,upload,width}', '64', 'who completes it again is told'
) from mine as m;

select is((pg_temp.begun() -> 'error', pg_temp.begun() -> 'error', pg_temp.begun() -> 'error')::text, '(,,)', 'three are pending');
select is(pg_temp.begun() #>> '{details,status}', 'pending', 'and a fourth is not begun');
select is(pg_temp.begun(p_user => 2) ->> 'error', null, 'by the same user');

select is(videos.tier_of('00000000-0000-4000-8000-000000000002'), 'member', 'who has signed in is a member');
update videos.tiers set storage_bytes = 1500 where tier = 'member';
select is(pg_temp.begun(501, 2) ->> 'details', '{"used_bytes": 1000, "quota_bytes": 1500}', 'no byte more than the tier has');
select is(pg_temp.begun(500, 2) ->> 'error', null, 'and no byte less');

select is(
  api.delete_uploads('00000000-0000-4000-8000-000000000002', m.id) ->> 'error', 'ERR_4007', 'nobody deletes another''s'
) from mine as m;
select is(api.delete_uploads('00000000-0000-4000-8000-000000000001', m.id) ->> 'error', null, 'its user does') from mine as m;
select is(
  api.delete_uploads('00000000-0000-4000-8000-000000000001', m.id) ->> 'error', 'ERR_4007', 'once'
) from mine as m;

select * from finish();
rollback;
