create function api.health(p_providers text[] default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- How long the task waits that waits longest tells whether a worker comes by. p_providers are those that the deployment
-- has keys for; null is all. Raises what a write would, where the database takes none.
begin
  perform core.check_writes();
  return guard.answer(jsonb_build_object(
    'oldest_due_task_seconds', extract(epoch from queue.oldest_due()),
    'missing', core.missing_parts(),
    'models_without_provider', videos.models_without_provider(p_providers)
  ));
end;
$$;
grant execute on function api.health to service_role;
