create function api.health()
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- How long the task waits that waits longest tells whether a worker comes by.
  -- Raises what a write would, where the database takes none.
  select core.check_writes();
  select guard.answer(jsonb_build_object(
    'oldest_due_task_seconds', extract(epoch from queue.oldest_due()),
    'missing', core.missing_parts()
  ))
$$;
grant execute on function api.health to service_role;
