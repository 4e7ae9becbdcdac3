-- What rows must not tell. Postgres quotes a row that breaks a constraint, in its log too: "Failing row contains (…)". So
-- where rows hold what people wrote, a trigger asks first, and names the constraint alone.

create function core.refuse_row()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Raises what the constraint that the new row breaks would have raised, without the row.
declare
  v_column text;
  v_check record;
  v_holds boolean;
begin
  select a.attname into v_column
  from pg_attribute as a
  where a.attrelid = tg_relid and a.attnum > 0 and a.attnotnull and not a.attisdropped
    and to_jsonb(new) -> a.attname = 'null'
  order by a.attnum
  limit 1;
  if found then
    raise not_null_violation using
      message = format('%s of %s.%s must not be null', v_column, tg_table_schema, tg_table_name),
      schema = tg_table_schema, table = tg_table_name, column = v_column;
  end if;
  for v_check in
    select c.conname, pg_get_expr(c.conbin, c.conrelid) as expression
    from pg_constraint as c
    where c.conrelid = tg_relid and c.contype = 'c'
    order by c.conname
  loop
    execute format('select (%s) is not false from (select ($1).*) as t', v_check.expression) into v_holds using new;
    if not v_holds then
      raise check_violation using
        message = format('a row of %s.%s violates check constraint %s', tg_table_schema, tg_table_name, v_check.conname),
        schema = tg_table_schema, table = tg_table_name, constraint = v_check.conname;
    end if;
  end loop;
  raise exception 'a row of %.% was refused for nothing', tg_table_schema, tg_table_name;
end;
$$;

create function core.keep_rows_out_of_logs(p_table regclass)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes the trigger that asks all constraints of a table about each new row, before Postgres does; a second call makes it
-- anew. For the end of a table's file. The condition stands in the trigger itself, so that a row that is right costs no
-- call.
declare
  v_nulls text;
  v_checks text;
  v_check record;
  v_column text;
  v_expression text;
begin
  select format('num_nulls(%s) > 0', string_agg(format('new.%I', a.attname), ', ' order by a.attnum)) into v_nulls
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
  execute format(
    'create or replace trigger a_row_stays_out_of_logs before insert or update on %s for each row when (%s)
       execute function core.refuse_row()',
    p_table, concat_ws(' or ', v_nulls, v_checks)
  );
end;
$$;
