-- user-export: what its procedures decide.
begin;
select plan(8);

insert into auth.users (id, is_anonymous) values ('00000000-0000-0000-0000-00000000000a', true);
insert into auth.sessions (id, user_id)
values ('00000000-0000-0000-0000-0000000000aa', '00000000-0000-0000-0000-00000000000a');
create function pg_temp.ask() returns jsonb language sql as $$
  select api.user_export('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-0000000000aa')
$$;
create function pg_temp.export_id() returns uuid language sql as $$
  select e.id from accounts.exports as e order by e.requested_at desc, e.id desc limit 1
$$;

select is(pg_temp.ask() #>> '{data,status}', 'pending', 'the first is pending');
select is(pg_temp.ask() #>> '{data,status}', 'pending', 'a second one is the same');
select is((select count(*) from accounts.exports), 1::bigint, 'there is one');
select ok(queue.has_open('export_account', pg_temp.export_id()), 'a task makes it');

select accounts.fail_export(pg_temp.export_id());
select is(pg_temp.ask() #>> '{data,status}', 'pending', 'one that failed does not count');
select is((select count(*) from accounts.exports), 2::bigint, 'it is another');

update accounts.exports as e set made_at = core.now(), bytes = 1, expires_at = core.now() + interval '7 days'
where e.id = pg_temp.export_id();
select is(pg_temp.ask() #>> '{error}', 'ERR_4004', 'once it is made there is none for a day');
select is(pg_temp.ask() #>> '{details,policy}', 'exports', 'by its policy');

select * from finish();
rollback;
