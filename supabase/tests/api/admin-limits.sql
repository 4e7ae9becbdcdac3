-- admin-limits: what its procedures decide.
begin;
select plan(10);

insert into auth.users (id, is_anonymous) values
  ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
create function pg_temp.change(p_policy text, p_max_hits integer default null, p_window_seconds integer default null)
returns jsonb language sql volatile as $$
  select api.patch_admin_limits(
    '00000000-0000-4000-8000-000000000001', 'r', p_policy, 'for a reason', p_max_hits, p_window_seconds
  )
$$;

select is(
  jsonb_array_length(api.get_admin_limits('00000000-0000-4000-8000-000000000001') #> '{data,policies}'),
  (select count(*)::integer from guard.policies), 'every limit is shown'
);
select is(
  api.get_admin_limits('00000000-0000-4000-8000-000000000002') ->> 'error', 'ERR_4006', 'who is no admin sees nothing'
);
select is(pg_temp.change('reads', 60) #> '{data,admits}', '60', 'a limit is changed');
select is(pg_temp.change('reads', null, 30) #> '{data}' ->> 'max_hits', '60', 'what is not named stays');
select pg_temp.change('reads', 60, 30);
select results_eq(
  $$ select a.details #>> '{before,max_hits}', a.details #>> '{after,max_hits}', a.details #>> '{after,window_seconds}'
     from ops.admin_actions as a where a.action = 'change_limit' and a.subject = 'policy reads' order by a.id $$,
  $$ values ('120', '60', '60'), ('60', '60', '30') $$, 'each change is written down, and what changes nothing is not'
);
select is(pg_temp.change('no_such_limit', 1) ->> 'error', 'ERR_4007', 'what is no limit is not found');
select is(pg_temp.change('reads', 301) #>> '{details,fields,0,path}', 'max_hits', 'a window keeps 300 hits');
select is(pg_temp.change('device_grants_global', 301) #> '{data,max_hits}', '301', 'what is counted elsewhere may have more');
select is(pg_temp.change('admin_credits', 1000000) ->> 'error', 'ERR_4006', 'an admin does not raise what bounds admins');
select is(pg_temp.change('admin', 300) ->> 'error', 'ERR_4006', 'neither of them');

select * from finish();
rollback;
