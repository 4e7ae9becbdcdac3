-- Envelopes, the question who may act, and the two guards in one session.
begin;
select plan(22);

select is(
  guard.refusal('ERR_4001', '{"required": 4}'), '{"error": "ERR_4001", "details": {"required": 4}}'::jsonb,
  'a refusal is a code with its details'
);
select is(
  guard.answer('{"a": null}', null, 'tr'), '{"data": {"a": null}, "language": "tr"}'::jsonb,
  'an answer keeps the nulls of its data, and leaves out what it does not have'
);

-- Who may act.
select is(
  (select row(a.refusal, a.language, a.is_new)::text from accounts.admit('00000000-0000-0000-0000-000000000001') as a),
  '(,,t)', 'a first call makes the user'
);
select is(
  (select count(*)::integer from credits.accounts as a where a.user_id = '00000000-0000-0000-0000-000000000001'), 1,
  'and the account'
);
select is(
  (select a.is_new from accounts.admit('00000000-0000-0000-0000-000000000001') as a), false,
  'a second call finds them'
);
update accounts.users set is_banned = true, language = 'tr' where id = '00000000-0000-0000-0000-000000000001';
select is(
  (select a.refusal ->> 'error' from accounts.admit('00000000-0000-0000-0000-000000000001') as a), 'ERR_4017',
  'a banned user is suspended'
);
update accounts.users set closed_at = now(), language = null where id = '00000000-0000-0000-0000-000000000001';
select is(
  (select a.refusal ->> 'error' from accounts.admit('00000000-0000-0000-0000-000000000001') as a), 'ERR_4005',
  'a closed account is gone, also for a banned user'
);
select isnt(
  (select u.closed_at from accounts.users as u where u.id = '00000000-0000-0000-0000-000000000001'), null,
  'and asking does not revive it'
);
select is(
  (select e.refusal ->> 'error' from guard.enter('00000000-0000-0000-0000-000000000001', 'models', '{reads}', null) as e),
  'ERR_4005', 'who may not act'
);
select is((select count(*)::integer from guard.hits), 0, 'takes no hit of a limit');

-- Keys. A claim is renewed within its own transaction, so one session sees both halves.
select is(
  guard.claim('00000000-0000-0000-0000-000000000002', 'generate-video', 'key', repeat('a', 64)), null,
  'a new key is claimed'
);
select is(
  guard.finish('00000000-0000-0000-0000-000000000002', 'generate-video', 'key', repeat('a', 64), '{"data": 1}'),
  '{"data": 1}'::jsonb, 'its outcome is given back'
);
select is(
  guard.claim('00000000-0000-0000-0000-000000000002', 'generate-video', 'key', repeat('a', 64)),
  '{"data": 1, "replayed": true}'::jsonb, 'and replayed'
);
select is(
  guard.claim('00000000-0000-0000-0000-000000000002', 'generate-video', 'key', repeat('b', 64)) ->> 'error', 'ERR_4011',
  'to the same request only'
);
select ok(
  (select k.expires_at - core.now() between interval '23 hours 59 minutes' and interval '24 hours' from guard.idempotency_keys as k),
  'for 24 hours'
);

-- A window: two an hour.
create function pg_temp.attempt(p_hits timestamptz[])
returns text language sql as $$
  select format('%s %s', cardinality(a.hits), case when a.admitted then 'admitted' else 'refused' end)
  from guard.attempt(p_hits, now(), 2, interval '1 hour') as a
$$;
select is(
  pg_temp.attempt(array[now() - interval '2 hours', now() - interval '1 minute']), '2 admitted',
  'what left the window makes room'
);
select is(
  pg_temp.attempt(array[now() - interval '1 hour', now() - interval '1 minute']), '2 admitted',
  'and leaves it when it is as old as the window is long'
);
select is(
  pg_temp.attempt(array[now() - interval '2 minutes', now() - interval '1 minute']), '2 refused',
  'a full window admits nothing and keeps its hits'
);
select is(pg_temp.attempt('{}'), '1 admitted', 'an empty window admits');
select is(
  guard.take('{no_such_policy}', gen_random_uuid(), null, 'models'), '{"limits": []}'::jsonb,
  'a policy that the operator removed limits nothing'
);
select is(
  (select array_agg(p.name order by p.name) from guard.policies as p where p.on_failure = 'closed'),
  array['admin_credits', 'device_grants', 'video_generation'], 'the policies that guard money fail closed'
);
select is(
  (select jsonb_object_agg(p.name, jsonb_build_array(p.max_hits, p.window_seconds, p.scope)) from guard.policies as p),
  '{
    "video_generation": [10, 3600, "user"], "generation_attempts": [60, 60, "user"],
    "generation_attempts_network": [300, 3600, "network"], "device_check": [10, 3600, "user"],
    "device_check_network": [60, 3600, "network"], "device_grants": [5, 86400, "network"],
    "reads": [120, 60, "user"], "writes": [60, 60, "user"], "admin": [60, 60, "user"],
    "admin_credits": [10000, 86400, "user"]
  }'::jsonb, 'the policies are those of the HTTP contract'
);

select * from finish();
rollback;
