-- What only the operator can mend.

create table ops.alerts (
  id uuid primary key default core.new_id(),
  -- What is wrong, and with what: `result_host`, `fal cdn.example.com`.
  rule text not null check (rule ~ '^[a-z][a-z0-9_]{0,49}$'),
  subject text not null check (char_length(subject) between 1 and 300),
  details jsonb not null,
  -- How often it was met.
  count integer not null default 1,
  raised_at timestamptz not null,
  last_at timestamptz not null
);
alter table ops.alerts enable row level security;
create index alerts_rule on ops.alerts (rule, subject, last_at);
comment on table ops.alerts is 'What only the operator can mend, and when it was met first and last.';

create function ops.raise_alert(p_rule text, p_subject text, p_details jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells the operator. What was met within the last hour is the same alert, which counts on; after an hour without it,
-- it is a new one. Called last in a transaction. Locks: the alert, by its rule and subject.
declare
  v_now constant timestamptz := core.now();
begin
  -- Two that meet it first are one alert. Of two numbers, as in ops.take_credits; 3 is alerts.
  perform pg_advisory_xact_lock(3, hashtext(p_rule || ' ' || left(p_subject, 300)));
  update ops.alerts as a
  set count = a.count + 1, last_at = v_now, details = p_details
  where a.id = (
    select o.id from ops.alerts as o
    where o.rule = p_rule and o.subject = left(p_subject, 300) and o.last_at > v_now - interval '1 hour'
    order by o.last_at desc
    limit 1
  );
  if not found then
    insert into ops.alerts (rule, subject, details, raised_at, last_at)
    values (p_rule, left(p_subject, 300), p_details, v_now, v_now);
    perform events.publish('alert.raised', null, jsonb_build_object('rule', p_rule, 'subject', left(p_subject, 300)));
  end if;
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
  delete from ops.alerts as a where a.rule = p_rule and a.subject = left(p_subject, 300);
  if found then
    perform events.publish('alert.resolved', null, jsonb_build_object('rule', p_rule, 'subject', left(p_subject, 300)));
  end if;
end;
$$;

create view ops.open_alerts with (security_invoker = true) as
select a.rule, a.subject, a.details, a.count, a.raised_at, a.last_at
from ops.alerts as a
where a.last_at > now() - interval '1 hour';
comment on view ops.open_alerts is 'What waits for the operator: alerts that were met within the last hour.';
