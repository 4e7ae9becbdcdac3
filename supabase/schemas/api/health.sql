create function api.health(p_providers text[] default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- How long the task waits that waits longest tells whether a worker comes by, and how long ago the tick came whether
-- anybody would be told of anything; null where it never came. p_providers are those that the deployment has keys for; null
-- is all. `incidents` are what is away. Raises what a write would, where the database takes none.
begin
  perform core.check_writes();
  return guard.answer(jsonb_build_object(
    'oldest_due_task_seconds', extract(epoch from queue.oldest_due()),
    'last_tick_seconds', extract(epoch from core.now() - core.last_tick_at()),
    'missing', core.missing_parts(),
    'models_without_provider', videos.models_without_provider(p_providers),
    'incidents', (select coalesce(jsonb_agg(i.subject order by i.subject), '[]') from ops.incidents as i where i.ended_at is null)
  ));
end;
$$;
grant execute on function api.health to service_role;
