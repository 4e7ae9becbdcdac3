-- The platform's own clock, where it has one. Elsewhere local/scheduler.ts calls the same tick.

do $$
begin
  if exists (select from pg_available_extensions as e where e.name = 'pg_net') then
    create extension if not exists pg_net;
  end if;
  if exists (select from pg_available_extensions as e where e.name = 'pg_cron') then
    create extension if not exists pg_cron;
    perform cron.schedule('kinora-tick', '5 seconds', 'select ops.tick()');
  end if;
end;
$$;
