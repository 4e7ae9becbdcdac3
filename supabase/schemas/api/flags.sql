create function api.flags(
  p_user_id uuid, p_context jsonb, p_key text default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What the flags are for the caller, as OFREP tells it, by key: `data` is `{ flags }`. With p_key that one alone, and
-- resource/not-found where it is not there. Of experiments those are counted, once, whom a split gave a variant; a second call answers the same. OFREP knows no
-- DEFAULT and no ERROR: both are UNKNOWN, and the metadata says which. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_flags jsonb;
begin
  v_caller := guard.enter(p_user_id, 'flags', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select jsonb_agg(jsonb_build_object('key', f.key, 'reason', case
      when e.reason in ('DEFAULT', 'ERROR') then 'UNKNOWN' else e.reason end)
    || case when e.variant is null then '{}' else jsonb_build_object(
      'variant', e.variant, 'value', e.value) end
    || case
      when e.reason = 'ERROR' then jsonb_build_object('metadata', jsonb_build_object('reason', 'ERROR', 'error', e.detail))
      when e.reason = 'DEFAULT' then '{"metadata": {"reason": "DEFAULT"}}'
      else '{}' end
    order by f.key collate "C")
  into v_flags
  from ops.feature_flags as f
  cross join lateral ops.evaluate(f, p_user_id, p_context) as e
  where p_key is null or f.key = p_key;
  if v_flags is null and p_key is not null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  perform ops.count_exposure(f.key, p_user_id, x.flag ->> 'variant')
  from ops.feature_flags as f
  join jsonb_array_elements(v_flags) as x (flag) on x.flag ->> 'key' = f.key
  -- Whoever is given what everybody else is, while it is off or for want of a rule, was not chosen by chance.
  where f.is_experiment and x.flag ->> 'reason' = 'SPLIT';
  return guard.answer(jsonb_build_object('flags', coalesce(v_flags, '[]')), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.flags to service_role;
