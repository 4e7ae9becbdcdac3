create function api.health(p_providers text[] default null)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- How long the task waits that waits longest tells whether a worker comes by. p_providers are those that the deployment
  -- has keys for; null is all.
  select guard.answer(jsonb_build_object(
    'oldest_due_task_seconds', extract(epoch from queue.oldest_due()),
    'missing', core.missing_parts(),
    'models_without_provider', videos.models_without_provider(p_providers)
  ))
$$;
grant execute on function api.health to service_role;
