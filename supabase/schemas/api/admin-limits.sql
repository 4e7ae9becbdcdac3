create function api.get_admin_limits(p_admin_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The rate limits, by name: `data` is `{ policies }`, each as ops.policy_json has it. Counts against `admin`. Locks:
-- rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-limits', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(
    jsonb_build_object('policies', (select jsonb_agg(ops.policy_json(p) order by p.name) from guard.policies as p)),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_admin_limits to service_role;

create function api.patch_admin_limits(
  p_admin_id uuid, p_request_id text, p_policy text, p_reason text, p_max_hits integer default null,
  p_window_seconds integer default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes a rate limit, from the next request on: `data` is the policy as it is then. auth/forbidden for those that bound
-- admins themselves, which the owner alone changes; resource/not-found for one that is none; request/malformed for what it cannot
-- be. A second call changes nothing and writes nothing. Counts against `admin`. Locks: rate-limit row → policy.
declare
  v_caller record;
  v_refusal jsonb;
  v_before guard.policies;
  v_after guard.policies;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-limits', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select p.* into v_before from guard.policies as p where p.name = p_policy for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_before.name is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if p_policy in ('admin', 'admin_credits') then
    return guard.refusal('auth/forbidden', '{}', v_caller.limits, v_caller.language);
  end if;
  -- As the table has it, which would raise.
  if v_before.counts = 'hits' and p_max_hits > 300 then
    return guard.refusal('request/malformed', jsonb_build_object('fields', jsonb_build_array(
      jsonb_build_object('path', 'max_hits', 'message', 'Must be at most 300 for what counts hits')
    )), v_caller.limits, v_caller.language);
  end if;
  v_after := guard.set_limit(p_policy, p_max_hits, p_window_seconds);
  if v_after is distinct from v_before then
    insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
    values (
      'change_limit', p_admin_id, 'policy ' || p_policy,
      jsonb_build_object('before', ops.policy_json(v_before), 'after', ops.policy_json(v_after)), p_reason, p_request_id, core.now()
    );
  end if;
  return guard.answer(ops.policy_json(v_after), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_limits to service_role;
