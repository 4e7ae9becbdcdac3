-- What rows must not tell. Postgres quotes a row that breaks a constraint, in its log too: "Failing row contains (…)". So
-- where rows hold what people wrote, a trigger asks first, and names the constraint alone.

create function core.refuse_row(p_table regclass, p_row anyelement)
returns void
language plpgsql
stable
set search_path = ''
as $$
-- Raises what the constraint that a row of that table breaks would have raised, without the row.
declare
  v_column text;
  v_check record;
  v_holds boolean;
  v_schema text;
  v_name text;
begin
  select n.nspname, c.relname into v_schema, v_name
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  where c.oid = p_table;
  select a.attname into v_column
  from pg_attribute as a
  where a.attrelid = p_table and a.attnum > 0 and a.attnotnull and not a.attisdropped
    and to_jsonb(p_row) -> a.attname = 'null'
  order by a.attnum
  limit 1;
  if found then
    raise not_null_violation using
      message = format('%s of %s.%s must not be null', v_column, v_schema, v_name),
      schema = v_schema, table = v_name, column = v_column;
  end if;
  for v_check in
    select c.conname, pg_get_expr(c.conbin, c.conrelid) as expression
    from pg_constraint as c
    where c.conrelid = p_table and c.contype = 'c'
    order by c.conname
  loop
    execute format('select (%s) is not false from (select ($1).*) as t', v_check.expression) into v_holds using p_row;
    if not v_holds then
      raise check_violation using
        message = format('a row of %s.%s violates check constraint %s', v_schema, v_name, v_check.conname),
        schema = v_schema, table = v_name, constraint = v_check.conname;
    end if;
  end loop;
  raise exception 'a row of %.% was refused for nothing', v_schema, v_name;
end;
$$;

create function core.keep_rows_out_of_logs(p_table regclass)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes the trigger that asks all constraints of a table about each new row, before Postgres does; a second call makes it
-- anew. For the end of a table's file. The conditions stand in a function of the table's own: its plan is kept, while
-- Postgres reads a trigger's WHEN anew in every statement.
declare
  v_nulls text;
  v_checks text;
  v_check record;
  v_column text;
  v_expression text;
  v_function text;
begin
  select string_agg(format('new.%I is null', a.attname), ' or ' order by a.attnum) into v_nulls
  from pg_attribute as a
  where a.attrelid = p_table and a.attnum > 0 and a.attnotnull and not a.attisdropped and a.attgenerated = '';
  for v_check in
    select pg_get_expr(c.conbin, c.conrelid) as expression,
      array(select a.attname::text from pg_attribute as a where a.attrelid = p_table and a.attnum = any (c.conkey)) as columns
    from pg_constraint as c
    where c.conrelid = p_table and c.contype = 'c'
    order by c.conname
  loop
    v_expression := v_check.expression;
    foreach v_column in array v_check.columns loop
      v_expression := regexp_replace(v_expression, '(?<![\w.''])' || v_column || '(?![\w(''])', 'new.' || v_column, 'g');
    end loop;
    v_checks := concat_ws(' or ', v_checks, format('(%s) is false', v_expression));
  end loop;
  select format('%I.%I', n.nspname, 'keep_' || c.relname || '_out_of_logs') into v_function
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  where c.oid = p_table;
  execute format(
    $f$create or replace function %s() returns trigger language plpgsql set search_path = '' as $body$
-- Refuses a row that breaks a constraint of %s, before Postgres quotes it. Made by core.keep_rows_out_of_logs.
begin
  if %s then
    perform core.refuse_row(tg_relid, new);
  end if;
  return new;
end;
$body$
    $f$,
    v_function, p_table, concat_ws(' or ', v_nulls, v_checks)
  );
  execute format(
    'create or replace trigger a_row_stays_out_of_logs before insert or update on %s for each row execute function %s()',
    p_table, v_function
  );
end;
$$;
