create function api.admin_errors(
  p_admin_id uuid, p_limit integer, p_codes text[] default null, p_endpoint text default null, p_request_id text default null,
  p_after jsonb default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
-- What is not asked for is then no condition.
set plan_cache_mode = force_custom_plan
as $$
-- A page of the error log, the newest minute first: `data` is `{ errors, next }`; of those codes, that endpoint and that request,
-- where they are named. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
  v_minute constant timestamptz := coalesce((p_after ->> 'minute')::timestamptz, 'infinity');
  v_code constant text := coalesce(p_after ->> 'code', '');
  v_endpoint constant text := coalesce(p_after ->> 'endpoint', '');
  v_place constant smallint := coalesce((p_after ->> 'place')::smallint, 0);
  v_errors jsonb;
  v_next jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-errors', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select coalesce(jsonb_agg(ops.error_json(p.shown) order by p.number) filter (where p.number <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'minute', (p.shown).minute, 'code', (p.shown).code, 'endpoint', (p.shown).endpoint, 'place', (p.shown).place
    ) order by p.number) -> p_limit - 1 end
  into v_errors, v_next
  from (
    select e as shown, row_number() over (order by e.minute desc, e.code desc, e.endpoint desc, e.place desc) as number
    from ops.error_log as e
    where (e.minute, e.code, e.endpoint, e.place) < (v_minute, v_code, v_endpoint, v_place)
      -- Code and endpoint stand in the index of the minutes: of what is passed over no row is read.
      and (p_codes is null or e.code = any (p_codes)) and (p_endpoint is null or e.endpoint = p_endpoint)
      and (p_request_id is null or e.request_id = p_request_id)
    order by e.minute desc, e.code desc, e.endpoint desc, e.place desc
    limit p_limit + 1
  ) as p;
  return guard.answer(jsonb_build_object('errors', v_errors, 'next', v_next), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.admin_errors to service_role;
