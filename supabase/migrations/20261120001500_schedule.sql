-- The platform's own clock, where it has one. Elsewhere local/scheduler.ts calls the same tick, so that a server which has
-- their files but does not preload them, or lets only its superuser make them, needs neither.

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
    perform cron.schedule('kinora-tick', '5 seconds', 'select ops.tick()');
  end if;
exception when others then
  raise warning 'pg_cron could not be made, and nothing calls the tick: %', sqlerrm;
end;
$$;
