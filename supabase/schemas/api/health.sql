create function api.health()
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- The age of the oldest task that waits, in seconds, tells whether a worker comes by.
  select guard.answer(jsonb_build_object(
    'oldest_due_task_seconds', coalesce((
      select greatest(0, extract(epoch from core.now() - min(t.run_at)))
      from queue.tasks as t
      where t.failed_at is null and t.run_at <= core.now() and (t.leased_until is null or t.leased_until <= core.now())
    ), 0)
  ))
$$;
grant execute on function api.health to service_role;
