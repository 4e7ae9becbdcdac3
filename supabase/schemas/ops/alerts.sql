-- What only the operator can mend: what somebody met (ops.raise_alert), and what a rule measured (alert-rules.sql).

create type ops.alert_level as enum ('warning', 'critical');

create table ops.alerts (
  id uuid primary key default core.new_id(),
  -- What is wrong, and with what: `result_host`, `fal cdn.example.com`. What a rule measured has the rule's name.
  rule text not null check (rule ~ '^[a-z][a-z0-9_]{0,49}$'),
  subject text not null check (char_length(subject) between 1 and 300),
  details jsonb not null,
  -- How often it was met, or measured.
  count integer not null default 1,
  raised_at timestamptz not null,
  last_at timestamptz not null,
  level ops.alert_level not null default 'warning',
  -- What a rule measured last, and the bound that it crossed; null of what was met.
  metric text,
  value numeric,
  threshold numeric,
  -- From then on nothing more is told of it until it is over.
  acknowledged_at timestamptz,
  resolved_at timestamptz,
  constraint alerts_measured check (num_nonnulls(metric, value, threshold) in (0, 3))
);
alter table ops.alerts enable row level security;
create index alerts_rule on ops.alerts (rule, subject, last_at);
create index alerts_raised on ops.alerts (raised_at desc, id desc);
create index alerts_open_raised on ops.alerts (raised_at desc, id desc) where resolved_at is null;
create unique index alerts_open on ops.alerts (rule, subject) where resolved_at is null;
comment on table ops.alerts is 'What only the operator can mend, from when it was met first until it was over.';

create table ops.alert_changes (
  id uuid primary key default core.new_id(),
  alert_id uuid not null references ops.alerts on delete cascade,
  state text not null check (state in ('warning', 'critical', 'acknowledged', 'ok')),
  value numeric,
  changed_at timestamptz not null
);
alter table ops.alert_changes enable row level security;
create index alert_changes_alert on ops.alert_changes (alert_id, changed_at);
comment on table ops.alert_changes is 'Each change of an alert: ok → warning → critical → ok, and that an admin knows of it.';

create function ops.note_alert(p_alert ops.alerts, p_state text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Writes down a change of an alert and tells it; of one that is acknowledged nothing is told until it is over. A second
-- call writes a second change. Locks: nothing that anybody waits for.
begin
  insert into ops.alert_changes (alert_id, state, value, changed_at)
  values (p_alert.id, p_state, p_alert.value, core.now());
  if p_state in ('warning', 'critical') and p_alert.acknowledged_at is not null then
    return;
  end if;
  perform events.publish(
    case p_state when 'ok' then 'alert.resolved' when 'acknowledged' then 'alert.acknowledged' else 'alert.raised' end, null,
    jsonb_build_object(
      'alert_id', p_alert.id, 'rule', p_alert.rule, 'subject', p_alert.subject, 'level', p_alert.level,
      'metric', p_alert.metric, 'value', p_alert.value, 'threshold', p_alert.threshold
    )
  );
end;
$$;

create function ops.raise_alert(p_rule text, p_subject text, p_details jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells the operator what was met. What was met within the last hour is the same alert, which counts on; after an hour
-- without it, it is over, and a new one. Called last in a transaction. Locks: the alert, by its rule and subject.
declare
  v_now constant timestamptz := core.now();
  -- Whoever cannot say of what, or nothing more, is heard all the same: what it is at must not fail by it.
  v_subject constant text := left(coalesce(nullif(p_subject, ''), 'unknown'), 300);
  v_details constant jsonb := coalesce(p_details, '{}');
  v_alert ops.alerts;
begin
  -- Two that meet it first are one alert. Of two numbers, as in ops.take_credits; 3 is alerts.
  perform pg_advisory_xact_lock(3, hashtext(p_rule || ' ' || v_subject));
  update ops.alerts as a
  set count = a.count + 1, last_at = v_now, details = v_details
  where a.rule = p_rule and a.subject = v_subject and a.resolved_at is null and a.last_at > v_now - interval '1 hour';
  if not found then
    perform ops.resolve_alert(p_rule, v_subject);
    insert into ops.alerts (rule, subject, details, raised_at, last_at)
    values (p_rule, v_subject, v_details, v_now, v_now)
    returning * into v_alert;
    perform ops.note_alert(v_alert, 'warning');
  end if;
end;
$$;

create function ops.resolve_alert(p_rule text, p_subject text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- What was wrong is over, which is told. False, and nothing changes, where no such alert is open. Locks: the alert.
declare
  v_alert ops.alerts;
begin
  update ops.alerts as a
  set resolved_at = core.now()
  where a.rule = p_rule and a.subject = left(p_subject, 300) and a.resolved_at is null
  returning * into v_alert;
  if v_alert.id is null then
    return false;
  end if;
  perform ops.note_alert(v_alert, 'ok');
  return true;
end;
$$;

create function ops.withdraw_alert(p_rule text, p_subject text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes back what the operator was told, since it turned out not to be so. Called last in a transaction. Locks: the alerts.
begin
  perform ops.resolve_alert(p_rule, p_subject);
  delete from ops.alerts as a where a.rule = p_rule and a.subject = left(p_subject, 300);
end;
$$;

create function ops.acknowledge_alert(p_alert_id uuid, p_is_acknowledged boolean)
returns ops.alerts
language plpgsql
volatile
set search_path = ''
as $$
-- Somebody knows of an alert, or does not after all: the alert as it was before; null where it is not open. What changes
-- nothing is not written down. Locks: the alert.
declare
  v_before ops.alerts;
  v_after ops.alerts;
begin
  select a.* into v_before from ops.alerts as a where a.id = p_alert_id and a.resolved_at is null for update;
  if found and p_is_acknowledged <> (v_before.acknowledged_at is not null) then
    update ops.alerts as a
    set acknowledged_at = case when p_is_acknowledged then core.now() end
    where a.id = p_alert_id
    returning * into v_after;
    perform ops.note_alert(v_after, case when p_is_acknowledged then 'acknowledged' else v_after.level::text end);
  end if;
  return v_before;
end;
$$;

create view ops.open_alerts with (security_invoker = true) as
select a.rule, a.subject, a.level, a.details, a.count, a.raised_at, a.last_at, a.metric, a.value, a.threshold, a.acknowledged_at, a.id
from ops.alerts as a
where a.resolved_at is null and (a.metric is not null or a.last_at > now() - interval '1 hour');
comment on view ops.open_alerts is
  'What waits for the operator: what was met within the last hour, and what a rule measures too much of.';
