create function api.get_admin_alerts(
  p_admin_id uuid, p_limit integer, p_status text default null, p_after jsonb default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the alerts, newest first, or of those that are `open` or `resolved`: `data` is `{ alerts, rules, incidents, next }`,
-- with all rules, and the newest 20 incidents. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'raised_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  v_alerts jsonb;
  v_next jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-alerts', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select coalesce(jsonb_agg(ops.alert_json(p.shown) order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'raised_at', (p.shown).raised_at, 'id', (p.shown).id
    ) order by p.place) -> p_limit - 1 end
  into v_alerts, v_next
  from (
    select f.shown, row_number() over (order by (f.shown).raised_at desc, (f.shown).id desc) as place
    from (
      -- Apart, so that each is found by its index.
      (
        select a as shown from ops.alerts as a
        where p_status is distinct from 'open' and (a.raised_at, a.id) < (v_before, v_before_id)
          and (p_status is null or a.resolved_at is not null)
        order by a.raised_at desc, a.id desc
        limit p_limit + 1
      )
      union all
      (
        select a as shown from ops.alerts as a
        where p_status = 'open' and a.resolved_at is null and (a.raised_at, a.id) < (v_before, v_before_id)
        order by a.raised_at desc, a.id desc
        limit p_limit + 1
      )
    ) as f
  ) as p;
  return guard.answer(
    jsonb_build_object(
      'alerts', v_alerts,
      'rules', (select coalesce(jsonb_agg(ops.rule_json(r) order by r.name), '[]') from ops.alert_rules as r),
      'incidents', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'incident_id', i.id, 'subject', i.subject, 'began_at', core.to_iso(i.began_at), 'ended_at', core.to_iso(i.ended_at),
          'cause', i.cause, 'taken_over_by', coalesce(to_jsonb(i.taken_over_by), '[]')
        ) order by i.id desc), '[]')
        from ops.incident_log as i
        where i.ended_at is null or i.id in (select n.id from ops.incidents as n order by n.id desc limit 20)
      ),
      'next', v_next
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_admin_alerts to service_role;

create function api.patch_admin_alerts(
  p_admin_id uuid, p_request_id text, p_reason text, p_alert_id uuid default null, p_acknowledged boolean default null,
  p_rule text default null, p_warning numeric default null, p_critical numeric default null, p_action text default null,
  p_policies text[] default null, p_throttle_percent integer default null, p_flags text[] default null,
  p_is_pinned boolean default null, p_is_enabled boolean default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Acknowledges an alert that is open, or changes a rule; null is what stays as it is. `data` is `{ alert, rule }`, of which one
-- is null. resource/not-found where there is no such thing, request/malformed for what a rule cannot be. A second call changes
-- nothing and writes nothing. Counts against `admin`. Locks: rate-limit row → alert, or rule → targets.
declare
  v_caller record;
  v_refusal jsonb;
  v_alert ops.alerts;
  v_answer jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-alerts', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  perform from ops.alerts as a where a.id = p_alert_id for no key update;
  perform from ops.alert_rules as r where r.name = p_rule for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if p_alert_id is not null then
    v_alert := ops.acknowledge_alert(p_alert_id, p_acknowledged);
    if v_alert.id is null then
      return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
    end if;
    if p_acknowledged <> (v_alert.acknowledged_at is not null) then
      insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
      values ('acknowledge_alert', p_admin_id, 'alert ' || p_alert_id, jsonb_build_object(
        'before', jsonb_build_object('acknowledged', not p_acknowledged),
        'after', jsonb_build_object('acknowledged', p_acknowledged)
      ), p_reason, p_request_id, core.now());
    end if;
    return guard.answer(
      jsonb_build_object('alert', (select ops.alert_json(a) from ops.alerts as a where a.id = p_alert_id), 'rule', null),
      v_caller.limits, v_caller.language
    );
  end if;
  v_answer := ops.change_rule(
    p_admin_id, p_request_id, p_reason, p_rule, p_warning, p_critical, p_action, p_policies, p_throttle_percent, p_flags, p_is_pinned,
    p_is_enabled
  );
  if v_answer ? 'error' then
    return guard.in_language(v_answer || jsonb_build_object('limits', v_caller.limits), v_caller.language);
  end if;
  return guard.answer(jsonb_build_object('alert', null, 'rule', v_answer), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_alerts to service_role;
