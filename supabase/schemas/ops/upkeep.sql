-- What the monthly report says of the database itself, as it is at that moment.

create function ops.table_sizes()
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- The 20 largest tables with their indexes, in bytes; how much that is above the report before, null where that had them
  -- not; and their dead rows, which a vacuum that keeps up leaves few of.
  select coalesce(jsonb_agg(jsonb_build_object(
    'table', t.name, 'bytes', t.bytes, 'rows', t.rows, 'dead_rows', t.dead_rows, 'grown_bytes', t.bytes - (
      select (b.entry ->> 'bytes')::bigint
      from (select r.database from ops.reports as r where r.database is not null order by r.begins_on desc limit 1) as r
      cross join jsonb_array_elements(r.database -> 'tables') as b (entry)
      where b.entry ->> 'table' = t.name
    )
  ) order by t.bytes desc, t.name), '[]')
  from (
    select format('%s.%s', s.schemaname, s.relname) as name, pg_total_relation_size(s.relid) as bytes,
      s.n_live_tup as rows, s.n_dead_tup as dead_rows
    from pg_stat_user_tables as s
    order by bytes desc, name
    limit 20
  ) as t
$$;

create function ops.unused_indexes()
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- Indexes of our own that no statement has used since the statistics began, the largest first; not those that hold a constraint.
  select coalesce(jsonb_agg(jsonb_build_object('index', i.name, 'table', i.table_name, 'bytes', i.bytes) order by i.bytes desc, i.name), '[]')
  from (
    select format('%s.%s', s.schemaname, s.indexrelname) as name, format('%s.%s', s.schemaname, s.relname) as table_name,
      pg_relation_size(s.indexrelid) as bytes
    from pg_stat_user_indexes as s
    join pg_index as x on x.indexrelid = s.indexrelid
    where s.idx_scan = 0 and not x.indisunique
      and s.schemaname not in ('auth', 'storage', 'realtime', 'cron', 'net', 'vault', 'supabase_migrations')
    order by bytes desc, name
    limit 50
  ) as i
$$;

create function ops.slow_statements()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- The 20 statements that took the most time of this database, in milliseconds, where pg_stat_statements is; null where it is
-- not. Their constants are left out, and of what is no query all: Postgres keeps a new password as it was written.
declare
  v_schema text;
  v_statements jsonb;
begin
  select n.nspname into v_schema
  from pg_extension as e
  join pg_namespace as n on n.oid = e.extnamespace
  where e.extname = 'pg_stat_statements';
  if v_schema is not null then
    execute format('
      select coalesce(jsonb_agg(to_jsonb(s) order by s.total_ms desc), ''[]'')
      from (
        select q.queryid::text as id, q.calls, round(q.total_exec_time::numeric, 1) as total_ms,
          round(q.mean_exec_time::numeric, 3) as mean_ms, q.rows,
          left(regexp_replace(regexp_replace(q.query, ''''''[^'''']*'''''', ''…'', ''g''), ''\s+'', '' '', ''g''), 300) as statement
        from %I.pg_stat_statements as q
        where q.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
          and q.query ~* ''^\s*(select|with|insert|update|delete|merge|call)\y''
        order by q.total_exec_time desc
        limit 20
      ) as s', v_schema)
    into v_statements;
  end if;
  return v_statements;
exception when object_not_in_prerequisite_state then
  -- It is there, and the server does not load it.
  return null;
end;
$$;

create function ops.retention_proof()
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Of each rule of retention when it ran last, and how many rows it has left behind: what it would still find, up to 1000,
-- had it run a day ago. Nothing is taken away here. Locks: those rows, for a moment.
declare
  v_rule ops.retention_rules;
  v_overdue integer;
  v_error text;
  v_proof jsonb := '[]';
begin
  for v_rule in select r.* from ops.retention_rules as r order by r.name loop
    v_overdue := null;
    v_error := null;
    begin
      v_rule.keep := v_rule.keep + v_rule.every + interval '1 day';
      v_rule.batch := 1000;
      v_overdue := ops.sweep_rule(v_rule);
      -- Undoes it.
      raise exception using errcode = 'KIN01';
    exception
      when sqlstate 'KIN01' then null;
      when others then v_error := format('%s: %s', sqlstate, sqlerrm);
    end;
    v_proof := v_proof || jsonb_strip_nulls(jsonb_build_object(
      'rule', v_rule.name, 'swept_at', case when isfinite(v_rule.swept_at) then core.to_iso(v_rule.swept_at) end,
      'overdue', v_overdue, 'error', v_error
    ));
  end loop;
  return v_proof;
end;
$$;

create function ops.database_now()
returns jsonb
language sql
volatile
set search_path = ''
as $$
  -- `{ bytes, stored_bytes, statistics_since, tables, unused_indexes, slow_statements, retention }`.
  select jsonb_build_object(
    'bytes', pg_database_size(current_database()),
    'stored_bytes', (select coalesce(sum(a.bytes), 0) from videos.assets as a where a.deleted_at is null),
    'statistics_since', (select d.stats_reset from pg_stat_database as d where d.datname = current_database()),
    'tables', ops.table_sizes(),
    'unused_indexes', ops.unused_indexes(),
    'slow_statements', ops.slow_statements(),
    'retention', ops.retention_proof()
  )
$$;

create function ops.give_up_cleanup(p_subject uuid, p_error text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- No try is left of a task that was to remove something, which stays until the operator has it tried again. One alert a kind: a
-- storage that is away leaves many. A second call tells once more. Locks: the alert.
begin
  perform ops.raise_alert('cleanup_dead', coalesce((
    select t.kind
    from queue.tasks as t
    join queue.kinds as k on k.kind = t.kind
    where t.subject = p_subject and t.failed_at is null and k.on_dead = 'ops.give_up_cleanup'
    -- Of two, the one whose tries are used.
    order by t.attempts - t.uncounted_attempts - k.tries desc
    limit 1
  ), 'none'), jsonb_build_object('subject', p_subject));
end;
$$;
