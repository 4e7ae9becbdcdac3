-- What an admin sees of alerts, rules and limits, and changes of them.

-- A rate limit as the API shows it.
create function ops.policy_json(p_policy guard.policies)
returns jsonb
language sql
stable
return jsonb_build_object(
  'policy', (p_policy).name, 'scope', (p_policy).scope, 'counts', (p_policy).counts, 'max_hits', (p_policy).max_hits,
  'window_seconds', (p_policy).window_seconds, 'on_failure', (p_policy).on_failure,
  'throttle_percent', (p_policy).throttle_percent, 'admits', (p_policy).admits
);

-- An alert as the API shows it.
create function ops.alert_json(p_alert ops.alerts)
returns jsonb
language sql
stable
return jsonb_build_object(
  'alert_id', (p_alert).id, 'rule', (p_alert).rule, 'subject', (p_alert).subject, 'level', (p_alert).level,
  'details', (p_alert).details, 'count', (p_alert).count, 'metric', (p_alert).metric, 'value', (p_alert).value,
  'threshold', (p_alert).threshold, 'raised_at', core.to_iso((p_alert).raised_at), 'last_at', core.to_iso((p_alert).last_at),
  'acknowledged_at', core.to_iso((p_alert).acknowledged_at), 'resolved_at', core.to_iso((p_alert).resolved_at)
);

-- A rule as the API shows it, with what it does now.
create function ops.rule_json(p_rule ops.alert_rules)
returns jsonb
language sql
stable
return jsonb_build_object(
  'rule', (p_rule).name, 'what', (p_rule).what, 'metric', (p_rule).metric,
  'measured_over_seconds', extract(epoch from (p_rule).measured_over)::integer, 'is_low_bad', (p_rule).is_low_bad,
  'warning', (p_rule).warning, 'critical', (p_rule).critical, 'ok_for_seconds', extract(epoch from (p_rule).ok_for)::integer,
  'cooldown_seconds', extract(epoch from (p_rule).cooldown)::integer, 'action', (p_rule).action, 'acts_at', (p_rule).acts_at,
  'policies', to_jsonb((p_rule).policies), 'throttle_percent', (p_rule).throttle_percent, 'flags', to_jsonb((p_rule).flags),
  'is_pinned', (p_rule).is_pinned, 'is_enabled', (p_rule).is_enabled, 'last_error', (p_rule).last_error,
  -- What it has lowered or turned off now.
  'acting_on', (
    select coalesce(jsonb_agg(a.target order by a.target), '[]')
    from (select distinct d.target from ops.alert_actions as d where d.rule = (p_rule).name) as a
  )
);

create function ops.change_rule(
  p_admin_id uuid, p_request_id text, p_reason text, p_rule text, p_warning numeric, p_critical numeric, p_action text,
  p_policies text[], p_throttle_percent integer, p_flags text[], p_is_pinned boolean, p_is_enabled boolean
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Changes a rule, null being as it is, and returns it as ops.rule_json has it, or a refusal. What it did by its old action is
-- undone, and its new one is done with the next evaluation. What changes nothing is not written down. Locks: rule → targets.
declare
  v_before ops.alert_rules;
  v_after ops.alert_rules;
  v_fields jsonb := '[]';
  v_subject text;
begin
  select r.* into v_before from ops.alert_rules as r where r.name = p_rule for no key update;
  if not found then
    return guard.refusal('resource/not-found');
  end if;
  v_after := v_before;
  v_after.warning := coalesce(p_warning, v_before.warning);
  v_after.critical := coalesce(p_critical, v_before.critical);
  v_after.action := coalesce(p_action::ops.alert_action, v_before.action);
  v_after.policies := coalesce(p_policies, v_before.policies);
  v_after.throttle_percent := coalesce(p_throttle_percent, v_before.throttle_percent);
  v_after.flags := coalesce(p_flags, v_before.flags);
  v_after.is_pinned := coalesce(p_is_pinned, v_before.is_pinned);
  v_after.is_enabled := coalesce(p_is_enabled, v_before.is_enabled);

  if (case when v_after.is_low_bad then v_after.warning < v_after.critical else v_after.warning > v_after.critical end) then
    v_fields := v_fields || '{"path": "critical", "message": "Must be worse than the warning"}';
  end if;
  if exists (
    select from unnest(v_after.policies) as n (name) where not exists (select from guard.policies as p where p.name = n.name)
  ) then
    v_fields := v_fields || '{"path": "policies", "message": "Must be names of rate limits"}';
  elsif v_after.policies && '{admin,admin_credits}' then
    v_fields := v_fields || '{"path": "policies", "message": "Must not name the limits of admins"}';
  elsif v_after.action = 'throttle' and v_after.policies = '{}' then
    v_fields := v_fields || '{"path": "policies", "message": "Must name what is throttled"}';
  end if;
  if v_after.action = 'shutdown' and v_after.flags = '{}' then
    v_fields := v_fields || '{"path": "flags", "message": "Must name what is switched off"}';
  end if;
  if v_fields <> '[]' then
    return guard.refusal('request/malformed', jsonb_build_object('fields', v_fields));
  end if;
  if v_after is distinct from v_before then
    update ops.alert_rules as r
    set warning = v_after.warning, critical = v_after.critical, action = v_after.action, policies = v_after.policies,
        throttle_percent = v_after.throttle_percent, flags = v_after.flags, is_pinned = v_after.is_pinned,
        is_enabled = v_after.is_enabled
    where r.name = p_rule;
    if (v_after.action, v_after.policies, v_after.throttle_percent, v_after.flags)
      is distinct from (v_before.action, v_before.policies, v_before.throttle_percent, v_before.flags)
    then
      for v_subject in select distinct a.subject from ops.alert_actions as a where a.rule = p_rule order by a.subject loop
        perform ops.undo(p_rule, v_subject);
      end loop;
    end if;
    insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
    select 'change_rule', p_admin_id, 'rule ' || p_rule, jsonb_build_object(
      'before', jsonb_object_agg(b.key, b.value), 'after', jsonb_object_agg(a.key, a.value)
    ), p_reason, p_request_id, core.now()
    from jsonb_each(ops.rule_json(v_before) - 'acting_on') as b
    join jsonb_each(ops.rule_json(v_after) - 'acting_on') as a on a.key = b.key and a.value <> b.value;
  end if;
  return ops.rule_json(v_after);
end;
$$;
