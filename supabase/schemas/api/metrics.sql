create function api.metrics()
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
-- What isolates ever counted, and what the tables know now; see ops.metric_families. It writes nothing and takes no lock; a
-- second call asks again.
select guard.answer(ops.metric_families());
$$;
grant execute on function api.metrics to service_role;
