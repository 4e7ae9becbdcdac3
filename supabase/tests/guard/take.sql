-- Limits are the rows of guard.policies.
begin;
select plan(3);

select is(
  guard.take('{no_such_policy}', gen_random_uuid(), null, 'models'),
  row(null, null, array[null::timestamptz])::guard.taken,
  'a policy that the operator removed limits nothing'
);
select is(
  (select array_agg(p.name order by p.name) from guard.policies as p where p.on_failure = 'closed'),
  array[
    'admin_credits', 'device_grants', 'device_grants_global', 'sandbox_credits', 'sandbox_credits_global', 'uncaptured_jobs',
    'video_generation'
  ],
  'the policies that guard money fail closed'
);
select is(
  (select jsonb_object_agg(p.name, jsonb_build_array(p.max_hits, p.window_seconds, p.scope)) from guard.policies as p),
  '{
    "video_generation": [10, 3600, "user"], "generation_attempts": [60, 60, "user"],
    "generation_attempts_network": [300, 3600, "network"], "device_check": [10, 3600, "user"],
    "device_check_network": [60, 3600, "network"], "device_grants": [5, 86400, "network"],
    "device_grants_global": [500, 3600, "global"],
    "reads": [120, 60, "user"], "writes": [60, 60, "user"], "replays": [120, 60, "user"], "admin": [60, 60, "user"],
    "admin_credits": [10000, 86400, "user"], "uncaptured_jobs": [30, 86400, "user"],
    "signed_urls": [200, 86400, "user"], "purchases": [30, 60, "user"], "exports": [1, 86400, "user"], "sandbox_credits": [100, 86400, "user"],
    "sandbox_credits_global": [500, 86400, "global"], "takedown_notices": [300, 3600, "global"],
    "takedown_notices_network": [10, 3600, "network"]
  }'::jsonb, 'the policies are those of the HTTP contract'
);

select * from finish();
rollback;
