-- ops: the operator's room. In this order: flags.sql, errors.sql, alerts.sql, metric-types.sql, metrics.sql, retention.sql,
-- admins.sql, credits.sql, safety.sql, views.sql, trace.sql, alert-metrics.sql, alert-rules.sql, incidents.sql,
-- alert-changes.sql, purchases.sql, metric-views.sql, reports.sql, upkeep.sql.

create schema ops;

-- Switches that the operator turns in the dashboard. A feature without a row is on.
create table ops.feature_flags (
  name text primary key check (char_length(name) between 1 and 100),
  is_enabled boolean not null default true
);
alter table ops.feature_flags enable row level security;
comment on table ops.feature_flags is 'What is switched off answers ERR_6004 with its name as `feature`.';

-- Whether a feature is on; one that nobody named is.
create function ops.is_enabled(p_feature text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce((select f.is_enabled from ops.feature_flags as f where f.name = p_feature), true);
end;
$$;

create function ops.switch_flag(p_key text, p_is_enabled boolean, p_admin_id uuid, p_reason text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Turns a flag on or off, and writes down who did it, null being a rule. True where it changed; a second call changes
-- nothing. Locks: the flag.
declare
  v_was constant boolean := ops.is_enabled(p_key);
begin
  insert into ops.feature_flags as f (name, is_enabled) values (p_key, p_is_enabled)
  on conflict (name) do update set is_enabled = excluded.is_enabled;
  if v_was = p_is_enabled then
    return false;
  end if;
  insert into ops.admin_actions (action, admin_id, subject, details, reason, created_at)
  values ('switch_flag', p_admin_id, 'flag ' || p_key, jsonb_build_object(
    'before', jsonb_build_object('is_enabled', v_was), 'after', jsonb_build_object('is_enabled', p_is_enabled)
  ), p_reason, core.now());
  return true;
end;
$$;
