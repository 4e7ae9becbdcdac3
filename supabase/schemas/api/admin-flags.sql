create function api.get_admin_flags(p_admin_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Every flag, by key: `data` is `{ flags }`, each as ops.flag_json has it. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-flags', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(jsonb_build_object('flags', (
    select coalesce(jsonb_agg(ops.flag_json(f) order by f.key collate "C"), '[]') from ops.feature_flags as f
  )), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_flags to service_role;

create function api.patch_admin_flags(
  p_admin_id uuid, p_request_id text, p_key text, p_reason text, p_is_enabled boolean default null,
  p_is_experiment boolean default null, p_default_variant text default null, p_rules jsonb default null,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes of a flag what is given, for whoever asks from then on. `data` is the flag as ops.flag_json has it. resource/not-found for one
-- that is not there, request/malformed for what a flag cannot be. A second call changes nothing and writes nothing. Whether
-- it is on is the admin's decision from then on: no rule that has turned it off turns it on again. Counts against `admin`.
-- Locks: rate-limit row → flag → what rules have done to it.
declare
  v_caller record;
  v_refusal jsonb;
  v_flag ops.feature_flags;
  v_faults jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-flags', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select f.* into v_flag from ops.feature_flags as f where f.key = p_key for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_flag.key is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  v_flag.is_enabled := coalesce(p_is_enabled, v_flag.is_enabled);
  v_flag.is_experiment := coalesce(p_is_experiment, v_flag.is_experiment);
  v_flag.default_variant := coalesce(p_default_variant, v_flag.default_variant);
  v_flag.rules := nullif(coalesce(p_rules, v_flag.rules), '[]');
  v_faults := ops.flag_faults(v_flag);
  if v_faults <> '[]' then
    return guard.refusal('request/malformed', jsonb_build_object('fields', v_faults), v_caller.limits, v_caller.language);
  end if;
  if p_is_enabled is not null then
    perform ops.take_over(p_key);
  end if;
  perform ops.put_flag(v_flag, p_admin_id, p_reason, p_request_id);
  select f.* into strict v_flag from ops.feature_flags as f where f.key = p_key;
  return guard.answer(ops.flag_json(v_flag), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_flags to service_role;
