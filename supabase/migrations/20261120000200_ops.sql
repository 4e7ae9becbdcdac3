-- ops: the operator's room. Time, ids, switches and the work that is due by the clock.

create schema ops;
revoke all on schema ops from public;

create function ops.now()
returns timestamptz
language sql
volatile
-- A body of this form is bound when the function is made, so it needs no search_path, and the planner puts it in the
-- place of the call. A search_path of its own would cost 5 µs a call; docs/decisions/0012-hot-functions.md.
return clock_timestamp();

revoke all on function ops.now() from public, anon, authenticated, service_role;
comment on function ops.now() is
  'The time of every decision. A procedure reads it once, after taking its locks. Test databases replace it.';

create function ops.new_id()
returns uuid
language sql
volatile
-- UUID version 7 (RFC 9562): 48 bits of milliseconds, then random bits. New rows so land on one end of their
-- indexes; Postgres 17 has no function for it. Bits 52 and 53 turn the version 4 into a 7.
return encode(
  set_bit(set_bit(
    overlay(
      uuid_send(gen_random_uuid())
      placing substring(int8send((date_part('epoch', clock_timestamp()) * 1000)::bigint) from 3)
      from 1 for 6
    ), 52, 1), 53, 1),
  'hex')::uuid;

revoke all on function ops.new_id() from public, anon, authenticated, service_role;
comment on function ops.new_id() is 'A new UUID that sorts by the time it was made.';

create function ops.to_iso(p_time timestamptz)
returns text
language sql
stable
return to_char(p_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

revoke all on function ops.to_iso(timestamptz) from public, anon, authenticated, service_role;
comment on function ops.to_iso(timestamptz) is 'A time as the API shows it: ISO 8601, UTC, milliseconds.';

-- Switches that the operator turns in the dashboard. A feature without a row is on.
create table ops.feature_flags (
  name text primary key check (char_length(name) between 1 and 100),
  is_enabled boolean not null default true,
  updated_at timestamptz not null default now()
);
alter table ops.feature_flags enable row level security;
revoke all on ops.feature_flags from anon, authenticated, service_role;
comment on table ops.feature_flags is 'What is switched off answers ERR_6004 with its name as `feature`.';

insert into ops.feature_flags (name) values ('generation');

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

revoke all on function ops.is_enabled(text) from public, anon, authenticated, service_role;
comment on function ops.is_enabled(text) is 'Whether a feature is on; one that nobody named is.';

-- What is due by the clock, and what became of it the last time.
create table ops.scheduled_tasks (
  name text primary key,
  -- A function without arguments, with its schema. Text, because a `regprocedure` column blocks pg_upgrade.
  procedure text not null check (procedure ~ '^[a-z_]+\.[a-z_]+$'),
  every interval not null check (every >= interval '1 second'),
  next_run_at timestamptz not null default '-infinity',
  last_run_at timestamptz,
  last_milliseconds integer,
  last_error text
);
alter table ops.scheduled_tasks enable row level security;
revoke all on ops.scheduled_tasks from anon, authenticated, service_role;
comment on table ops.scheduled_tasks is 'Procedures that ops.tick() runs; each works off a bounded batch a run.';

create function ops.tick()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Runs what is due and returns how many generation tasks wait for a worker (1000 stands for more).
-- Locks: an advisory lock, so that two ticks at once do the work of one; then what the procedures take.
-- A second call at once runs nothing and still returns the count. A procedure that raises is rolled back
-- alone, noted in `last_error` and the error log, and tried again after its interval.
declare
  v_task ops.scheduled_tasks;
  v_started_at timestamptz;
  v_error text;
  v_due integer;
begin
  if pg_try_advisory_xact_lock(hashtextextended('ops.tick', 0)) then
    for v_task in
      select t.* from ops.scheduled_tasks as t where t.next_run_at <= ops.now() order by t.next_run_at, t.name
    loop
      v_started_at := clock_timestamp();
      v_error := null;
      begin
        execute format('select %s()', v_task.procedure);
      exception when others then
        v_error := format('%s: %s', sqlstate, sqlerrm);
        perform public.record_error(
          'ERR_6003', 'tick', null, null, jsonb_build_object('task', v_task.name, 'error', v_error)
        );
      end;
      update ops.scheduled_tasks as t
      set next_run_at = ops.now() + v_task.every,
          last_run_at = ops.now(),
          last_milliseconds = extract(epoch from clock_timestamp() - v_started_at) * 1000,
          last_error = v_error
      where t.name = v_task.name;
    end loop;
  end if;

  v_due := generation.count_due_tasks();
  if v_due > 0 then
    perform ops.call_worker();
  end if;
  return v_due;
end;
$$;

revoke all on function ops.tick() from public, anon, authenticated, service_role;
comment on function ops.tick() is 'The one thing that pg_cron calls, every 5 seconds.';

create function ops.call_worker()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Posts to `process-jobs` with pg_net, with `kinora_functions_url` and `kinora_secret_key` from Vault.
-- Without pg_net or either secret it does nothing: whoever called the tick sees the count and posts itself.
-- pg_net sends after the commit, and never waits for the answer.
declare
  v_url text;
  v_key text;
begin
  if to_regproc('net.http_post') is null or to_regclass('vault.decrypted_secrets') is null then
    return;
  end if;
  execute 'select max(s.decrypted_secret) filter (where s.name = ''kinora_functions_url''),
                  max(s.decrypted_secret) filter (where s.name = ''kinora_secret_key'')
           from vault.decrypted_secrets as s'
    into v_url, v_key;
  if v_url is null or v_key is null then
    return;
  end if;
  execute 'select net.http_post(url := $1, headers := $2, body := ''{}''::jsonb)'
    using v_url || '/process-jobs', jsonb_build_object('apikey', v_key, 'content-type', 'application/json');
end;
$$;

revoke all on function ops.call_worker() from public, anon, authenticated, service_role;
comment on function ops.call_worker() is 'Wakes the worker where the platform can; elsewhere the scheduler does.';
