create function api.record_error(
  p_code text, p_endpoint text, p_user_id uuid, p_request_id text, p_context jsonb, p_count integer default 1
)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
-- Called after an answer that was an error of ours or a provider's; see ops.record_error.
select ops.record_error(p_code, p_endpoint, p_user_id, p_request_id, p_context, p_count);
$$;
grant execute on function api.record_error to service_role;
