create function api.admin_stats(p_admin_id uuid, p_span text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- How the last `hour`, `day` or `month` went, as ops.stats_json has it, and under `now` how things stand, as ops.now_json has
-- it. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-stats', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(
    ops.stats_json(p_span) || jsonb_build_object('now', ops.now_json()), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.admin_stats to service_role;
