-- admin-alerts: what its procedures decide.
begin;
select plan(17);

insert into auth.users (id, is_anonymous) values
  ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
select ops.raise_alert('provider_refuses', s.name, '{}') from unnest('{a,b,c}'::text[]) as s (name);
create function pg_temp.page(p_limit integer, p_status text default null, p_after jsonb default null)
returns jsonb language sql volatile as $$
  select api.get_admin_alerts('00000000-0000-4000-8000-000000000001', p_limit, p_status, p_after) -> 'data'
$$;
create function pg_temp.acknowledge(p_subject text, p_acknowledged boolean) returns jsonb language sql volatile as $$
  select api.patch_admin_alerts(
    '00000000-0000-4000-8000-000000000001', 'r', 'for a reason', (select a.id from ops.alerts as a where a.subject = p_subject),
    p_acknowledged
  )
$$;
create function pg_temp.change(
  p_rule text, p_warning numeric default null, p_critical numeric default null, p_action text default null,
  p_policies text[] default null, p_flags text[] default null
) returns jsonb language sql volatile as $$
  select api.patch_admin_alerts(
    '00000000-0000-4000-8000-000000000001', 'r', 'for a reason', null, null, p_rule, p_warning, p_critical, p_action, p_policies,
    null, p_flags
  )
$$;

select is(pg_temp.page(2) #>> '{alerts,0,subject}', 'c', 'the newest comes first');
select is(pg_temp.page(2, null, pg_temp.page(2) -> 'next') #>> '{alerts,0,subject}', 'a', 'the next page goes on after it');
select is(pg_temp.page(9) -> 'next', 'null', 'at the end there is no next one');
select ok(ops.resolve_alert('provider_refuses', 'b'), 'what is over');
select is(jsonb_array_length(pg_temp.page(9, 'open') -> 'alerts'), 2, 'is not among the open ones');
select is(pg_temp.page(9, 'resolved') #>> '{alerts,0,subject}', 'b', 'but among those that are over');
select is(
  jsonb_array_length(pg_temp.page(1) -> 'rules'), (select count(*)::integer from ops.alert_rules), 'every rule is shown'
);
select is(
  api.get_admin_alerts('00000000-0000-4000-8000-000000000002', 9) ->> 'error', 'ERR_4006', 'who is no admin sees nothing'
);
select isnt(pg_temp.acknowledge('a', true) #>> '{data,alert,acknowledged_at}', null, 'an alert is acknowledged');
select pg_temp.acknowledge('a', true);
select is(
  (select count(*)::integer from ops.admin_actions as x where x.action = 'acknowledge_alert'), 1, 'which is written down once'
);
select is(pg_temp.acknowledge('b', true) ->> 'error', 'ERR_4007', 'of what is over nothing can be acknowledged');
select is(pg_temp.change('spending', 60) #> '{data,rule,warning}', '60', 'a rule is changed');
select is(
  (select a.details from ops.admin_actions as a where a.subject = 'rule spending'),
  '{"before": {"warning": 80}, "after": {"warning": 60}}', 'with what was before'
);
select is(pg_temp.change('spending', 101) #>> '{details,fields,0,path}', 'critical', 'a warning comes first');
select is(pg_temp.change('provider_balance', 400) #>> '{details,fields,0,path}', 'critical', 'also where low is bad');
select is(
  jsonb_path_query_array(
    pg_temp.change('spending', null, null, 'throttle') || pg_temp.change('queue_age', null, null, 'throttle', '{nothing}'),
    '$.details.fields[*].path'
  ),
  '["policies"]', 'what is throttled is named, and is there'
);
select is(pg_temp.change('no_such_rule', 1) ->> 'error', 'ERR_4007', 'what is no rule is not found');

select * from finish();
rollback;
