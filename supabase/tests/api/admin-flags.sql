-- admin-flags: what its procedures decide.
begin;
select plan(7);

insert into auth.users (id, is_anonymous, email) values ('00000000-0000-0000-0000-00000000000a', false, 'a@example.com');
select ops.make_admin('00000000-0000-0000-0000-00000000000a');
create function pg_temp.change(p_key text, p_is_enabled boolean default null, p_rules jsonb default null) returns jsonb language sql as $$
  select api.patch_admin_flags(
    '00000000-0000-0000-0000-00000000000a', 'a-request', p_key, 'a test', p_is_enabled, p_rules => p_rules
  )
$$;

select is(
  jsonb_array_length(api.get_admin_flags('00000000-0000-0000-0000-00000000000a') #> '{data,flags}'),
  (select count(*)::integer from ops.feature_flags), 'all are shown'
);
select is(pg_temp.change('unknown', false) ->> 'error', 'ERR_4007', 'one that is not there is not found');
select is(pg_temp.change('generation', false) #>> '{data,is_enabled}', 'false', 'it is changed');
select is(pg_temp.change('generation', false) #>> '{data,version}', '2', 'a second time nothing is');
select is(
  (select count(*)::integer from ops.admin_actions as a where a.subject = 'flag generation' and a.request_id = 'a-request'), 1,
  'and what was changed is written down once'
);
select is(
  pg_temp.change('generation', null, '[{"variant": "off"}]') #>> '{details,fields,0,path}', 'rules', 'the backend''s own switches have no rules'
);
select is(
  api.patch_admin_flags('00000000-0000-0000-0000-0000000000ff', 'a-request', 'generation', 'a test') ->> 'error', 'ERR_4006',
  'nobody else changes it'
);

select * from finish();
rollback;
