create function api.get_admin_reports(
  p_admin_id uuid, p_limit integer, p_status text default null, p_after jsonb default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the cases, newest first, or of those in one state: `data` is `{ cases, next }`, cases being as ops.case_json has
-- them. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'opened_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_cases jsonb;
  v_next jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-reports', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select coalesce(jsonb_agg(ops.case_json(p.shown) order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'opened_at', (p.shown).opened_at, 'id', (p.shown).id
    ) order by p.place) -> p_limit - 1 end
  into v_cases, v_next
  from (
    select f.shown, row_number() over (order by (f.shown).opened_at desc, (f.shown).id desc) as place
    from (
      (
        select c as shown from safety.cases as c
        where p_status is null and (c.opened_at, c.id) < (v_before, v_before_id)
        order by c.opened_at desc, c.id desc
        limit p_limit + 1
      )
      union all
      (
        select c as shown from safety.cases as c
        where c.status = p_status::safety.case_status and (c.opened_at, c.id) < (v_before, v_before_id)
        order by c.opened_at desc, c.id desc
        limit p_limit + 1
      )
    ) as f
  ) as p;
  return guard.answer(jsonb_build_object('cases', v_cases, 'next', v_next), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_reports to service_role;

create function api.patch_admin_reports(
  p_admin_id uuid, p_request_id text, p_case_id uuid, p_decision text, p_reason text, p_ground text default null,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Decides a case, or its appeal, as ops.decide_case: `data` is the case as it is then. Counts against `admin`.
-- Locks: rate-limit row, and those of ops.decide_case.
declare
  v_caller record;
  v_refusal jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-reports', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_refusal := ops.decide_case(p_admin_id, p_request_id, p_case_id, p_decision, p_ground, p_reason);
  if v_refusal is not null then
    return guard.in_language(v_refusal || jsonb_build_object('limits', v_caller.limits), v_caller.language);
  end if;
  return guard.answer(ops.case_json(safety.case_of(p_case_id)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_reports to service_role;
