-- sessions: what its procedures decide.
begin;
select plan(7);

insert into auth.users (id) values
  ('00000000-0000-4000-8000-000000000001'), ('00000000-0000-4000-8000-000000000002');
insert into auth.sessions (id, user_id, created_at, refreshed_at) values
  ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001', '2026-01-01T00:00Z', null),
  ('00000000-0000-4000-8000-00000000000b', '00000000-0000-4000-8000-000000000001', '2026-01-01T00:00Z', '2026-01-02 00:00'),
  ('00000000-0000-4000-8000-00000000000c', '00000000-0000-4000-8000-000000000001', '2026-01-01T00:00Z', null),
  ('00000000-0000-4000-8000-00000000000d', '00000000-0000-4000-8000-000000000002', '2026-01-01T00:00Z', null);
create function pg_temp.listing() returns jsonb language sql volatile as $$
  select api.get_sessions('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-00000000000a')
$$;
create function pg_temp.ending(p_session_id uuid) returns jsonb language sql volatile as $$
  select api.delete_sessions(
    '00000000-0000-4000-8000-000000000001', p_session_id, '00000000-0000-4000-8000-00000000000a'
  )
$$;

select is(
  pg_temp.listing() #>> '{data,sessions,0,id}', '00000000-0000-4000-8000-00000000000b', 'the one that was used last comes first'
);
select is(jsonb_array_length(pg_temp.listing() #> '{data,sessions}'), 3, 'another''s are not shown');
select is(pg_temp.ending('00000000-0000-4000-8000-00000000000d') ->> 'error', 'ERR_4007', 'nobody ends another''s');
select is(pg_temp.ending('00000000-0000-4000-8000-00000000000b') #>> '{data,ended}', '1', 'one is ended');
select is(pg_temp.ending(null) #>> '{data,ended}', '1', 'the others are ended, and not the current one');
select is(pg_temp.ending('00000000-0000-4000-8000-00000000000a') #>> '{data,ended}', '1', 'the current one is ended, too');
select is(pg_temp.listing() ->> 'error', 'ERR_4005', 'and whoever comes with its token is refused');

select * from finish();
rollback;
