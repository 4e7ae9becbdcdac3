create function api.admin_search(p_admin_id uuid, p_query text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Whom and what somebody's words may name, as ops.search. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-search', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(ops.search(p_query), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.admin_search to service_role;
