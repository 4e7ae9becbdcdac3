create function api.record_metrics(p_rows jsonb)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
-- Called after an answer, with what an isolate has counted since it last told; see ops.record_metrics.
select ops.record_metrics(p_rows);
$$;
grant execute on function api.record_metrics to service_role;
