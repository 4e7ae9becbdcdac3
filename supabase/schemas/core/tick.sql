-- What is due by the clock, and what became of it the last time.
create table core.scheduled_tasks (
  name text primary key,
  -- A function without arguments, with its schema. Text, because a `regprocedure` column blocks pg_upgrade.
  procedure text not null check (procedure ~ '^[a-z_]+\.[a-z_]+$'),
  every interval not null check (every >= interval '1 second'),
  next_run_at timestamptz not null default '-infinity',
  last_run_at timestamptz,
  last_milliseconds integer,
  last_error text
);
alter table core.scheduled_tasks enable row level security;
comment on table core.scheduled_tasks is 'Procedures that core.tick() runs; each works off a bounded batch a run.';

create function core.tick()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_task core.scheduled_tasks;
  v_started_at timestamptz;
  v_error text;
  v_due integer;
begin
  if pg_try_advisory_xact_lock(hashtextextended('core.tick', 0)) then
    for v_task in
      select t.* from core.scheduled_tasks as t where t.next_run_at <= core.now() order by t.next_run_at, t.name
    loop
      v_started_at := clock_timestamp();
      v_error := null;
      begin
        execute format('select %s()', v_task.procedure);
      exception when others then
        v_error := format('%s: %s', sqlstate, sqlerrm);
        perform ops.record_error(
          core.error_code('internal/error'), 'tick', null, null,
          jsonb_build_object('task', v_task.name, 'error', v_error)
        );
      end;
      update core.scheduled_tasks as t
      set next_run_at = core.now() + v_task.every,
          last_run_at = core.now(),
          last_milliseconds = extract(epoch from clock_timestamp() - v_started_at) * 1000,
          last_error = v_error
      where t.name = v_task.name;
    end loop;
  end if;

  v_due := queue.count_due();
  if v_due > 0 then
    perform core.call_worker();
  end if;
  return v_due;
end;
$$;
comment on function core.tick() is
  'The one thing that pg_cron calls, every 5 seconds. Runs what is due, and returns how many tasks wait for a worker (1000
stands for more). Locks: an advisory lock, so that two ticks at once do the work of one; then what the procedures take.
A second call at once runs nothing and still returns the count. A procedure that raises is rolled back alone, noted in
last_error and the error log, and tried again after its interval.';

create function core.call_worker()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Posts to `process-jobs` with pg_net, with `kinora_functions_url` and `kinora_worker_key` from Vault.
-- Without pg_net or either secret it does nothing: whoever called the tick sees the count and posts itself.
-- pg_net sends after the commit, and never waits for the answer.
declare
  v_url text;
  v_key text;
begin
  if to_regproc('net.http_post') is null then
    return;
  end if;
  select w.url, w.key into v_url, v_key from core.worker_address() as w;
  if v_url is null or v_key is null then
    return;
  end if;
  execute 'select net.http_post(url := $1, headers := $2, body := ''{}''::jsonb)'
    using v_url || '/process-jobs', jsonb_build_object(
      'authorization', 'Bearer ' || v_key, 'content-type', 'application/json'
    );
end;
$$;

-- The platform's own clock, where it has one. Elsewhere local/scheduler.ts calls the same tick, so that a server which
-- has their files but does not preload them, or lets only its superuser make them, needs neither.
do $$
begin
  if exists (select from pg_available_extensions as e where e.name = 'pg_net') then
    create extension if not exists pg_net with schema extensions;
  end if;
exception when others then
  raise warning 'pg_net could not be made: %', sqlerrm;
end;
$$;

do $$
begin
  if exists (select from pg_available_extensions as e where e.name = 'pg_cron') then
    create extension if not exists pg_cron;
    perform cron.schedule('kinora-tick', '5 seconds', 'select core.tick()');
  end if;
exception when others then
  raise warning 'pg_cron could not be made, and nothing calls the tick: %', sqlerrm;
end;
$$;
