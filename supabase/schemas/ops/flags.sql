-- ops: the operator's room. In this order: flags.sql, errors.sql, alerts.sql, metric-types.sql,
-- metrics.sql, retention.sql, admins.sql, credits.sql, safety.sql, views.sql, trace.sql, purchases.sql,
-- metric-views.sql, reports.sql, upkeep.sql.

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
