-- notifications: what its procedures decide.
begin;
select plan(16);

insert into auth.users (id) values
  ('00000000-0000-4000-8000-000000000001'), ('00000000-0000-4000-8000-000000000002');
select accounts.admit(u.id) from auth.users as u;
select events.publish('video.completed', '00000000-0000-4000-8000-000000000001', jsonb_build_object('n', n))
from generate_series(1, 3) as n;
create temporary table told as
  select (l.data ->> 'n')::integer as n, d.id from events.log as l join events.deliveries as d on d.event_id = l.id;
select notify.deliver(t.id) from told as t order by t.n;
create function pg_temp.page(p_limit integer, p_after jsonb default null, p_unread boolean default false) returns jsonb
language sql volatile as $$
  select api.get_notifications('00000000-0000-4000-8000-000000000001', p_limit, p_after, p_unread) -> 'data'
$$;

select is(pg_temp.page(2) #>> '{notifications,0,data,n}', '3', 'the newest comes first');
select is(jsonb_array_length(pg_temp.page(2) -> 'notifications'), 2, 'a page has so many');
select is(pg_temp.page(2, pg_temp.page(2) -> 'next') #>> '{notifications,0,data,n}', '1', 'the next page goes on after it');
select is(pg_temp.page(2, pg_temp.page(2) -> 'next') -> 'next', 'null', 'and ends');
select is(pg_temp.page(3) -> 'next', 'null', 'a full last page has none after it');
select is(pg_temp.page(1) -> 'unread', '3', 'all that are unread are counted');
select is(
  api.get_notifications('00000000-0000-4000-8000-000000000002', 20) -> 'data', '{"notifications": [], "unread": 0, "next": null}',
  'another''s are not shown'
);

select is(
  api.patch_notifications('00000000-0000-4000-8000-000000000001', array(select t.id from told as t where t.n = 2))
    #> '{data,unread}', '2', 'what is named is read'
);
select isnt(pg_temp.page(3) #>> '{notifications,1,read_at}', null, 'and shows when');
select is(jsonb_array_length(pg_temp.page(3, null, true) -> 'notifications'), 2, 'the unread ones are shown alone');
select is(pg_temp.page(1, pg_temp.page(1, null, true) -> 'next', true) #>> '{notifications,0,data,n}', '1', 'page by page');
select is(
  api.patch_notifications('00000000-0000-4000-8000-000000000002', array(select t.id from told as t)) #> '{data,unread}', '0',
  'nobody reads another''s'
);
select is(pg_temp.page(1) -> 'unread', '2', 'nor is it read by that');
select is(
  api.patch_notifications('00000000-0000-4000-8000-000000000001') #> '{data,unread}', '0', 'without names all of it is read'
);
select is(
  api.patch_notifications('00000000-0000-4000-8000-000000000001') #> '{data,unread}', '0', 'a second call changes nothing'
);
select is(jsonb_array_length(pg_temp.page(3) -> 'notifications'), 3, 'what is read is still there');

select * from finish();
rollback;
