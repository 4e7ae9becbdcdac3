-- Rules: what is measured, what is too much of it, and which alerts follow; alert-actions.sql has what is done about it. The
-- operator writes thresholds and actions, and a metric is one of a closed set.

create type ops.alert_action as enum (
  'notify', -- tells
  'throttle', -- lowers the limits of policies as well
  'shutdown' -- turns flags off as well
);

create table ops.alert_rules (
  name text primary key check (name ~ '^[a-z][a-z0-9_]{0,49}$'),
  what text not null,
  metric ops.alert_metric not null,
  measured_over interval not null check (measured_over between interval '1 minute' and interval '31 days'),
  -- What is lower is worse: a balance.
  is_low_bad boolean not null default false,
  -- From which value on; null for a level that the rule does not have.
  warning numeric,
  critical numeric,
  -- It is over when it was well for so long: what crosses its bound again and again is one alert.
  ok_for interval not null default '5 minutes' check (ok_for between interval '0' and interval '7 days'),
  -- So long after it was over, nothing new is raised.
  cooldown interval not null default '5 minutes' check (cooldown between interval '0' and interval '7 days'),
  action ops.alert_action not null default 'notify',
  -- From which level on more is done than told.
  acts_at ops.alert_level not null default 'critical',
  policies text[] not null default '{}' constraint limits_of_admins_are_the_owners check (
    not policies && '{admin,admin_credits}'
  ),
  -- What is left of their limits.
  throttle_percent integer not null default 50 constraint throttled_to_a_tenth_at_most check (throttle_percent between 10 and 99),
  -- `{subject}` is what was measured: a provider.
  flags text[] not null default '{}' constraint flags_that_a_rule_may_turn_off check (
    array_to_string(flags, ' ') ~ '^((generation|grants|purchases|providers\.([a-z]+|\{subject\}))( |$))*$'
  ),
  -- What was done stays when the alert is over, until this is false again.
  is_pinned boolean not null default false,
  is_enabled boolean not null default true,
  every interval not null default '1 minute' check (every between interval '1 minute' and interval '1 day'),
  evaluated_at timestamptz not null default '-infinity',
  last_error text,
  constraint a_bound_at_least check (num_nonnulls(warning, critical) > 0),
  constraint a_warning_comes_first check (case when is_low_bad then warning >= critical else warning <= critical end),
  constraint an_action_has_what_it_is_done_to check (
    case action when 'throttle' then policies <> '{}' when 'shutdown' then flags <> '{}' else true end
  )
);
alter table ops.alert_rules enable row level security;
comment on table ops.alert_rules is 'What is measured, what is too much, and what is done then; a change counts from the next minute on.';

-- How bad a value is by a rule; null where it is well.
create function ops.level_of(p_rule ops.alert_rules, p_value numeric)
returns ops.alert_level
language sql
immutable
return case
  when p_value is null then null
  when case when (p_rule).is_low_bad then p_value <= (p_rule).critical else p_value >= (p_rule).critical end then 'critical'
  when case when (p_rule).is_low_bad then p_value <= (p_rule).warning else p_value >= (p_rule).warning end then 'warning'
end::ops.alert_level;

create function ops.judge(p_rule ops.alert_rules, p_measured ops.measurement)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What a value means by its rule: an alert begins, goes on, or becomes worse; one that is well does nothing here. It is
-- raised at the first value that is bad, since the window has smoothed it already. Locks: alert → targets.
declare
  v_now constant timestamptz := core.now();
  v_level constant ops.alert_level := ops.level_of(p_rule, p_measured.value);
  v_threshold constant numeric := case v_level when 'critical' then p_rule.critical else p_rule.warning end;
  v_subject constant text := left(p_measured.subject, 300);
  v_before ops.alerts;
  v_alert ops.alerts;
begin
  if v_level is null then
    update ops.alerts as a set value = p_measured.value
    where a.rule = p_rule.name and a.subject = v_subject and a.resolved_at is null and a.value <> p_measured.value;
    return;
  end if;
  select a.* into v_before
  from ops.alerts as a
  where a.rule = p_rule.name and a.subject = v_subject and a.resolved_at is null
  for update;
  if not found then
    if exists (
      select from ops.alerts as a
      where a.rule = p_rule.name and a.subject = v_subject and a.resolved_at > v_now - p_rule.cooldown
    ) then
      return;
    end if;
    insert into ops.alerts (rule, subject, details, raised_at, last_at, level, metric, value, threshold)
    values (
      p_rule.name, v_subject, jsonb_build_object('what', p_rule.what), v_now, v_now, v_level, p_rule.metric,
      p_measured.value, v_threshold
    )
    returning * into v_alert;
    perform ops.note_alert(v_alert, v_level::text);
  else
    -- It is as bad as it has been since it began.
    update ops.alerts as a
    set count = a.count + 1, last_at = v_now, value = p_measured.value, level = greatest(a.level, v_level),
        threshold = case when v_level >= a.level then v_threshold else a.threshold end
    where a.id = v_before.id
    returning * into v_alert;
    if v_alert.level > v_before.level then
      perform ops.note_alert(v_alert, v_level::text);
    end if;
  end if;
  if v_alert.level >= p_rule.acts_at then
    perform ops.act(p_rule, v_subject);
  end if;
end;
$$;

create function ops.end_alerts(p_rule ops.alert_rules)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Ends the alerts of a rule that have been well for long enough, and undoes what was done about them, unless it is pinned.
-- A second call changes nothing. Locks: alert → targets.
declare
  v_subject text;
begin
  for v_subject in
    select a.subject from ops.alerts as a
    where a.rule = p_rule.name and a.resolved_at is null and a.last_at < core.now() - p_rule.ok_for
    order by a.subject
  loop
    perform ops.resolve_alert(p_rule.name, v_subject);
  end loop;
  if not p_rule.is_pinned then
    for v_subject in
      select distinct d.subject from ops.alert_actions as d
      where d.rule = p_rule.name and not exists (
        select from ops.alerts as a where a.rule = d.rule and a.subject = d.subject and a.resolved_at is null
      )
      order by d.subject
    loop
      perform ops.undo(p_rule.name, v_subject);
    end loop;
  end if;
end;
$$;

create function ops.due_alert_rules(p_limit integer)
returns setof text
language sql
volatile
set search_path = ''
as $$
  -- The rules whose interval is over, up to p_limit.
  select r.name from ops.alert_rules as r
  where r.is_enabled and r.evaluated_at <= core.now() - r.every
  order by r.evaluated_at, r.name
  limit p_limit
$$;

create function ops.evaluate_rule(p_rule text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Measures what a rule is about, by one statement, and does what follows, if it is due; a second call is not. A rule that
-- fails is an alert about itself, and changes nothing else. Locks: the rule → its alerts → targets.
declare
  v_rule ops.alert_rules;
  v_measured ops.measurement;
begin
  update ops.alert_rules as r set evaluated_at = core.now()
  where r.name = p_rule and r.is_enabled and r.evaluated_at <= core.now() - r.every
  returning r.* into v_rule;
  if not found then
    return;
  end if;
  begin
    for v_measured in select m.* from ops.measure(v_rule.metric, v_rule.measured_over) as m order by m.subject loop
      perform ops.judge(v_rule, v_measured);
    end loop;
    perform ops.end_alerts(v_rule);
  exception
    -- Locks come and go: the tick has it tried again.
    when lock_not_available or deadlock_detected or serialization_failure then
      raise;
    when query_canceled or assert_failure or others then
      update ops.alert_rules as r set last_error = format('%s: %s', sqlstate, sqlerrm) where r.name = p_rule;
      perform ops.raise_alert('alert_rule', p_rule, jsonb_build_object('error', format('%s: %s', sqlstate, sqlerrm)));
      return;
  end;
  if v_rule.last_error is not null then
    update ops.alert_rules as r set last_error = null where r.name = p_rule;
    perform ops.resolve_alert('alert_rule', p_rule);
  end if;
end;
$$;

create function ops.watch_alerts()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `watch_alerts`: what was met and is not met any more is over, an hour later; a rule that has not been
-- evaluated, since the tick cannot, is an alert. A second call changes nothing. Locks: the alerts, in their order.
declare
  v_now constant timestamptz := core.now();
  v_row record;
begin
  for v_row in
    select a.rule, a.subject from ops.alerts as a
    where a.resolved_at is null and a.metric is null and a.last_at <= v_now - interval '1 hour'
    order by a.rule, a.subject
    limit 1000
  loop
    perform ops.resolve_alert(v_row.rule, v_row.subject);
  end loop;
  for v_row in
    select r.name, r.evaluated_at from ops.alert_rules as r
    -- A database that has just been made has evaluated nothing.
    where r.is_enabled and r.evaluated_at > '-infinity' and r.evaluated_at < v_now - 5 * r.every - interval '5 minutes'
    order by r.name
  loop
    perform ops.raise_alert('alert_rule', v_row.name, jsonb_build_object('evaluated_at', v_row.evaluated_at));
  end loop;
  -- Of a rule that was switched off, or taken away, nothing is open, nor stays done that is not pinned.
  for v_row in
    select a.rule, a.subject from ops.alerts as a
    where a.resolved_at is null and a.metric is not null
      and not exists (select from ops.alert_rules as r where r.name = a.rule and r.is_enabled)
    order by a.rule, a.subject
  loop
    perform ops.resolve_alert(v_row.rule, v_row.subject);
  end loop;
  for v_row in
    select distinct d.rule, d.subject from ops.alert_actions as d
    join ops.alert_rules as r on r.name = d.rule and not r.is_enabled and not r.is_pinned
    order by d.rule, d.subject
  loop
    perform ops.undo(v_row.rule, v_row.subject);
  end loop;
end;
$$;
