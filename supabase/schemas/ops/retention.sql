create table ops.retention_rules (
  name text primary key check (name ~ '^[a-z_]{1,50}$'),
  -- What goes, and from when its time counts.
  what text not null,
  keep interval not null check (keep >= interval '0'),
  -- How many rows a run takes at most, so that it holds its locks for a fraction of a second.
  batch integer not null check (batch between 1 and 100000)
);
alter table ops.retention_rules enable row level security;
comment on table ops.retention_rules is 'How long things are kept; a change takes effect with the next run.';

create function ops.retention(p_name text, out before timestamptz, out batch integer)
language plpgsql
volatile
set search_path = ''
as $$
-- What a rule means now: what is older than `before` goes. Raises no_data_found where there is no such rule.
begin
  select core.now() - r.keep, r.batch into strict before, batch from ops.retention_rules as r where r.name = p_name;
end;
$$;

create function ops.sweep_cron_runs()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes what pg_cron noted of its runs, by the rule `cron_runs`, and returns how many. Without pg_cron there is nothing.
declare
  v_rule constant record := ops.retention('cron_runs');
  v_deleted integer := 0;
begin
  if to_regclass('cron.job_run_details') is not null then
    execute 'delete from cron.job_run_details as r
             where r.runid in (select d.runid from cron.job_run_details as d where d.end_time <= $1 limit $2)'
      using v_rule.before, v_rule.batch;
    get diagnostics v_deleted = row_count;
  end if;
  return v_deleted;
end;
$$;

create function ops.prove_ledger()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Proves the ledger from the last proof on, and returns how many violations there are. The error log counts them anew each time
-- until they are mended, the first few with what they are. Locks: nothing that a posting needs.
declare
  v_violation credits.violation;
  v_found integer := 0;
begin
  for v_violation in select r.* from credits.reconcile() as r loop
    perform ops.record_error('ERR_6003', 'tick', null, null, jsonb_build_object(
      'task', 'prove_ledger', 'violation', v_violation.violation, 'subject', v_violation.subject,
      'details', v_violation.details
    ));
    v_found := v_found + 1;
  end loop;
  return v_found;
end;
$$;
