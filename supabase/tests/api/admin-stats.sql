-- admin-stats: what its procedure decides. tests/database/ops/stats_test.ts counts its figures again.
begin;
select plan(7);

insert into auth.users (id, is_anonymous) values ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
select accounts.admit('00000000-0000-4000-8000-000000000002');
create function pg_temp.stats(p_span text) returns jsonb language sql volatile as $$
  select api.admin_stats('00000000-0000-4000-8000-000000000001', p_span) -> 'data'
$$;

select is(
  (select jsonb_object_agg(s.span, jsonb_array_length(pg_temp.stats(s.span) #> '{series,0,values}')) from unnest('{hour,day,month}'::text[]) as s (span)),
  '{"hour": 60, "day": 96, "month": 120}', 'a span has its steps'
);
select is(
  (select jsonb_object_agg(s.span, pg_temp.stats(s.span) -> 'step_seconds') from unnest('{hour,day,month}'::text[]) as s (span)),
  '{"hour": 60, "day": 900, "month": 21600}', 'and says how long they are'
);
select is(
  (select count(*) from jsonb_array_elements(pg_temp.stats('day') -> 'series') as s), 10::bigint, 'outcomes and movements are there where nothing was'
);
select is(
  pg_temp.stats('day') #> '{totals,4}', '{"name": "completion_seconds", "labels": {"quantile": "0.5"}, "unit": "seconds", "value": null}',
  'what nothing took is null'
);
select ops.raise_alert('provider_refuses', 'fal', '{}');
select ops.switch_flag('providers.fal', false, '00000000-0000-4000-8000-000000000001', 'a test');
select is(
  pg_temp.stats('hour') #> '{now,open_alerts}', '{"warning": 1, "critical": 0}', 'an open alert counts now'
);
select is(
  (select p -> 'is_enabled' from jsonb_array_elements(pg_temp.stats('hour') #> '{now,providers}') as p where p ->> 'provider' = 'fal'),
  'false', 'a provider that was switched off is not enabled'
);
select is(
  api.admin_stats('00000000-0000-4000-8000-000000000002', 'hour') ->> 'error', 'ERR_4006', 'who is no admin sees nothing'
);

select * from finish();
rollback;
