create function core.call_worker()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Posts to `process-jobs` with pg_net, with `kinora_functions_url` and `kinora_worker_key` from Vault.
-- Without pg_net or either secret it does nothing: whoever runs the tick elsewhere posts themselves.
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

create function core.wake_worker()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `wake_worker`, which comes before all others: calls the worker where tasks wait for one.
begin
  if queue.count_due() > 0 then
    perform core.call_worker();
  end if;
end;
$$;

create function core.last_tick_at()
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
-- When the tick came last: each time, it runs `wake_worker` first. Null where it never came.
begin
  return (select t.last_run_at from core.scheduled_tasks as t where t.name = 'wake_worker');
end;
$$;

create function core.schedule_tick()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Has pg_cron call the tick, from two clocks. A second call changes nothing.
begin
  execute 'select cron.schedule(c.name, ''5 seconds'', ''call core.tick()'')
    from unnest(array[''kinora-tick'', ''kinora-tick-2'']) as c (name)';
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
    perform core.schedule_tick();
  end if;
exception when others then
  raise warning 'pg_cron could not be made, and nothing calls the tick: %', sqlerrm;
end;
$$;
