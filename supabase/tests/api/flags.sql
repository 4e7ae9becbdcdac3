-- flags: what its procedures decide.
begin;
select plan(9);

insert into auth.users (id, is_anonymous) values ('00000000-0000-0000-0000-00000000000a', true);
create function pg_temp.ask(p_key text default null, p_context jsonb default '{}') returns jsonb language sql as $$
  select api.flags('00000000-0000-0000-0000-00000000000a', p_context, p_key) -> 'data' -> 'flags'
$$;

select is(pg_temp.ask('generation'), '[{"key": "generation", "value": true, "variant": "on", "reason": "STATIC"}]', 'a switch is a flag');
update ops.feature_flags set is_enabled = false where key = 'generation';
select is(
  pg_temp.ask('generation'), '[{"key": "generation", "value": false, "variant": "off", "reason": "DISABLED"}]', 'also while it is off'
);
select is(
  (select array_agg(f ->> 'key') from jsonb_array_elements(pg_temp.ask()) as f),
  (select array_agg(f.key order by f.key collate "C") from ops.feature_flags as f), 'without a key all are told, by key'
);
select is(
  api.flags('00000000-0000-0000-0000-00000000000a', '{}', 'unknown') ->> 'error', 'ERR_4007', 'one that is not there is not found'
);

insert into ops.feature_flags (key, default_variant, rules) values
  ('by_version', 'off', '[{"app_versions": [">=2.0.0"], "variant": "on"}]');
select is(pg_temp.ask('by_version', '{"app_version": "2.1"}') #>> '{0,reason}', 'TARGETING_MATCH', 'a rule that fits decides');
select is(
  pg_temp.ask('by_version') #> '{0}',
  '{"key": "by_version", "value": false, "variant": "off", "reason": "UNKNOWN", "metadata": {"reason": "DEFAULT"}}', 'where none fits, it says so'
);
select is(
  pg_temp.ask('by_version', '{"app_version": "new"}') #>> '{0,metadata,error}', 'rules[0]: app_version is no semantic version',
  'and what cannot be evaluated, why'
);

insert into ops.feature_flags (key, type, variants, default_variant, off_variant) values
  ('object', 'object', '{"one": {"nothing": null}}', 'one', null);
select is(pg_temp.ask('object') #> '{0,value}', '{"nothing": null}', 'a value is told as it is, nothing included');
update ops.feature_flags set is_enabled = false where key = 'object';
select is(pg_temp.ask('object') #> '{0}', '{"key": "object", "reason": "DISABLED"}', 'what is the app''s to say has no value');

select * from finish();
rollback;
