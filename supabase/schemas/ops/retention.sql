create table ops.retention_rules (
  name text primary key check (name ~ '^[a-z_]{1,50}$'),
  -- What goes, and from when its time counts.
  what text not null,
  keep interval not null check (keep >= interval '0'),
  -- How many rows a run takes at most, so that it holds its locks for a fraction of a second.
  batch integer not null check (batch between 1 and 100000),
  every interval not null check (every >= interval '1 minute'),
  swept_at timestamptz not null default '-infinity',
  -- What to do: delete rows of a table by a column, where the condition holds of the row `t`; or call a function of the
  -- time and the batch, which returns how many. These four are the migrations' to write, as they are run.
  relation text check (relation ~ '^[a-z_]+\.[a-z_]+$'),
  time_column text,
  condition text,
  procedure text check (procedure ~ '^[a-z_]+\.[a-z_]+$'),
  constraint a_table_with_its_time_or_a_procedure check (
    (relation is null) = (time_column is null) and (relation is null) <> (procedure is null)
    and (condition is null or relation is not null)
  )
);
alter table ops.retention_rules enable row level security;
comment on table ops.retention_rules is 'How long things are kept; a change takes effect with the next run.';

create function ops.sweep_rule(p_rule ops.retention_rules)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Takes away what is older than a rule says, up to its batch, and returns how much; past rows that somebody has locked,
-- which are for the next run. A table that the platform does not have holds nothing.
declare
  v_before constant timestamptz := core.now() - p_rule.keep;
  v_relation constant regclass := to_regclass(p_rule.relation);
  v_swept integer := 0;
begin
  if p_rule.procedure is not null then
    execute format('select %s($1, $2)', p_rule.procedure) into v_swept using v_before, p_rule.batch;
  elsif v_relation is not null then
    -- By their places, which are read at once: a join might read the whole table.
    execute format(
      'delete from %1$s as d where d.ctid = any (array(
         select t.ctid from %1$s as t where t.%2$I <= $1 and (%3$s) limit $2 for update skip locked
       ))',
      v_relation, p_rule.time_column, coalesce(p_rule.condition, 'true')
    ) using v_before, p_rule.batch;
    get diagnostics v_swept = row_count;
  end if;
  return v_swept;
end;
$$;

create function ops.due_rules(p_limit integer)
returns setof text
language sql
volatile
set search_path = ''
as $$
  -- The rules whose interval is over, up to p_limit, those first for which it was over first.
  select r.name from ops.retention_rules as r
  where r.swept_at <= core.now() - r.every
  order by r.swept_at + r.every, r.name
  limit p_limit
$$;

create function ops.sweep(p_rule text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Runs a rule that is due, and notes how much it took away; then it is due no more, unless there may be more than its batch.
-- Locks: the rule → what it takes away.
declare
  v_rule ops.retention_rules;
  v_swept integer;
begin
  update ops.retention_rules as r set swept_at = core.now()
  where r.name = p_rule and r.swept_at <= core.now() - r.every
  returning r.* into v_rule;
  if found then
    v_swept := ops.sweep_rule(v_rule);
    if v_swept >= v_rule.batch then
      update ops.retention_rules as r set swept_at = core.now() - r.every where r.name = p_rule;
    end if;
    if v_swept > 0 then
      insert into ops.swept as s (day, rule, rows)
      values (date_trunc('day', core.now(), 'UTC'), p_rule, v_swept)
      on conflict (day, rule) do update set rows = s.rows + excluded.rows;
    end if;
  end if;
end;
$$;

create function ops.prove_ledger()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Proves the ledger from the last proof on, and returns how many violations there are. The error log counts them anew
-- each time until they are mended, the first few with what they are. Locks: nothing that a posting needs.
declare
  v_violation credits.violation;
  v_found integer := 0;
begin
  for v_violation in select r.* from credits.reconcile() as r loop
    perform ops.record_error(core.error_code('internal/error'), 'tick', null, null, jsonb_build_object(
      'task', 'prove_ledger', 'violation', v_violation.violation, 'subject', v_violation.subject,
      'details', v_violation.details
    ));
    v_found := v_found + 1;
  end loop;
  return v_found;
end;
$$;
