-- ops: the operator's room. In this order: flags.sql, evaluation.sql, errors.sql, alerts.sql, metric-types.sql, metrics.sql,
-- retention.sql, admins.sql, flag-changes.sql, credits.sql, safety.sql, views.sql, trace.sql, alert-metrics.sql,
-- alert-rules.sql, alert-actions.sql, incidents.sql, alert-changes.sql, purchases.sql, metric-views.sql, stats.sql,
-- reports.sql, upkeep.sql, exposures.sql.

create schema ops;

create type ops.flag_type as enum ('boolean', 'string', 'number', 'object');

create table ops.feature_flags (
  -- In a URL, and hashed: imurmurhash, which flagd's library uses, knows no other characters.
  key text primary key check (key ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
  -- What is disabled has its off variant for everybody, whatever the rules say.
  is_enabled boolean not null default true,
  -- One that the backend asks itself, for everybody at once: on or off, without rules.
  is_switch boolean not null default false,
  -- Whom a split gives which variant is counted, once a user and variant.
  is_experiment boolean not null default false,
  -- Counts the changes; who changes a flag by hand need not think of it. Ours begin with 1: 0 was made by hand.
  version integer not null default 0,
  type ops.flag_type not null default 'boolean',
  -- The values by their names, all of the type.
  variants jsonb not null default '{"on": true, "off": false}',
  -- Whoever no rule is about.
  default_variant text not null default 'on',
  -- While it is disabled; null: whatever the app's code has as its default.
  off_variant text default 'off',
  -- In order, the first that fits decides; null for none. ops.flag_faults says what a rule may be.
  rules jsonb,
  description text check (char_length(description) between 1 and 500)
);
alter table ops.feature_flags enable row level security;
comment on table ops.feature_flags is
  'Feature flags, the backend''s own switches among them: what such a one switches off answers ERR_6004 with its key as `feature`.';

-- Whether a flag is not disabled; one that nobody named is not.
create function ops.is_enabled(p_feature text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce((select f.is_enabled from ops.feature_flags as f where f.key = p_feature), true);
end;
$$;
