-- What is asked of a hosted project, so that the tick comes and wakes the worker.

create function core.worker_address(out url text, out key text)
language plpgsql
volatile
set search_path = ''
as $$
-- Where the functions are, and the key that opens `process-jobs` and nothing else, from Vault, without white space at
-- their ends; null where they are not set. Takes no lock; a second call reads them again.
begin
  if to_regclass('vault.decrypted_secrets') is null then
    return;
  end if;
  execute 'select max(btrim(s.decrypted_secret, E'' \t\r\n'')) filter (where s.name = ''kinora_functions_url''),
                  max(btrim(s.decrypted_secret, E'' \t\r\n'')) filter (where s.name = ''kinora_worker_key'')
           from vault.decrypted_secrets as s'
    into url, key;
end;
$$;
create function core.missing_parts(p_server_version integer default current_setting('server_version_num')::integer)
returns text[]
language plpgsql
volatile
set search_path = ''
as $$
-- What a hosted project lacks of what docs/deploying.md asks for, by the names of its table; {} where nothing is
-- missing. A test says what version the server has. Takes no lock; a second call looks again.
declare
  v_missing text[] := '{}';
  v_cron text := (select e.extversion from pg_extension as e where e.extname = 'pg_cron');
  v_ticks boolean := false;
  v_url text;
  v_key text;
begin
  if p_server_version < 170000 then
    v_missing := v_missing || 'postgres_17'::text;
  end if;

  -- Older ones know no seconds, and the tick comes every five.
  if v_cron is null or string_to_array(substring(v_cron from '^\d+\.\d+'), '.')::integer[] < array[1, 5] then
    v_missing := v_missing || 'pg_cron'::text;
  end if;
  if v_cron is not null then
    execute 'select exists (select from cron.job as j where j.jobname = ''kinora-tick'' and j.active
      and j.command = ''call core.tick()'')' into v_ticks;
    if not v_ticks then
      v_missing := v_missing || 'tick_job'::text;
    end if;
  end if;

  if to_regproc('net.http_post') is null then
    v_missing := v_missing || 'pg_net'::text;
  end if;
  begin
    select w.url, w.key into v_url, v_key from core.worker_address() as w;
  exception when others then
    -- Vault cannot read its secrets: its key is another than they were written with.
    raise warning 'the secrets of Vault cannot be read: %', sqlerrm;
  end;
  if v_url is null or v_url !~ '^https://[a-z0-9.-]+(:[0-9]+)?/functions/v1$' then
    v_missing := v_missing || 'functions_url'::text;
  end if;
  -- As long as the function asks for: a shorter one opens nothing.
  if v_key is null or length(v_key) < 32 then
    v_missing := v_missing || 'worker_key'::text;
  end if;
  if not exists (
    select from pg_policy as p
    where p.polname = 'listen_to_own_channel' and p.polrelid = to_regclass('realtime.messages')
  ) then
    v_missing := v_missing || 'realtime_policy'::text;
  end if;
  return v_missing;
end;
$$;

create table core.written (
  at timestamptz not null
);
alter table core.written enable row level security;
comment on table core.written is 'One row, which core.check_writes() writes, to find out whether it can.';

create function core.check_writes()
returns void
language plpgsql
volatile
set search_path = ''
-- So little that what is sorted below goes to the disk.
set work_mem = '64kB'
as $$
-- Raises what every write would raise, where the database takes none: read_only_sql_transaction where it is a standby, or
-- the platform has stopped writes since the disk is nearly full; disk_full where it is. Locks: the row, which is never
-- waited for. A second call writes again.
begin
  update core.written as w set at = core.now()
  where w.ctid = any (array(select o.ctid from core.written as o limit 1 for update skip locked));
  if not found then
    insert into core.written (at) select core.now() where not exists (select from core.written);
  end if;
  -- A row that is written in its place needs no new room, and so tells nothing about the disk; 200 kB that are sorted do.
  perform from (
    select n from generate_series(1, 2000) as n order by md5(n::text) || repeat('x', 64) offset 1999
  ) as sorted;
end;
$$;

-- Whoever leaves a transaction open, in the SQL editor or by a connection that hangs, holds its locks for a minute and no
-- longer. The Data API's statements and locks are bounded by the platform, what the tick does by its tasks.
do $$
begin
  execute format('alter database %I set idle_in_transaction_session_timeout = ''1min''', current_database());
exception when insufficient_privilege then
  raise warning 'sessions may stay idle in a transaction for ever: %', sqlerrm;
end;
$$;
