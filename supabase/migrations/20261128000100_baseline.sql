-- Made from supabase/schemas by `deno task generate`. Edit those files, not this one.

-- supabase/schemas/core/core.sql

-- core: what every other domain stands on. In this order: core.sql, errors.sql, time.sql,
-- platform.sql, tick.sql, scheduler.sql, rows.sql.
--
-- A domain is a schema and a folder; docs/database.md has the order in which they are read and made.

-- A hosted project grants everything in `public` to the API roles, and Postgres lets everybody execute a new function.
-- Both end here, once: from now on whoever may use an object is named where it is made, and a test holds the whole
-- matrix.
alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges in schema public revoke all on functions from anon, authenticated, service_role;
alter default privileges revoke execute on functions from public;

create schema core;

-- Who can own credits, work and files.
create type core.owner_kind as enum ('user', 'organisation', 'system');

-- supabase/schemas/core/errors.sql

-- Made from the registry in supabase/functions/_shared/errors/error-codes.ts by `deno task generate`.

create function core.error_code(p_category text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
-- The code of an error by its category. Raises case_not_found for one that is none.
begin
  case p_category
    when 'payment/insufficient-credits' then return 'ERR_4001';
    when 'model/not-available' then return 'ERR_4002';
    when 'prompt/refused' then return 'ERR_4003';
    when 'limit/rate-exceeded' then return 'ERR_4004';
    when 'auth/unauthenticated' then return 'ERR_4005';
    when 'auth/forbidden' then return 'ERR_4006';
    when 'resource/not-found' then return 'ERR_4007';
    when 'request/malformed' then return 'ERR_4008';
    when 'resource/wrong-state' then return 'ERR_4009';
    when 'idempotency/key-missing' then return 'ERR_4010';
    when 'idempotency/key-reused' then return 'ERR_4011';
    when 'idempotency/in-progress' then return 'ERR_4012';
    when 'request/too-large' then return 'ERR_4013';
    when 'request/method-not-allowed' then return 'ERR_4014';
    when 'device/not-verified' then return 'ERR_4015';
    when 'purchase/not-verified' then return 'ERR_4016';
    when 'auth/suspended' then return 'ERR_4017';
    when 'request/not-json' then return 'ERR_4018';
    when 'upload/not-usable' then return 'ERR_4019';
    when 'upload/quota-exceeded' then return 'ERR_4020';
    when 'consent/missing' then return 'ERR_4021';
    when 'video/removed' then return 'ERR_4022';
    when 'provider/timed-out' then return 'ERR_5001';
    when 'provider/unavailable' then return 'ERR_5002';
    when 'provider/rejected' then return 'ERR_5003';
    when 'database/unavailable' then return 'ERR_6001';
    when 'storage/failed' then return 'ERR_6002';
    when 'internal/error' then return 'ERR_6003';
    when 'feature/switched-off' then return 'ERR_6004';
  end case;
end;
$$;

-- How grave it is, as its level in the log.
create function core.error_severity(p_code text)
returns text
language sql
immutable
return case
  when p_code in ('ERR_4001', 'ERR_4002', 'ERR_4003', 'ERR_4004', 'ERR_4005', 'ERR_4007', 'ERR_4008', 'ERR_4009', 'ERR_4010', 'ERR_4012', 'ERR_4013', 'ERR_4014', 'ERR_4017', 'ERR_4018', 'ERR_4019', 'ERR_4020', 'ERR_4021', 'ERR_4022', 'ERR_6004') then 'info'
  when p_code in ('ERR_4006', 'ERR_4011', 'ERR_4015', 'ERR_4016') then 'warn'
  when p_code in ('ERR_5001', 'ERR_5002', 'ERR_5003', 'ERR_6001', 'ERR_6002') then 'error'
  when p_code in ('ERR_6003') then 'critical'
end;

-- Whether a keyed request that ended so answers the same again. The others say something about the moment, not about
-- the request, so the same key may try again.
create function core.is_replayed_error(p_code text)
returns boolean
language sql
immutable
return p_code in (
  'ERR_4001', 'ERR_4002', 'ERR_4003', 'ERR_4007', 'ERR_4009', 'ERR_4015', 'ERR_4016', 'ERR_4019', 'ERR_4022', 'ERR_5001', 'ERR_5002', 'ERR_5003'
);

-- supabase/schemas/core/time.sql

create function core.now()
returns timestamptz
language sql
volatile
-- A body of this form is bound when the function is made, so it needs no search_path, and the planner puts it in the
-- place of the call. A search_path of its own would cost 5 µs a call; docs/decisions/0012-hot-functions.md.
return clock_timestamp();
comment on function core.now() is
  'The time of every decision. A procedure reads it once, after taking its locks. Test databases replace it.';

-- A new UUID that sorts by the time it was made.
create function core.new_id()
returns uuid
language sql
volatile
-- UUID version 7 (RFC 9562): 48 bits of milliseconds, then random bits. New rows so land on one end of their
-- indexes; Postgres 17 has no function for it. Of a random UUID the first 15 characters are replaced, which end with its
-- version: 12 digits of time, one hyphen less than is usual, and a 7. The time has 11 digits until the year 2527.
return overlay(
  gen_random_uuid()::text
  placing '0' || to_hex((date_part('epoch', clock_timestamp()) * 1000)::bigint) || '-7' from 1 for 15
)::uuid;

-- A time as the API shows it: ISO 8601, UTC, milliseconds.
create function core.to_iso(p_time timestamptz)
returns text
language sql
stable
return to_char(p_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- No row made at that time or later has a smaller id.
create function core.first_id_at(p_time timestamptz)
returns uuid
language sql
immutable
-- Of the ids that core.new_id makes, which begin with 48 bits of milliseconds.
return encode(
  overlay('\x00000000000000000000000000000000'::bytea
    placing substring(int8send((date_part('epoch', p_time) * 1000)::bigint) from 3) from 1 for 6),
  'hex')::uuid;

-- supabase/schemas/core/platform.sql

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

-- supabase/schemas/core/tick.sql

-- What is due by the clock, and what became of it the last time.
create table core.scheduled_tasks (
  name text primary key,
  -- A function, with its schema: without arguments, or of one subject. Text, because a `regprocedure` column blocks
  -- pg_upgrade.
  procedure text not null check (procedure ~ '^[a-z_]+\.[a-z_]+$'),
  every interval not null check (every >= interval '1 second'),
  next_run_at timestamptz not null default '-infinity',
  last_run_at timestamptz,
  last_milliseconds integer,
  last_error text,
  -- A function that names what is due now, up to so many, the longest overdue first. Null: there is nothing to name.
  subjects text check (subjects ~ '^[a-z_]+\.[a-z_]+$'),
  -- A transaction that takes longer is ended, with its session; a run that takes longer goes on at the next tick.
  time_limit interval not null default '10 seconds' check (time_limit between interval '1 second' and interval '1 hour'),
  -- Lower first.
  priority smallint not null default 5,
  -- While it runs: until when no other clock runs it. Left behind by a run that did not come back.
  leased_until timestamptz,
  -- How many subjects the last run did.
  last_done integer
);
alter table core.scheduled_tasks enable row level security;
comment on table core.scheduled_tasks is 'What core.tick() runs, each by itself and in short transactions.';

-- A subject that a task could not do stands back, so that it takes nobody else's turn.
create table core.set_aside (
  task text not null,
  subject text not null,
  until timestamptz not null,
  -- How often in a row.
  times integer not null,
  error text,
  primary key (task, subject)
);
alter table core.set_aside enable row level security;
comment on table core.set_aside is 'What a scheduled task could not do, why, and until when it is passed over.';

create function core.claim_task(p_name text)
returns core.scheduled_tasks
language plpgsql
volatile
set search_path = ''
as $$
-- Gives the run of a task to the caller, as its row was before; null where it is not due, or another clock has it. A
-- lease in it was left by a run that did not come back, of which the operator is told. Of those that may take minutes
-- one runs at a time: the other clock is left for the rest. Locks: the long tasks → the task, which are never waited for.
declare
  v_task core.scheduled_tasks;
  v_now timestamptz;
  v_long constant interval := '1 minute';
begin
  -- Two that begin at once do not see each other's lease. Of two numbers, as in ops.take_credits; 4 is long tasks.
  if exists (select from core.scheduled_tasks as t where t.name = p_name and t.time_limit > v_long)
    and (
      not pg_try_advisory_xact_lock(4, 0)
      or exists (
        select from core.scheduled_tasks as o
        where o.name <> p_name and o.time_limit > v_long and o.leased_until > core.now()
      )
    )
  then
    return null;
  end if;
  select t.* into v_task from core.scheduled_tasks as t where t.name = p_name for update skip locked;
  v_now := core.now();
  if not found or v_task.next_run_at > v_now or v_task.leased_until > v_now then
    return null;
  end if;
  update core.scheduled_tasks as t
  set next_run_at = v_now + t.every,
      -- A run begins nothing after its time limit, and the last that it began has as much again.
      leased_until = v_now + 2 * t.time_limit + interval '5 seconds'
  where t.name = p_name;
  if v_task.leased_until is not null then
    perform core.report_failure(v_task, null, format(
      'the run before did not come back: a transaction of it was ended after %s, or the server was', v_task.time_limit
    ));
  end if;
  return v_task;
end;
$$;

create function core.finish_task(
  p_task core.scheduled_tasks, p_milliseconds integer, p_error text, p_done integer, p_has_more boolean
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Ends the run of a task, and says what came of it. One that ran out of time has its turn again at the next tick.
-- Locks: the task.
begin
  update core.scheduled_tasks as t
  set next_run_at = case when p_has_more then core.now() else t.next_run_at end,
      last_run_at = core.now(), last_milliseconds = p_milliseconds, last_error = p_error,
      last_done = p_done, leased_until = null
  where t.name = p_task.name;
end;
$$;

create function core.run_soon(p_name text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Has a task run at the next tick: what it waits for is there. One that runs now runs again. Locks: the task, which a clock
-- holds for a moment.
begin
  update core.scheduled_tasks as t set next_run_at = least(t.next_run_at, core.now()) where t.name = p_name;
end;
$$;

create function core.report_failure(p_task core.scheduled_tasks, p_subject text, p_error text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells the error log and the operator that a task failed, with what. Where that fails too, Postgres' log has it: it
-- must not stop the others. Locks: the alert.
begin
  perform ops.record_error(
    core.error_code('internal/error'), 'tick', null, null,
    jsonb_strip_nulls(jsonb_build_object('task', p_task.name, 'subject', p_subject, 'error', p_error))
  );
  perform ops.raise_alert('scheduled_task', p_task.name, jsonb_strip_nulls(
    jsonb_build_object('subject', p_subject, 'error', p_error)
  ));
exception when query_canceled or others then
  raise warning 'the scheduled task % failed, and this could not be recorded: %', p_task.name, p_error;
end;
$$;

create function core.stand_back(p_task core.scheduled_tasks, p_subject text, p_error text, p_is_busy boolean)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Sets a subject aside and returns how often that was in a row: 10 s where somebody held a lock on it, else from a
-- minute on, and twice as long each time, up to an hour.
declare
  v_now constant timestamptz := core.now();
  v_times integer;
begin
  insert into core.set_aside as s (task, subject, until, times, error)
  values (p_task.name, p_subject, v_now, 1, p_error)
  on conflict (task, subject) do update set times = s.times + 1, error = excluded.error
  returning s.times into v_times;
  update core.set_aside as s
  set until = v_now + case when p_is_busy then interval '10 seconds'
    else interval '1 minute' * least(60, 2 ^ least(v_times - 1, 6)) end
  where s.task = p_task.name and s.subject = p_subject;
  return v_times;
end;
$$;

create function core.attempt(p_task core.scheduled_tasks, p_subject text default null)
returns text
language plpgsql
volatile
set search_path = ''
-- Whoever holds a lock may hold it for long; others wait for nobody.
set lock_timeout = '200ms'
as $$
-- Does a task once, for a subject if it has any, and returns what went wrong: null where nothing did. What went wrong is
-- undone, recorded and told; its subject is set aside. Locks: what the task's procedure takes.
declare
  v_error text;
  v_is_busy boolean;
  v_times integer;
begin
  -- Longer than that and the session ends, whatever it waits for: nothing else can end what runs inside of a call.
  perform set_config(
    'transaction_timeout', (date_part('epoch', p_task.time_limit) * 1000)::integer::text, true
  );
  begin
    if p_subject is null then
      execute format('select %s()', p_task.procedure);
    else
      execute format('select %s(%L)', p_task.procedure, p_subject);
      delete from core.set_aside as s where s.task = p_task.name and s.subject = p_subject;
    end if;
    return null;
  -- A statement_timeout of the role's, or somebody's hand, ends this one thing. The others go on.
  exception when query_canceled or assert_failure or others then
    v_error := format('%s: %s', sqlstate, sqlerrm);
    v_is_busy := sqlstate in ('55P03', '40P01', '40001');
  end;
  if p_subject is not null then
    v_times := core.stand_back(p_task, p_subject, v_error, v_is_busy);
  end if;
  -- Locks come and go; one that is there for the tenth time is worth a look.
  if not v_is_busy or v_times % 10 = 0 then
    perform core.report_failure(p_task, p_subject, v_error);
  end if;
  return v_error;
end;
$$;

create function core.due_subjects(p_task core.scheduled_tasks, p_limit integer, out subjects text[], out error text)
language plpgsql
volatile
set search_path = ''
set lock_timeout = '200ms'
as $$
-- What a task has to do now, but for what is set aside, up to p_limit; or why that cannot be known.
declare
  v_aside constant text[] := array(
    select s.subject from core.set_aside as s where s.task = p_task.name and s.until > core.now()
  );
begin
  perform set_config(
    'transaction_timeout', (date_part('epoch', p_task.time_limit) * 1000)::integer::text, true
  );
  execute format(
    'select array(select d.subject::text from %s($1) as d (subject) where d.subject::text <> all ($2) limit $3)', p_task.subjects
  ) into subjects using p_limit + cardinality(v_aside), v_aside, p_limit;
exception when query_canceled or assert_failure or others then
  error := format('%s: %s', sqlstate, sqlerrm);
  perform core.report_failure(p_task, null, error);
end;
$$;

-- No search_path of its own: a procedure that has one cannot commit. Every name in it has its schema.
create procedure core.run_task(p_name text)
language plpgsql
as $$
-- Runs a task if it is due and no other clock has it: its procedure, or that for each of its subjects, until none is
-- left or its time is over. It commits at the beginning and at the end, and in between so often that no lock is held for
-- longer than a request waits without noticing. Whatever fails, or is killed, undoes what it did itself and no more.
declare
  v_task core.scheduled_tasks;
  v_started_at constant timestamptz := clock_timestamp();
  v_committed_at timestamptz;
  -- After a run that did not come back, a subject is set aside before it is tried: if it was the cause, it is so once.
  v_is_careful boolean;
  -- Names are asked for so many at a time.
  v_batch constant integer := 500;
  v_subjects text[];
  v_subject text;
  v_failure text;
  v_error text;
  v_is_over boolean := false;
  v_all_done integer := 0;
  v_done integer;
begin
  v_task := core.claim_task(p_name);
  commit;
  if v_task.name is null then
    return;
  end if;
  v_is_careful := v_task.leased_until is not null;

  if v_task.subjects is null then
    v_error := core.attempt(v_task);
    commit;
  else
    loop
      select d.subjects, d.error into v_subjects, v_failure from core.due_subjects(v_task, v_batch) as d;
      commit;
      v_error := coalesce(v_failure, v_error);
      exit when coalesce(cardinality(v_subjects), 0) = 0;
      v_done := 0;
      v_committed_at := clock_timestamp();
      foreach v_subject in array v_subjects loop
        if v_is_careful then
          perform core.stand_back(v_task, v_subject, 'the run that tried it did not come back', false);
          commit;
        end if;
        v_failure := core.attempt(v_task, v_subject);
        if v_failure is null then
          v_done := v_done + 1;
        else
          v_error := format('%s: %s', v_subject, v_failure);
        end if;
        if v_is_careful or clock_timestamp() > v_committed_at + interval '50 milliseconds' then
          commit;
          v_committed_at := clock_timestamp();
        end if;
        v_is_over := clock_timestamp() > v_started_at + v_task.time_limit;
        exit when v_is_over;
      end loop;
      commit;
      v_all_done := v_all_done + v_done;
      -- Where nothing could be done, the next batch is for the next run.
      exit when v_is_over or cardinality(v_subjects) < v_batch or v_done = 0;
    end loop;
  end if;

  perform core.finish_task(
    v_task, (extract(epoch from clock_timestamp() - v_started_at) * 1000)::integer, v_error,
    case when v_task.subjects is not null then v_all_done end, v_is_over
  );
  commit;
end;
$$;

create procedure core.tick()
language plpgsql
as $$
declare
  v_name text;
begin
  foreach v_name in array array(
    select t.name from core.scheduled_tasks as t
    where t.next_run_at <= core.now()
    order by t.priority, t.next_run_at, t.name
  ) loop
    call core.run_task(v_name);
  end loop;
end;
$$;
comment on procedure core.tick() is
  'What pg_cron calls, every 5 seconds, from two clocks: while one is at something slow, the other does the rest. Runs each
task that is due, by itself and in transactions of its own; one that is slow, broken, cancelled or killed undoes no other,
is noted in last_error and the error log, and alerts. A second call at once takes what the first has not begun.
Not inside a transaction: it commits.';

-- supabase/schemas/core/scheduler.sql

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

-- supabase/schemas/core/rows.sql

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

-- supabase/schemas/accounts/accounts.sql

-- accounts: who there is, and what becomes of them. In this order: accounts.sql, admission.sql, erasure.sql,
-- closing.sql, apple-revocation.sql, merging.sql, exports.sql, identities.sql, channels.sql.

create schema accounts;

create table accounts.users (
  -- Equal to auth.users.id, without a foreign key: a closed account stays as a tombstone.
  id uuid primary key,
  -- What others may see of whom this is: it stands in storage paths and webhook URLs, where the id does not.
  reference uuid not null unique default gen_random_uuid(),
  display_name text check (char_length(display_name) between 1 and 50),
  language text check (language in ('en', 'tr', 'es')),
  theme_preference text not null default 'system' check (theme_preference in ('system', 'light', 'dark')),
  is_admin boolean not null default false,
  is_banned boolean not null default false,
  closed_at timestamptz,
  created_at timestamptz not null default now(),
  -- What an app gives the store with a purchase, so that whoever presents it, this user is credited. Not the id: whoever
  -- knows it can buy for the user, and have that refunded.
  app_account_token uuid not null unique default gen_random_uuid(),
  -- Whether Apple may be told how much of a purchase was used, when its refund is asked for.
  shares_consumption boolean not null default false,
  -- Who this guest became; from then on nobody acts as the guest.
  merged_into uuid constraint users_another check (merged_into <> id),
  -- Who may get this user's prompts and images, by the names that models.processed_by has.
  accepted_processors text[] not null default '{}'
    check (cardinality(accepted_processors) <= 20 and array_position(accepted_processors, null) is null),
  -- What the user wants to hear of, by type and channel: what notify.with_changes made of their choices.
  notification_preferences jsonb not null default '{}'
);
alter table accounts.users enable row level security;
create index users_merged_into on accounts.users (merged_into) where merged_into is not null;
create index users_created_at on accounts.users (created_at);
comment on table accounts.users is 'Accounts, made by the first procedure that needs one; closed and merged ones are tombstones.';

-- A tombstone says who it was, and nothing about them.
alter table accounts.users add constraint users_tombstone check (
  closed_at is null or (display_name is null and language is null and theme_preference = 'system' and not is_admin
    and not shares_consumption and accepted_processors = '{}' and notification_preferences = '{}')
);

-- A closed account is never opened again, nor does a merged one become its own, by whatever hand.
create function accounts.keep_tombstones()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'the account of user % is % for good', old.id,
    case when old.closed_at is not null then 'closed' else 'merged' end
    using errcode = 'restrict_violation';
end;
$$;

create trigger keep_tombstones before update of id, closed_at on accounts.users
  for each row when (old.closed_at is not null and (new.id, new.closed_at) is distinct from (old.id, old.closed_at))
  execute function accounts.keep_tombstones();
create trigger keep_merged before update of id, merged_into on accounts.users
  for each row when (old.merged_into is not null and (new.id, new.merged_into) is distinct from (old.id, old.merged_into))
  execute function accounts.keep_tombstones();
create trigger keep_tombstones_from_deletion before delete on accounts.users
  for each row when (old.closed_at is not null or old.merged_into is not null) execute function accounts.keep_tombstones();

select core.keep_rows_out_of_logs('accounts.users');

-- supabase/schemas/guard/guard.sql

-- guard: what stands between a request and the work. In this order: guard.sql, idempotency.sql, rate-limits.sql.

create schema guard;

-- A procedure's "no": the code of an error, which sources name by its category, its details, the limits that were asked, and
-- the user's language.
create function guard.refusal(
  p_category text, p_details jsonb default '{}', p_limits jsonb default null, p_language text default null
)
returns jsonb
language sql
stable
return jsonb_strip_nulls(jsonb_build_object(
  'error', core.error_code(p_category), 'details', p_details, 'limits', p_limits, 'language', p_language
));

-- What guard.take says: the limits as the API shows them, the envelope to return instead of going on, if any, and the times
-- that were counted, in the order of the policies, null for one that is broken. The limits are the text of JSON objects
-- with commas between, null for none: to read them as JSON costs more than to count, and is done once, by who needs it.
create type guard.taken as (limits text, refusal jsonb, hits timestamptz[]);

-- Limits as JSON.
create function guard.limits_json(p_limits text)
returns jsonb
language sql
immutable
return ('[' || coalesce(p_limits, '') || ']')::jsonb;

create function guard.enter(
  p_user_id uuid, p_endpoint text, p_policies text[], p_network text, p_locks boolean default false,
  p_suspended boolean default false, p_session_id uuid default null,
  out refusal jsonb, out limits jsonb, out language text, out is_new boolean, out account_id bigint, out balance bigint
)
language plpgsql
volatile
set search_path = ''
as $$
-- The beginning of a procedure without an idempotency key: whether the caller may act, and whether the policies admit
-- it. `refusal` is what to return, or null. With p_locks the account is locked and has no expired lots, and `balance`
-- is what it has. Who waited for a lock is asked again: the account may have been closed meanwhile, or its user
-- suspended. p_suspended and p_session_id are as in accounts.admit. Locks: rate-limit rows → account → expired lots.
declare
  v_caller record;
  v_taken guard.taken;
  v_locked record;
begin
  v_caller := accounts.admit(p_user_id, p_suspended, p_session_id);
  language := v_caller.language;
  refusal := v_caller.refusal;
  is_new := v_caller.is_new;
  if refusal is not null then
    return;
  end if;
  v_taken := guard.take(p_policies, p_user_id, p_network, p_endpoint);
  refusal := guard.in_language(v_taken.refusal, language);
  limits := guard.limits_json(v_taken.limits);
  if refusal is not null then
    return;
  end if;
  if p_locks then
    v_locked := accounts.lock(p_user_id, p_suspended);
    refusal := v_locked.refusal;
    account_id := (v_locked.account).id;
    balance := (v_locked.account).balance;
  else
    refusal := (accounts.admit(p_user_id, p_suspended)).refusal;
  end if;
  if refusal is not null then
    refusal := refusal || jsonb_build_object('limits', limits);
  end if;
end;
$$;

-- A procedure's answer: the data, the limits that were asked, the user's language.
create function guard.answer(p_data jsonb, p_limits jsonb default null, p_language text default null)
returns jsonb
language sql
stable
-- The data stands here once: what a body names twice is not put in the place of its call where it is dear or volatile.
return jsonb_build_object('data', p_data) || case
  when p_limits is null and p_language is null then '{}'
  when p_language is null then jsonb_build_object('limits', p_limits)
  when p_limits is null then jsonb_build_object('language', p_language)
  else jsonb_build_object('limits', p_limits, 'language', p_language)
end;

-- A keyed procedure's answer, as JSON that nobody reads before it is sent: an outcome, with the limits of guard.taken and the
-- user's language, which it does not have.
create function guard.reply(p_outcome jsonb, p_limits text, p_language text)
returns json
language sql
immutable
return (
  left(p_outcome::text, -1) || coalesce(',"limits":[' || p_limits || ']', '')
    || coalesce(',"language":"' || p_language || '"', '') || '}'
)::json;

-- An outcome that was made without knowing the user's language.
create function guard.in_language(p_outcome jsonb, p_language text)
returns jsonb
language sql
stable
return case
  when p_language is null then p_outcome else p_outcome || jsonb_build_object('language', p_language)
end;

-- supabase/schemas/guard/idempotency.sql

-- One row per finished request. There is no "in progress" row: a crash leaves nothing to clean up.
create table guard.idempotency_keys (
  caller uuid not null,
  endpoint text not null,
  -- Up to 255 characters; the wrapper has checked it.
  key text not null,
  -- SHA-256 of the canonical request, in hex.
  fingerprint text not null,
  outcome jsonb not null,
  expires_at timestamptz not null,
  primary key (caller, endpoint, key)
);
alter table guard.idempotency_keys enable row level security;
-- Rows come in the order in which they expire, which is what a BRIN needs to find the oldest at next to no cost.
create index idempotency_keys_expires_at on guard.idempotency_keys using brin (expires_at) with (autosummarize = on);
comment on table guard.idempotency_keys is 'Outcomes of keyed requests, kept 24 hours for replay.';

-- What nobody outside knows. A database has its own from its first migration on.
create table guard.secrets (
  name text primary key,
  secret bytea not null check (octet_length(secret) >= 32)
);
alter table guard.secrets enable row level security;
comment on table guard.secrets is 'Random bytes that keep what callers write from meaning anything to the database.';

-- The advisory lock of an idempotency key. A caller writes the key, and must be able to choose nobody else's lock: it is
-- hashed with a secret, and the locks of one number are for these keys alone; whatever else we lock has two.
create function guard.lock_key(p_secret bytea, p_caller uuid, p_endpoint text, p_key text)
returns bigint
language sql
stable
return hashtextextended(sha256(p_secret || convert_to(format('%s %s %s', p_caller, p_endpoint, p_key), 'UTF8'))::text, 0);

create function guard.claim(p_caller uuid, p_endpoint text, p_key text, p_fingerprint text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Claims a key for the rest of the transaction. Null: the work is the caller's to do, and guard.finish ends it.
-- Otherwise the answer to give: the stored outcome with `replayed`, idempotency/key-reused for another request under
-- the same key, both of which count in `replays`; idempotency/in-progress while the first request runs. Locks: an
-- advisory lock on (caller, endpoint, key), never waited for → rate-limit row, for a known key.
declare
  v_is_mine boolean;
  v_row guard.idempotency_keys;
  v_taken guard.taken;
begin
  select pg_try_advisory_xact_lock(guard.lock_key(s.secret, p_caller, p_endpoint, p_key)) into strict v_is_mine
  from guard.secrets as s
  where s.name = 'lock_keys';
  if not v_is_mine then
    return guard.refusal('idempotency/in-progress', '{"retry_after": 1}');
  end if;

  -- A statement of its own: its snapshot is younger than the lock, so it sees what the last holder committed.
  select k.* into v_row
  from guard.idempotency_keys as k
  where k.caller = p_caller and k.endpoint = p_endpoint and k.key = p_key;

  if not found or v_row.expires_at <= core.now() then
    return null;
  end if;
  v_taken := guard.take('{replays}', p_caller, null, p_endpoint);
  if v_taken.refusal is not null then
    return v_taken.refusal;
  end if;
  if v_row.fingerprint <> p_fingerprint then
    return guard.refusal('idempotency/key-reused');
  end if;
  return v_row.outcome || '{"replayed": true}';
end;
$$;

create function guard.finish(
  p_caller uuid, p_endpoint text, p_key text, p_fingerprint text, p_outcome jsonb
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Ends what guard.claim began and returns the outcome. It is stored without its limits, which belong to the
-- moment, unless its code is one that may be tried again. An expired row of the same key is overwritten.
begin
  if p_outcome ? 'error' and not core.is_replayed_error(p_outcome ->> 'error') then
    return p_outcome;
  end if;
  insert into guard.idempotency_keys as k (caller, endpoint, key, fingerprint, outcome, expires_at)
  values (p_caller, p_endpoint, p_key, p_fingerprint, p_outcome - 'limits', core.now() + interval '24 hours')
  on conflict (caller, endpoint, key) do update
    set fingerprint = excluded.fingerprint, outcome = excluded.outcome, expires_at = excluded.expires_at;
  return p_outcome;
end;
$$;

create function guard.pass_keys(p_guest_id uuid, p_heir_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a guest's keys to their heir, so that a retry by the heir is a replay. Of a key that the heir has used as well the
-- guest's is dropped. Raises serialization_failure while the heir's own request under such a key runs: the caller tries
-- the whole again. Locks: advisory locks on the keys of what was done, not waited for → the guest's rows.
begin
  perform from guard.idempotency_keys as k join guard.secrets as s on s.name = 'lock_keys'
  where k.caller = p_guest_id and k.outcome ? 'data' and k.expires_at > core.now()
    and not pg_try_advisory_xact_lock(guard.lock_key(s.secret, p_heir_id, k.endpoint, k.key));
  if found then
    raise exception 'a request under a key of the guest runs' using errcode = 'serialization_failure';
  end if;
  delete from guard.idempotency_keys as k
  using guard.idempotency_keys as o
  where k.caller = p_guest_id and o.caller = p_heir_id and o.endpoint = k.endpoint and o.key = k.key;
  update guard.idempotency_keys as k set caller = p_heir_id where k.caller = p_guest_id;
end;
$$;

select core.keep_rows_out_of_logs('guard.idempotency_keys');

-- supabase/schemas/guard/rate-limits.sql

create type guard.scope as enum ('user', 'network', 'endpoint', 'global');

create type guard.failure_mode as enum ('open', 'closed');

create table guard.policies (
  name text primary key check (name ~ '^[a-z_]{1,63}$'),
  scope guard.scope not null,
  -- What any window of this length admits, exactly.
  max_hits integer not null check (max_hits between 1 and 1000000),
  window_seconds integer not null check (window_seconds between 1 and 604800),
  -- Credits and grants are counted from the rows that gave them; hits are kept here, each by its time.
  counts text not null default 'hits' check (counts in ('hits', 'credits', 'grants')),
  window_length interval not null generated always as (make_interval(secs => window_seconds)) stored,
  -- What a broken limiter means: `open` admits, `closed` refuses with database/unavailable.
  on_failure guard.failure_mode not null,
  -- Whether the hits survive a crash of the database. Policies that guard money do.
  is_logged boolean not null,
  -- What is left of the limit while an alert has lowered it: never below a tenth.
  throttle_percent integer not null default 100 check (throttle_percent between 10 and 100),
  -- What is admitted now, and what answers say. Stored, so that whoever takes a hit pays nothing for it.
  admits integer not null generated always as (greatest(1, max_hits * throttle_percent / 100)) stored,
  check (on_failure = 'open' or is_logged),
  -- 300 times are 2.4 kB: a page holds such a row and its next version. A longer one is too long to rewrite each time.
  constraint a_window_keeps_at_most_300_hits check (counts <> 'hits' or max_hits <= 300)
);
alter table guard.policies enable row level security;
comment on table guard.policies is 'Rate limits; a change takes effect with the next request.';

-- The hits of the current window, one row per policy and subject. Two partitions, so that who reads or deletes hits
-- need not know which policies are logged. Half of each page stays free: an update then stays in its page (HOT).
create table guard.hits (
  is_logged boolean not null,
  policy text not null,
  subject text not null,
  hits timestamptz[] not null,
  primary key (is_logged, policy, subject)
) partition by list (is_logged);

create table guard.hits_logged partition of guard.hits for values in (true) with (fillfactor = 50);

create unlogged table guard.hits_unlogged partition of guard.hits for values in (false) with (fillfactor = 50);
alter table guard.hits enable row level security;
alter table guard.hits_logged enable row level security;
alter table guard.hits_unlogged enable row level security;
comment on table guard.hits is 'Times of the hits inside a policy''s window, oldest first.';

create function guard.fails_closed(p_policy text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- What a broken limiter of this policy means: true refuses. A policy whose row is gone is broken, too, and then those that
-- guard money refuse; the reference rows say the same of each, which a test holds. Takes no lock.
begin
  return coalesce(
    (select p.on_failure = 'closed' from guard.policies as p where p.name = p_policy),
    p_policy in ('video_generation', 'uncaptured_jobs', 'device_grants', 'device_grants_global', 'admin_credits',
      'sandbox_credits', 'sandbox_credits_global')
  );
end;
$$;

-- A limit as the API shows it, `reset` being the whole seconds until the hit leaves its window. The names need no quoting.
create function guard.limit_text(
  p_policy guard.policies, p_is_allowed text, p_current integer, p_remaining integer, p_hit timestamptz
)
returns text
language sql
volatile
return format(
  '{"policy":"%s","allowed":%s,"current":%s,"limit":%s,"window":%s,"remaining":%s,"reset":%s}',
  (p_policy).name, p_is_allowed, p_current, (p_policy).admits, (p_policy).window_seconds, p_remaining,
  greatest(1, ceil(date_part('epoch', p_hit + (p_policy).window_length - core.now())))
);

create function guard.throttle(p_policy text, p_percent integer)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Leaves so many percent of a policy's limit, from the next request on; 100 is all of it. A second call changes nothing.
-- Locks: the policy.
begin
  update guard.policies as p set throttle_percent = p_percent
  where p.name = p_policy and p.throttle_percent <> p_percent;
end;
$$;

create function guard.set_limit(p_policy text, p_max_hits integer, p_window_seconds integer)
returns guard.policies
language plpgsql
volatile
set search_path = ''
as $$
-- Changes what a policy admits, null being as it is, and returns it as it is then; null where there is none. A second call
-- changes nothing. Locks: the policy.
declare
  v_policy guard.policies;
begin
  update guard.policies as p
  set max_hits = coalesce(p_max_hits, p.max_hits), window_seconds = coalesce(p_window_seconds, p.window_seconds)
  where p.name = p_policy
  returning p.* into v_policy;
  return v_policy;
end;
$$;

create function guard.take(p_policies text[], p_user_id uuid, p_network text, p_endpoint text)
returns guard.taken
language plpgsql
volatile
set search_path = ''
as $$
-- Counts one attempt against several policies, all or none. `hits` are for guard.give_back. `refusal` is
-- limit/rate-exceeded, or database/unavailable where a limiter that fails closed is broken. Those that fail open are
-- then passed over. A policy without its row is broken. An unknown network is one subject, shared by all who have none.
-- Locks: one row a policy, in the order that is given, until the transaction ends: callers name policies in the order of
-- their names, which tests/contract/policies_test.ts holds them to. Time is read after that lock, so that hits are in order
-- and no window admits one too many.
declare
  v_name text;
  v_policy guard.policies;
  v_subject text;
  v_hits timestamptz[];
  v_used integer;
  v_taken guard.taken;
begin
  -- One by one: a plan for `name = any (…)` is made anew at every call.
  foreach v_name in array p_policies loop
    select p.* into v_policy from guard.policies as p where p.name = v_name;
    if not found then
      raise exception 'a policy has no row';
    end if;
    v_subject := case v_policy.scope
      when 'user' then p_user_id::text
      when 'network' then coalesce(p_network, 'unknown')
      when 'endpoint' then p_endpoint
      else 'all'
    end;
    -- The hit joins those that are still inside the window, without being asked for: a refusal undoes it. They stand in
    -- order, so their number is a place. Twice the same, each into its partition: finding it costs half as much again as
    -- the statement.
    if v_policy.is_logged then
      insert into guard.hits_logged as h (is_logged, policy, subject, hits)
      values (true, v_name, v_subject, array[core.now()])
      on conflict (is_logged, policy, subject) do update
        set hits = h.hits[width_bucket(core.now() - v_policy.window_length, h.hits) + 1:] || core.now()
      returning h.hits into v_hits;
    else
      insert into guard.hits_unlogged as h (is_logged, policy, subject, hits)
      values (false, v_name, v_subject, array[core.now()])
      on conflict (is_logged, policy, subject) do update
        set hits = h.hits[width_bucket(core.now() - v_policy.window_length, h.hits) + 1:] || core.now()
      returning h.hits into v_hits;
    end if;
    v_used := cardinality(v_hits);
    if v_used > v_policy.admits then
      -- Without the attempt that is refused. A hit leaves: the oldest, or a later one where the operator lowered the limit.
      v_taken.limits := guard.limit_text(v_policy, 'false', v_used - 1, 0, v_hits[v_used - v_policy.admits]);
      v_taken.refusal := guard.refusal(
        'limit/rate-exceeded',
        jsonb_build_object('policy', v_name, 'retry_after', v_taken.limits::jsonb -> 'reset'),
        guard.limits_json(v_taken.limits)
      );
      v_taken.hits := '{}';
      -- Undoes what this policy and those before it counted.
      raise exception 'refused';
    end if;
    v_taken.limits := concat_ws(',', v_taken.limits, guard.limit_text(
      v_policy, 'true', v_used, v_policy.admits - v_used, v_hits[1]
    ));
    v_taken.hits := v_taken.hits || v_hits[v_used];
  end loop;
  return v_taken;
exception
  -- A deadlock or a lost race is no fault of the limiter: the caller tries the whole again.
  when deadlock_detected or serialization_failure then
    raise;
  when others then
    if v_taken.refusal is not null then
      return v_taken;
    end if;
    if cardinality(p_policies) > 1 then
      return guard.take_each(p_policies, p_user_id, p_network, p_endpoint);
    end if;
    raise warning 'the rate limiter of % is broken: %', p_policies[1], sqlerrm;
    v_taken.limits := null;
    v_taken.hits := array[null::timestamptz];
    if guard.fails_closed(p_policies[1]) then
      v_taken.refusal := guard.refusal('database/unavailable');
    end if;
    return v_taken;
end;
$$;

create function guard.take_each(p_policies text[], p_user_id uuid, p_network text, p_endpoint text)
returns guard.taken
language plpgsql
volatile
set search_path = ''
as $$
-- guard.take when something in it is broken: each policy alone, so that what is broken takes none of the others along.
declare
  v_policy text;
  v_one guard.taken;
  v_all guard.taken;
begin
  foreach v_policy in array p_policies loop
    v_one := guard.take(array[v_policy], p_user_id, p_network, p_endpoint);
    if v_one.refusal is not null then
      raise exception 'refused';
    end if;
    v_all.limits := nullif(concat_ws(',', v_all.limits, v_one.limits), '');
    v_all.hits := v_all.hits || v_one.hits;
  end loop;
  return v_all;
exception
  -- What the others counted is undone; the refusal is what its variable still holds.
  when raise_exception then
    return v_one;
end;
$$;

create function guard.give_back(p_policy text, p_user_id uuid, p_hit timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes one hit of a user's back, by the time that guard.take named for it. One that has left its window, or was never
-- counted, changes nothing; a second call takes another hit of the very same time, if there is one. A limiter that is
-- broken stops nobody: the hit then stays. Locks: the hit's row.
begin
  update guard.hits as h
  set hits = h.hits[: array_position(h.hits, p_hit) - 1] || h.hits[array_position(h.hits, p_hit) + 1 :]
  where h.policy = p_policy and h.subject = p_user_id::text and p_hit = any (h.hits);
exception
  when deadlock_detected or serialization_failure then
    raise;
  when others then
    raise warning 'the rate limiter of % is broken: %', p_policy, sqlerrm;
end;
$$;

create function guard.sweep_hits(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `rate_limit_hits`: deletes rows whose last hit left its window, or whose policy is gone, and returns how
-- many.
declare
  v_deleted integer;
begin
  delete from guard.hits as h
  using (
    select s.is_logged, s.policy, s.subject
    from guard.hits as s
    left join guard.policies as p on p.name = s.policy and p.is_logged = s.is_logged
    where p.name is null
      or s.hits = '{}'
      or s.hits[cardinality(s.hits)] <= p_before - p.window_length
    limit p_batch
    for update of s skip locked
  ) as stale
  where h.is_logged = stale.is_logged and h.policy = stale.policy and h.subject = stale.subject;
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;

-- supabase/schemas/credits/credits.sql

-- credits: a double-entry ledger. Inserting a transfer is the only way that money moves: its row is both entries, and its
-- trigger moves the balances and draws the lots, in the same statement. Nothing here is ever rewritten.
--
-- To read it in one sitting: credits.sql (what there is), transfers.sql (how money moves), lots.sql and accounts.sql
-- (what postings are made of), postings.sql, debts.sql, reversals.sql, expiries.sql (until when lots live), merging.sql,
-- console.sql (the operator's hand), telling.sql (who hears of it), proofs.sql.
--
-- Amounts are whole credits. An entry is signed; over all accounts of a unit the entries sum to zero. A user's
-- accounts carry their balance and refuse to go below zero. System accounts carry none: one row that everybody
-- updates would serialise everybody, so theirs is derived from the entries.

create schema credits;

create type credits.account_kind as enum (
  'available', -- a user's credits
  'owed', -- a user's debt: credits taken back after they were spent
  'grants', 'purchases', -- where credits come from
  'escrow', -- held for running jobs
  'revenue', -- paid for completed jobs
  'breakage', -- expired
  'forfeited', -- left behind in closed accounts
  'sandbox', -- where bought credits come from that cost nobody money
  'merging' -- on their way from a guest's accounts to their heir's, in one transaction: always zero
);

-- Domains, not constraints: Postgres reads a table's constraints anew in every statement that writes it, which costs ten
-- times as much.
create domain credits.amount as bigint check (value between 1 and 1000000000);
create domain credits.balance as bigint check (value >= 0);

create table credits.accounts (
  -- The platform's own accounts have the ids below; credits.system_account knows them, which saves a look-up in every
  -- posting.
  id bigint generated always as identity (start with 1000) primary key,
  kind credits.account_kind not null,
  owner_kind core.owner_kind not null default 'user',
  -- Null for a system account. No foreign key: the ledger outlives the person.
  owner_id uuid,
  unit text not null default 'credit',
  -- Null for a system account.
  balance credits.balance,
  -- Number and hash of the newest entry. With them, a cut-off tail of the chain is seen.
  entry_count bigint not null default 0,
  head_hash bytea not null default '\x',
  -- When the next lot expires; saves looking at the lots in every posting.
  next_expiry_at timestamptz,
  closed_at timestamptz,
  -- Whose account it became a part of: it is empty, and whatever comes to it goes there.
  merged_into uuid
) with (fillfactor = 70);
alter table credits.accounts enable row level security;
create unique index accounts_owner on credits.accounts (owner_id, kind, unit) where owner_id is not null;
create index accounts_expiry on credits.accounts (next_expiry_at) where next_expiry_at is not null;
create index accounts_merged_into on credits.accounts (merged_into) where merged_into is not null;
-- Debts are few, and summed.
create index accounts_owed on credits.accounts (id) where kind = 'owed' and owner_id is not null;
create unique index accounts_system on credits.accounts (kind, unit) where owner_id is null;
comment on table credits.accounts is 'Who has credits: users, and the platform''s own accounts.';

-- A posting is one call under one idempotency key, and what came of it. A refused one is kept as well: its key
-- stays burned, so that a retry never succeeds behind the back of whoever was told no.
create table credits.postings (
  id bigint generated always as identity primary key,
  idempotency_key text not null unique,
  owner_id uuid not null,
  -- The call and its arguments; the same key with others is a mistake of the caller's.
  request jsonb not null,
  outcome jsonb not null,
  created_at timestamptz not null
);
alter table credits.postings enable row level security;
comment on table credits.postings is 'Every call that meant to move credits, with its first result.';

-- Credits come in lots. Spending draws those that expire first, then the oldest.
create table credits.lots (
  id bigint generated always as identity primary key,
  account_id bigint not null references credits.accounts,
  owner_id uuid not null,
  -- Its lot in the guest's account that was merged into this one.
  descends_from bigint references credits.lots,
  expires_at timestamptz,
  amount credits.amount not null,
  -- Never more than the amount: apply_side sees to it.
  remaining credits.balance not null,
  -- What an index may know: it changes with the last credit, so that drawing the others changes no index (HOT).
  is_spent boolean not null generated always as (remaining = 0) stored,
  -- Bought in the store's sandbox, for no money: such credits pay for generation, and for nothing else.
  is_sandbox boolean not null default false
) with (fillfactor = 70);
alter table credits.lots enable row level security;
-- All of an account, the empty ones too, which a merge hands on.
create index lots_account on credits.lots (account_id);
create index lots_spendable on credits.lots (account_id, expires_at nulls last, id) where not is_spent;
create index lots_descends_from on credits.lots (descends_from) where descends_from is not null;
comment on table credits.lots is 'What is left of each grant and purchase.';

-- How much of a lot a transfer took, or put back.
create type credits.draw as (lot_id bigint, amount bigint);

create type credits.transfer_kind as enum (
  'grant', 'purchase', 'refund', 'adjustment', 'hold', 'capture', 'release', 'expiry', 'reversal', 'debt_payment',
  'forfeit', 'merge'
);

create table credits.transfers (
  id uuid primary key default core.new_id(),
  -- The call that it is part of, written a moment before. Null for a hold and its end, whose key is their job.
  posting_id bigint,
  -- Whose credits they are, also while they are the platform's to hold.
  owner_id uuid not null,
  kind credits.transfer_kind not null,
  from_account_id bigint not null,
  to_account_id bigint not null,
  amount credits.amount not null,
  job_id uuid,
  -- The hold that a capture or release ends; the transfer that a reversal takes back; the half of a merge before this one.
  reverses_id uuid,
  -- Lots of the user's account on either side; together they are the whole amount.
  draws credits.draw[] not null default '{}',
  created_at timestamptz not null,
  -- The entry of each side that is a user's: its number in the account, from 1, the balance after it, and the hash that
  -- chains it. apply_transfer writes them, and checks the row: no constraints or foreign keys, which cost more there.
  from_number bigint,
  from_balance bigint,
  from_hash bytea,
  to_number bigint,
  to_balance bigint,
  to_hash bytea
);
alter table credits.transfers enable row level security;
create unique index transfers_from on credits.transfers (from_account_id, from_number) where from_number is not null;
create unique index transfers_to on credits.transfers (to_account_id, to_number) where to_number is not null;
create unique index transfers_hold on credits.transfers (job_id) where kind = 'hold';
create index transfers_refund on credits.transfers (job_id) where kind = 'refund';
-- Exactly one of capture and release, once for a hold.
create unique index transfers_hold_end on credits.transfers (reverses_id) where kind in ('capture', 'release');
create index transfers_reversal on credits.transfers (posting_id) where kind = 'reversal';
create index transfers_reversed on credits.transfers (reverses_id) where kind = 'reversal';
create index transfers_created_at on credits.transfers using brin (created_at);
comment on table credits.transfers is 'A positive amount moved from one account to another of the same unit.';

create view credits.entries with (security_invoker = true) as
select t.id as transfer_id, t.kind, t.job_id, t.from_account_id as account_id, -t.amount as amount,
  t.from_number as number, t.from_balance as balance_after, t.from_hash as hash, t.created_at
from credits.transfers as t
union all
-- Of the other side's type: only so an account's entries are read in their order, from both indexes.
select t.id, t.kind, t.job_id, t.to_account_id, t.amount::bigint, t.to_number, t.to_balance, t.to_hash, t.created_at
from credits.transfers as t;
comment on view credits.entries is 'Both sides of every transfer; a user''s are numbered and chained by hash.';

-- supabase/schemas/credits/transfers.sql

-- SHA-256 over the hash of the account's previous entry, and all that this one says.
create function credits.entry_hash(
  p_previous bytea, p_transfer credits.transfers, p_account_id bigint, p_number bigint, p_balance_after bigint
)
returns bytea
language sql
stable
-- A null leaves its place empty, and nothing has a comma in it but the draws, which stand last: no two entries have the
-- same text. The time is eight bytes, whatever the session's time zone. Arguments of one type stand together, since each
-- change of types costs a look into the catalogue.
return sha256(p_previous || timestamptz_send((p_transfer).created_at) || format(
  '%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s',
  p_account_id, p_number, p_balance_after, (p_transfer).from_account_id, (p_transfer).to_account_id,
  (p_transfer).posting_id, (p_transfer).amount, (p_transfer).id, (p_transfer).owner_id, (p_transfer).job_id,
  (p_transfer).reverses_id, (p_transfer).kind, (p_transfer).draws
)::bytea);

create type credits.entry as (unit text, number bigint, balance bigint, hash bytea);

create function credits.apply_side(p_transfer credits.transfers, p_account_id bigint, p_amount bigint)
returns credits.entry
language plpgsql
volatile
set search_path = ''
as $$
-- What a transfer means to one of its accounts, which p_amount leaves or joins by its sign. A user's account gets the
-- entry that is returned; a system account of another unit is read and never locked, and has none.
declare
  v_entry credits.entry;
  v_kind credits.account_kind;
  v_draw credits.draw;
  v_drawn bigint := 0;
begin
  update credits.accounts as a
  -- A debt counts the other way round: it grows when credits leave through it.
  set balance = a.balance + case a.kind when 'owed' then -p_amount else p_amount end,
      entry_count = a.entry_count + 1,
      head_hash = credits.entry_hash(
        a.head_hash, p_transfer, a.id, a.entry_count + 1,
        a.balance + case a.kind when 'owed' then -p_amount else p_amount end
      )
  where a.id = p_account_id and a.owner_id = p_transfer.owner_id
  returning a.unit, a.kind, a.entry_count, a.balance, a.head_hash
  into v_entry.unit, v_kind, v_entry.number, v_entry.balance, v_entry.hash;
  if not found then
    select a.unit into v_entry.unit from credits.accounts as a where a.id = p_account_id and a.owner_id is null;
    if not found then
      raise exception 'transfer % names an account that is not its owner''s', p_transfer.id
        using errcode = 'check_violation';
    end if;
    return v_entry;
  end if;

  if v_kind = 'available' then
    -- Taken when credits leave, put back when they come: one by one, which is quicker for a few, or many at once.
    if cardinality(p_transfer.draws) > 8 then
      with drawn as (
        update credits.lots as l
        set remaining = l.remaining + sign(p_amount)::integer * d.amount
        from unnest(p_transfer.draws) as d (lot_id, amount)
        where l.id = d.lot_id and l.account_id = p_account_id and d.amount > 0
          and l.remaining + sign(p_amount)::integer * d.amount between 0 and l.amount
        returning d.amount
      )
      select coalesce(sum(d.amount), 0) * sign(p_amount) into v_drawn from drawn as d;
    else
      foreach v_draw in array p_transfer.draws loop
        exit when v_draw.amount < 1;
        if p_amount < 0 then
          v_draw.amount := -v_draw.amount;
        end if;
        update credits.lots as l
        set remaining = l.remaining + v_draw.amount
        where l.id = v_draw.lot_id and l.account_id = p_account_id
          and l.remaining + v_draw.amount between 0 and l.amount;
        exit when not found;
        v_drawn := v_drawn + v_draw.amount;
      end loop;
    end if;
    if v_drawn <> p_amount then
      raise exception 'transfer % does not draw its amount from lots of its account', p_transfer.id
        using errcode = 'check_violation';
    end if;
  end if;
  return v_entry;
end;
$$;

create function credits.apply_transfer()
returns trigger
language plpgsql
set search_path = ''
as $$
-- What a transfer means. Whoever inserts one has locked the user's account and decided; here only broken invariants
-- are left, and they raise check_violation.
declare
  v_from credits.entry;
  v_to credits.entry;
begin
  if new.from_account_id = new.to_account_id
    or (new.posting_id is null and new.job_id is null)
    or (new.kind = 'hold' and new.job_id is null)
    or (new.kind in ('capture', 'release') and new.reverses_id is null)
    or (new.kind = 'capture' and new.draws <> '{}')
  then
    raise exception 'transfer % contradicts itself', new.id using errcode = 'check_violation';
  end if;
  v_from.unit := 'credit';
  v_to.unit := 'credit';
  -- Those of the platform in credits are never changed: not even read.
  if not credits.is_system_account(new.from_account_id) then
    v_from := credits.apply_side(new, new.from_account_id, -new.amount);
  end if;
  if not credits.is_system_account(new.to_account_id) then
    v_to := credits.apply_side(new, new.to_account_id, new.amount);
  end if;
  if v_from.unit <> v_to.unit then
    raise exception 'transfer % crosses units', new.id using errcode = 'check_violation';
  end if;
  -- What has no user's side is under no hash: only captures, which are proved by their holds.
  if (new.kind = 'capture') <> (v_from.number is null and v_to.number is null) then
    raise exception 'transfer % is not between accounts of its kind', new.id using errcode = 'check_violation';
  end if;
  new.from_number := v_from.number;
  new.from_balance := v_from.balance;
  new.from_hash := v_from.hash;
  new.to_number := v_to.number;
  new.to_balance := v_to.balance;
  new.to_hash := v_to.hash;
  -- Of a hold whoever accepts has the answer. Asked here: a trigger's condition is read anew in every statement.
  if new.kind not in ('hold', 'capture', 'forfeit') then
    perform credits.tell(new);
  end if;
  return new;
end;
$$;

-- Keeps what is written as it was written.
create function credits.forbid()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception '% of credits.% is forbidden, for the owner too', lower(tg_op), tg_table_name
    using errcode = 'insufficient_privilege',
      hint = 'Post a compensating transfer instead.';
end;
$$;

create trigger apply before insert on credits.transfers for each row execute function credits.apply_transfer();
create trigger append_only before update or delete on credits.transfers
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.transfers
  for each statement execute function credits.forbid();
create trigger append_only before update or delete on credits.postings
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.postings
  for each statement execute function credits.forbid();
create trigger no_delete before delete on credits.accounts
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.accounts
  for each statement execute function credits.forbid();
create trigger no_delete before delete on credits.lots
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.lots
  for each statement execute function credits.forbid();
-- A balance or a lot moves only from inside apply_transfer: one trigger deep.
create trigger only_by_transfer
  before update of id, kind, owner_kind, owner_id, unit, balance, entry_count, head_hash on credits.accounts
  for each row when (pg_trigger_depth() = 0) execute function credits.forbid();
create trigger only_by_transfer before update of id, account_id, amount, remaining on credits.lots
  for each row when (pg_trigger_depth() = 0) execute function credits.forbid();
-- What was merged stays merged.
create trigger merged_once before update of merged_into on credits.accounts
  for each row when (old.merged_into is not null and new.merged_into is distinct from old.merged_into)
  execute function credits.forbid();
-- Accounts and lots start empty; only a transfer fills them. A user's has a balance, and the platform's have none.
create trigger starts_empty before insert on credits.accounts
  for each row when (
    coalesce(new.balance, 0) <> 0 or new.entry_count <> 0 or new.head_hash <> '\x'
    or (new.kind <= 'owed') <> (new.owner_id is not null) or (new.balance is null) <> (new.owner_id is null)
    or (new.owner_kind = 'system') <> (new.owner_id is null)
  )
  execute function credits.forbid();
create trigger starts_empty before insert on credits.lots
  for each row when (new.remaining <> 0) execute function credits.forbid();

-- supabase/schemas/credits/lots.sql

-- The lots that an amount comes from: those that expire first, then the oldest.
create function credits.choose_lots(p_account_id bigint, p_amount bigint)
returns credits.draw[]
language plpgsql
stable
set search_path = ''
as $$
declare
  v_lot record;
  v_missing bigint := p_amount;
  v_draws credits.draw[] := '{}';
begin
  for v_lot in
    select l.id, l.remaining
    from credits.lots as l
    where l.account_id = p_account_id and not l.is_spent
    order by l.expires_at nulls last, l.id
  loop
    v_draws := v_draws || row(v_lot.id, least(v_lot.remaining, v_missing))::credits.draw;
    v_missing := v_missing - v_lot.remaining;
    exit when v_missing <= 0;
  end loop;
  return v_draws;
end;
$$;

create function credits.lots_of(p_lot_id bigint)
returns setof credits.lots
language sql
stable
set search_path = ''
as $$
  -- A lot, and its successors in the accounts that its own became a part of.
  with recursive found as (
    select l.id from credits.lots as l where l.id = p_lot_id
    union all
    select l.id from credits.lots as l join found as f on l.descends_from = f.id
  )
  select l.* from credits.lots as l where l.id in (select f.id from found as f)
$$;

create function credits.choose_lots_to_pay(p_account_id bigint, p_amount bigint)
returns credits.draw[]
language sql
stable
set search_path = ''
as $$
  -- As spending does, but from none that was bought in the sandbox, and less than the amount where there is no more.
  select coalesce(array_agg(row(o.id, least(o.remaining, p_amount - o.before)::bigint)::credits.draw order by o.before), '{}')
  from (
    select l.id, l.remaining, sum(l.remaining) over (order by l.expires_at nulls last, l.id) - l.remaining as before
    from credits.lots as l
    where l.account_id = p_account_id and not l.is_spent and not l.is_sandbox
  ) as o
  where o.before < p_amount
$$;

-- What draws come to.
create function credits.drawn(p_draws credits.draw[])
returns bigint
language sql
immutable
set search_path = ''
as $$
  select coalesce(sum(d.amount), 0)::bigint from unnest(p_draws) as d (lot_id, amount)
$$;

-- What a job's hold took of lots that were not bought in the sandbox, less what its refunds have given back of it.
create function credits.paid_for(p_job_id uuid)
returns bigint
language sql
stable
set search_path = ''
as $$
  select coalesce(sum(t.direction * d.amount), 0)::bigint
  from (
    select h.draws, 1 as direction from credits.transfers as h where h.job_id = p_job_id and h.kind = 'hold'
    union all
    select r.draws, -1 from credits.transfers as r where r.job_id = p_job_id and r.kind = 'refund'
  ) as t
  cross join lateral unnest(t.draws) as d (lot_id, amount)
  join credits.lots as l on l.id = d.lot_id and not l.is_sandbox
$$;

-- Draws, as they are of the lots' successors in an account that the lots' own was merged into, if it was.
create function credits.successors(p_draws credits.draw[], p_account_id bigint)
returns credits.draw[]
language sql
stable
set search_path = ''
as $$
  with recursive descent as (
    select d.place, l.id, l.account_id, d.amount
    from unnest(p_draws) with ordinality as d (lot_id, amount, place)
    join credits.lots as l on l.id = d.lot_id
    union all
    -- One, or none: an account merges once.
    select s.place, l.id, l.account_id, s.amount
    from descent as s
    join credits.lots as l on l.descends_from = s.id
    where s.account_id <> p_account_id
  )
  select coalesce(array_agg(row(s.id, s.amount)::credits.draw order by s.place), '{}')
  from descent as s
  where s.account_id = p_account_id
$$;

-- Keeps the account's next expiry true to its lots.
create function credits.note_next_expiry(p_account_id bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update credits.accounts as a
  set next_expiry_at = (
    select min(l.expires_at) from credits.lots as l where l.account_id = p_account_id and not l.is_spent
  )
  where a.id = p_account_id;
end;
$$;

-- Lots that expired while their credits were away live 24 hours more.
create function credits.revive_lots(p_account_id bigint, p_draws credits.draw[], p_now timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update credits.lots as l
  set expires_at = p_now + interval '24 hours'
  from unnest(p_draws) as d (lot_id, amount)
  where l.id = d.lot_id and l.account_id = p_account_id and l.expires_at <= p_now;
end;
$$;

-- supabase/schemas/credits/accounts.sql

-- Gives a user an account; a second call changes nothing.
create function credits.open_account(p_owner_id uuid, p_owner_kind core.owner_kind default 'user')
returns void
language sql
volatile
set search_path = ''
as $$
  insert into credits.accounts (kind, owner_kind, owner_id, balance)
  values ('available', p_owner_kind, p_owner_id, 0)
  on conflict do nothing
$$;

create function credits.owed(p_owner_id uuid)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
-- A user's debt: credits taken back after they were spent.
begin
  return coalesce((
    select a.balance from credits.accounts as a where a.owner_id = p_owner_id and a.kind = 'owed' and a.unit = 'credit'
  ), 0);
end;
$$;

create function credits.spendable(p_account credits.accounts)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
-- What can be spent of an account that is not locked: what has expired is none of it, whether it is booked or not. Null without one.
declare
  v_now constant timestamptz := core.now();
begin
  return (p_account).balance - case when (p_account).next_expiry_at <= v_now then (
    select coalesce(sum(l.remaining), 0) from credits.lots as l
    where l.account_id = (p_account).id and not l.is_spent and l.expires_at <= v_now
  ) else 0 end;
end;
$$;

-- The platform's own account of a kind.
create function credits.system_account(p_kind credits.account_kind)
returns bigint
language sql
immutable
-- Their ids are given where they are made, in the order of the names.
return case p_kind
  when 'grants' then 1 when 'purchases' then 2 when 'escrow' then 3 when 'revenue' then 4 when 'breakage' then 5
  when 'forfeited' then 6 when 'sandbox' then 7 when 'merging' then 8
end;

-- Whether it is one of those.
create function credits.is_system_account(p_account_id bigint)
returns boolean
language sql
immutable
return p_account_id between 1 and 8;

create function credits.first_outcome(p_idempotency_key text, p_request jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- What the first call under a key came to; null for a new key. The same key with another request raises
-- invalid_parameter_value: keys are made by our procedures, so that is a bug and not a caller's refusal.
declare
  v_posting credits.postings;
begin
  select p.* into v_posting from credits.postings as p where p.idempotency_key = p_idempotency_key;
  if not found then
    return null;
  end if;
  if v_posting.request <> p_request then
    raise exception 'idempotency key % was used for another posting', p_idempotency_key
      using errcode = 'invalid_parameter_value';
  end if;
  return v_posting.outcome;
end;
$$;

-- Writes a posting with what it came to; its transfers follow in the same transaction.
create function credits.record_posting(
  p_idempotency_key text, p_owner_id uuid, p_request jsonb, p_outcome jsonb, p_now timestamptz
)
returns bigint
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_id bigint;
begin
  insert into credits.postings (idempotency_key, owner_id, request, outcome, created_at)
  values (p_idempotency_key, p_owner_id, p_request, p_outcome, p_now)
  returning id into v_id;
  return v_id;
end;
$$;

-- Who paid for a job, which it keeps when they become somebody else; null for a job without a hold.
create function credits.hold_owner(p_job_id uuid)
returns uuid
language sql
stable
return (select t.owner_id from credits.transfers as t where t.job_id = p_job_id and t.kind = 'hold');

-- Raises 22003 for what no posting may move.
create function credits.check_amount(p_amount bigint)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_amount is null or p_amount < 1 or p_amount > 1000000000 then
    raise exception 'an amount is 1 to 1000000000 credits, not %', p_amount
      using errcode = 'numeric_value_out_of_range';
  end if;
end;
$$;

create function credits.lock_account(p_owner_id uuid)
returns credits.accounts
language plpgsql
volatile
set search_path = ''
as $$
-- Locks the user's account for the rest of the transaction, books what has expired as breakage, and returns
-- the account, whose balance is then what can be spent. Raises no_data_found where the user has no account.
-- Of a merged account that is its heir's, of whom nobody ever waits for a guest's: whoever has an heir's account finds the
-- guest's merged, and passes it over. Locks: account, then the expired lots.
declare
  v_account credits.accounts;
  v_owner_id uuid := p_owner_id;
  v_heir_id uuid;
  v_now timestamptz;
  v_draws credits.draw[];
  v_amount bigint;
  v_posting_id bigint;
begin
  loop
    select a.* into v_account
    from credits.accounts as a
    where a.owner_id = v_owner_id and a.kind = 'available' and a.unit = 'credit' and a.merged_into is null
    for update;
    exit when found;
    select a.merged_into into strict v_heir_id
    from credits.accounts as a
    where a.owner_id = v_owner_id and a.kind = 'available' and a.unit = 'credit';
    v_owner_id := coalesce(v_heir_id, v_owner_id);
  end loop;

  v_now := core.now();
  if v_account.next_expiry_at is null or v_account.next_expiry_at > v_now then
    return v_account;
  end if;

  -- All of them at once, in transfers that no amount is too large for.
  loop
    select array_agg(row(l.id, l.remaining)::credits.draw order by l.id), sum(l.remaining)
    into v_draws, v_amount
    from (
      select e.id, e.remaining, sum(e.remaining) over (order by e.id) as total
      from credits.lots as e
      where e.account_id = v_account.id and not e.is_spent and e.expires_at <= v_now
    ) as l
    where l.total <= 1000000000;
    exit when v_draws is null;
    -- The number of its entry: an account has it once.
    v_account.entry_count := v_account.entry_count + 1;
    v_posting_id := credits.record_posting(
      format('expiry:%s:%s', v_account.id, v_account.entry_count), v_account.owner_id,
      jsonb_build_object('call', 'expire', 'lots', cardinality(v_draws)), jsonb_build_object('expired', v_amount), v_now
    );
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, draws, created_at
    )
    values (
      v_posting_id, v_account.owner_id, 'expiry', v_account.id, credits.system_account('breakage'), v_amount, v_draws, v_now
    );
  end loop;

  perform credits.note_next_expiry(v_account.id);
  select a.* into v_account from credits.accounts as a where a.id = v_account.id;
  return v_account;
end;
$$;

create function credits.settle_account(
  p_posting_id bigint, p_account credits.accounts, p_now timestamptz, p_job_id uuid default null
)
returns bigint
language plpgsql
volatile
set search_path = ''
as $$
-- What follows whenever credits came in, by a posting or the end of a job: a debt is paid first, and a closed account
-- keeps nothing. Credits of the sandbox pay no debt. Returns the balance after that. The caller holds the account's lock.
declare
  v_draws credits.draw[];
  v_owed credits.accounts;
  v_balance bigint;
  v_due bigint;
  v_amount bigint;
begin
  select a.balance into v_balance from credits.accounts as a where a.id = p_account.id;

  select a.* into v_owed
  from credits.accounts as a
  where a.owner_id = p_account.owner_id and a.kind = 'owed' and a.unit = p_account.unit;
  -- `least` passes over nulls: without the coalesce, no debt would be the whole balance.
  v_due := least(coalesce(v_owed.balance, 0), v_balance);
  -- In transfers that no amount is too large for.
  while v_due > 0 loop
    v_draws := credits.choose_lots_to_pay(p_account.id, least(v_due, 1000000000));
    v_amount := credits.drawn(v_draws);
    exit when v_amount = 0;
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
    )
    values (
      p_posting_id, p_account.owner_id, 'debt_payment', p_account.id, v_owed.id, v_amount, p_job_id, v_draws, p_now
    );
    v_due := v_due - v_amount;
    v_balance := v_balance - v_amount;
  end loop;

  while p_account.closed_at is not null and v_balance > 0 loop
    v_amount := least(v_balance, 1000000000);
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
    )
    values (
      p_posting_id, p_account.owner_id, 'forfeit', p_account.id, credits.system_account('forfeited'), v_amount, p_job_id,
      credits.choose_lots(p_account.id, v_amount), p_now
    );
    v_balance := v_balance - v_amount;
  end loop;
  return v_balance;
end;
$$;

create function credits.close_account(p_owner_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Closes a user's account for good: what is left is forfeited, and so is whatever comes later, after its debt.
-- `{ forfeited }`; a second call returns the first result. Locks: account → lots.
declare
  v_key constant text := 'close:' || p_owner_id;
  v_request constant jsonb := jsonb_build_object('call', 'close_account', 'owner_id', p_owner_id);
  v_account credits.accounts;
  v_outcome jsonb;
  v_now timestamptz;
  v_posting_id bigint;
begin
  v_account := credits.lock_account(p_owner_id);
  v_outcome := credits.first_outcome(v_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  v_now := core.now();
  update credits.accounts as a set closed_at = v_now where a.id = v_account.id returning a.* into v_account;
  v_outcome := jsonb_build_object('forfeited', v_account.balance);
  v_posting_id := credits.record_posting(v_key, p_owner_id, v_request, v_outcome, v_now);
  perform credits.settle_account(v_posting_id, v_account, v_now);
  return v_outcome;
end;
$$;

create function credits.accounts_to_expire(p_limit integer)
returns setof bigint
language plpgsql
stable
set search_path = ''
as $$
-- Accounts with lots that have expired, up to p_limit. Every posting books its own account anyway; this is for those that
-- nothing moves.
declare
  -- Not in the query: a volatile function cannot be looked up in an index.
  v_now constant timestamptz := core.now();
begin
  return query
  select a.id from credits.accounts as a where a.next_expiry_at <= v_now order by a.next_expiry_at limit p_limit;
end;
$$;

create function credits.try_account(p_owner_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Locks a user's account, or raises lock_not_available where somebody has it. Locks: account, not waited for.
begin
  perform from credits.accounts as a
  where a.owner_id = p_owner_id and a.kind = 'available' and a.unit = 'credit'
  for update nowait;
end;
$$;

create function credits.expire_account(p_account_id bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Books what has expired in an account; a second call finds nothing. Raises lock_not_available where somebody has it.
-- Locks: account, not waited for → expired lots.
declare
  v_owner_id uuid;
begin
  select a.owner_id into strict v_owner_id from credits.accounts as a where a.id = p_account_id for update nowait;
  perform credits.lock_account(v_owner_id);
end;
$$;

-- supabase/schemas/credits/postings.sql

create function credits.add(
  p_owner_id uuid, p_amount bigint, p_kind credits.transfer_kind, p_idempotency_key text,
  p_expires_at timestamptz default null, p_job_id uuid default null, p_is_sandbox boolean default false
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Adds a lot of credits: `{ transfer_id, credits_remaining }`. Grants and adjustments come from `grants`,
-- purchases from `purchases` or `sandbox`, refunds from `revenue`. The refund of a job gives back as credits of the sandbox
-- what is more than others paid for it. What is for a merged account is its heir's. A second call with the key returns the
-- first result. Locks: account → lots.
declare
  v_account credits.accounts;
  v_request constant jsonb := jsonb_build_object(
    'call', 'add', 'owner_id', p_owner_id, 'amount', p_amount, 'kind', p_kind,
    -- As text it would depend on the session's time zone.
    'expires_at', extract(epoch from p_expires_at), 'job_id', p_job_id
  ) || case when p_is_sandbox then '{"is_sandbox": true}' else '{}' end::jsonb;
  v_outcome jsonb;
  v_now timestamptz;
  v_lot_id bigint;
  v_draws credits.draw[] := '{}';
  v_posting_id bigint;
  v_transfer_id constant uuid := core.new_id();
  -- How much of it is of the sandbox.
  v_sandbox bigint := case when p_is_sandbox then p_amount else 0 end;
  v_part record;
begin
  perform credits.check_amount(p_amount);
  if p_kind not in ('grant', 'purchase', 'refund', 'adjustment') or (p_is_sandbox and p_kind <> 'purchase') then
    raise exception 'credits are not added by a %', p_kind using errcode = 'invalid_parameter_value';
  end if;
  v_account := credits.lock_account(p_owner_id);
  v_outcome := credits.first_outcome(p_idempotency_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  v_now := core.now();
  if p_expires_at <= v_now then
    raise exception 'a lot cannot expire before it is made' using errcode = 'invalid_parameter_value';
  end if;

  -- The posting states its outcome when it is written, so what it will come to is computed first.
  if p_kind = 'refund' and p_job_id is not null then
    v_sandbox := greatest(0, p_amount - credits.paid_for(p_job_id));
  end if;
  v_outcome := jsonb_build_object(
    'transfer_id', v_transfer_id,
    'credits_remaining',
    case when v_account.closed_at is not null then 0
      else v_account.balance + v_sandbox + greatest(0, p_amount - v_sandbox - credits.owed(v_account.owner_id)) end
  );
  v_posting_id := credits.record_posting(p_idempotency_key, v_account.owner_id, v_request, v_outcome, v_now);

  for v_part in
    select a.amount, a.is_sandbox from (values (p_amount - v_sandbox, false), (v_sandbox, true)) as a (amount, is_sandbox)
    where a.amount > 0
  loop
    insert into credits.lots (account_id, owner_id, expires_at, amount, remaining, is_sandbox)
    values (v_account.id, v_account.owner_id, p_expires_at, v_part.amount, 0, v_part.is_sandbox)
    returning id into v_lot_id;
    v_draws := v_draws || row(v_lot_id, v_part.amount)::credits.draw;
  end loop;
  insert into credits.transfers (
    id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
  )
  values (
    v_transfer_id, v_posting_id, v_account.owner_id, p_kind,
    credits.system_account(
      (case
        when p_is_sandbox then 'sandbox' when p_kind = 'purchase' then 'purchases'
        when p_kind = 'refund' then 'revenue' else 'grants'
      end)::credits.account_kind
    ),
    v_account.id, p_amount, p_job_id, v_draws, v_now
  );
  if p_expires_at is not null then
    update credits.accounts as a
    set next_expiry_at = least(a.next_expiry_at, p_expires_at)
    where a.id = v_account.id;
  end if;
  perform credits.settle_account(v_posting_id, v_account, v_now);
  return v_outcome;
end;
$$;

create function credits.deduct(p_owner_id uuid, p_amount bigint, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Takes credits away by an operator's word: `{ transfer_id, credits_remaining }`, or
-- `{ error: "insufficient_credits", current_credits }` with nothing moved and the key burned.
-- Locks: account → lots.
declare
  v_account credits.accounts;
  v_request constant jsonb := jsonb_build_object('call', 'deduct', 'owner_id', p_owner_id, 'amount', p_amount);
  v_outcome jsonb;
  v_now timestamptz;
  v_posting_id bigint;
  v_transfer_id constant uuid := core.new_id();
begin
  perform credits.check_amount(p_amount);
  v_account := credits.lock_account(p_owner_id);
  v_outcome := credits.first_outcome(p_idempotency_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  v_now := core.now();

  if v_account.balance < p_amount then
    v_outcome := jsonb_build_object('error', 'insufficient_credits', 'current_credits', v_account.balance);
    perform credits.record_posting(p_idempotency_key, v_account.owner_id, v_request, v_outcome, v_now);
    return v_outcome;
  end if;
  v_outcome := jsonb_build_object(
    'transfer_id', v_transfer_id, 'credits_remaining', v_account.balance - p_amount
  );
  v_posting_id := credits.record_posting(p_idempotency_key, v_account.owner_id, v_request, v_outcome, v_now);
  insert into credits.transfers (
    id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, draws, created_at
  )
  values (
    v_transfer_id, v_posting_id, v_account.owner_id, 'adjustment', v_account.id, credits.system_account('grants'), p_amount,
    credits.choose_lots(v_account.id, p_amount), v_now
  );
  return v_outcome;
end;
$$;

create function credits.place_hold(p_account credits.accounts, p_amount bigint, p_job_id uuid)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
-- Moves the price of a job that is new into escrow, of an account that credits.lock_account has just given to the caller,
-- and that has enough: the transfer. Raises unique_violation for a job that has a hold. Locks: lots.
declare
  v_transfer_id constant uuid := core.new_id();
begin
  insert into credits.transfers (
    id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
  )
  values (
    v_transfer_id, p_account.owner_id, 'hold', p_account.id, credits.system_account('escrow'), p_amount, p_job_id,
    credits.choose_lots(p_account.id, p_amount), core.now()
  );
  return v_transfer_id;
end;
$$;

create function credits.hold(p_account credits.accounts, p_amount bigint, p_job_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- credits.place_hold for a job that may have one, and an account that may have too little:
-- `{ transfer_id, credits_remaining }`, or `{ error: "insufficient_credits", current_credits }` with nothing moved and
-- the key burned. The key is the job: a second call returns the first result. Locks: lots.
declare
  v_key constant text := 'hold:' || p_job_id;
  v_request constant jsonb := jsonb_build_object('call', 'hold', 'owner_id', p_account.owner_id, 'amount', p_amount);
  v_hold credits.transfers;
  v_outcome jsonb;
begin
  perform credits.check_amount(p_amount);
  select t.* into v_hold from credits.transfers as t where t.job_id = p_job_id and t.kind = 'hold';
  if found then
    if v_hold.from_account_id <> p_account.id or v_hold.amount <> p_amount then
      raise exception 'idempotency key % was used for another posting', v_key using errcode = 'invalid_parameter_value';
    end if;
    return jsonb_build_object('transfer_id', v_hold.id, 'credits_remaining', v_hold.from_balance);
  end if;
  -- One that was refused has a posting, and no transfer.
  v_outcome := credits.first_outcome(v_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  if p_account.balance < p_amount then
    v_outcome := jsonb_build_object('error', 'insufficient_credits', 'current_credits', p_account.balance);
    perform credits.record_posting(v_key, p_account.owner_id, v_request, v_outcome, core.now());
    return v_outcome;
  end if;
  return jsonb_build_object(
    'transfer_id', credits.place_hold(p_account, p_amount, p_job_id),
    'credits_remaining', p_account.balance - p_amount
  );
end;
$$;

create function credits.end_hold(p_job_id uuid, p_kind credits.transfer_kind)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Ends the hold of a job: `capture` moves all of it to revenue, `release` back into the lots it came from.
-- `{ transfer_id, amount }`; a second call of the same kind returns the first result; after the other kind
-- `{ error: "already_ended" }`. Raises no_data_found for a job without a hold.
-- A lot that expired while it was held lives 24 hours more, so that a failure costs nobody their credits. Of an account
-- that was merged since, it goes into the lots' successors.
-- Locks: account → lots.
declare
  v_hold credits.transfers;
  v_end credits.transfers;
  v_account credits.accounts;
  v_now timestamptz;
  v_draws credits.draw[];
  v_transfer_id constant uuid := core.new_id();
begin
  if p_kind not in ('capture', 'release') then
    raise exception 'a hold ends by capture or release, not by %', p_kind using errcode = 'invalid_parameter_value';
  end if;
  select t.* into strict v_hold from credits.transfers as t where t.job_id = p_job_id and t.kind = 'hold';
  v_account := credits.lock_account(v_hold.owner_id);
  -- It ends once, so its end stays what it is: no key needs to be burned for the other kind.
  select t.* into v_end
  from credits.transfers as t
  where t.reverses_id = v_hold.id and t.kind in ('capture', 'release');
  if found then
    return case
      when v_end.kind = p_kind then jsonb_build_object('transfer_id', v_end.id, 'amount', v_end.amount)
      else '{"error": "already_ended"}'
    end;
  end if;

  v_now := core.now();
  if p_kind = 'capture' then
    insert into credits.transfers (
      id, owner_id, kind, from_account_id, to_account_id, amount, job_id, reverses_id, created_at
    )
    values (
      v_transfer_id, v_hold.owner_id, 'capture', v_hold.to_account_id, credits.system_account('revenue'),
      v_hold.amount, p_job_id, v_hold.id, v_now
    );
  else
    v_draws := case
      when v_account.id = v_hold.from_account_id then v_hold.draws
      else credits.successors(v_hold.draws, v_account.id)
    end;
    perform credits.revive_lots(v_account.id, v_draws, v_now);
    insert into credits.transfers (
      id, owner_id, kind, from_account_id, to_account_id, amount, job_id, reverses_id, draws, created_at
    )
    values (
      v_transfer_id, v_account.owner_id, 'release', v_hold.to_account_id, v_account.id, v_hold.amount, p_job_id, v_hold.id,
      v_draws, v_now
    );
    perform credits.pay_own_debts(v_account, v_draws, v_now, p_job_id);
    perform credits.note_next_expiry(v_account.id);
    perform credits.settle_account(null, v_account, v_now, p_job_id);
  end if;
  return jsonb_build_object('transfer_id', v_transfer_id, 'amount', v_hold.amount);
end;
$$;

-- The job was delivered: its hold becomes revenue.
create function credits.capture(p_job_id uuid)
returns jsonb
language sql
volatile
return credits.end_hold(p_job_id, 'capture');

-- The job was not delivered: its hold goes back where it came from.
create function credits.release(p_job_id uuid)
returns jsonb
language sql
volatile
return credits.end_hold(p_job_id, 'release');

-- supabase/schemas/credits/debts.sql

-- A debt is what a reversal could not take of its own lot. Whatever the account has pays it (credits.settle_account), and is
-- put back into the lots that paid when the debt turns out not to be one.

create function credits.open_debt(p_account credits.accounts)
returns credits.accounts
language plpgsql
volatile
set search_path = ''
as $$
-- The account of what somebody owes, which is made with their first debt. The caller has locked p_account, theirs.
declare
  v_owed credits.accounts;
begin
  insert into credits.accounts (kind, owner_kind, owner_id, unit, balance)
  values ('owed', p_account.owner_kind, p_account.owner_id, p_account.unit, 0)
  on conflict do nothing;
  select a.* into strict v_owed
  from credits.accounts as a
  where a.owner_id = p_account.owner_id and a.kind = 'owed' and a.unit = p_account.unit;
  return v_owed;
end;
$$;

create function credits.payable(p_account_id bigint)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- What an account has to pay a debt with: all but what was bought in the sandbox.
  select coalesce(sum(l.remaining), 0)::bigint
  from credits.lots as l
  where l.account_id = p_account_id and not l.is_spent and not l.is_sandbox
$$;

create function credits.payments_of(p_account credits.accounts)
returns table (lot_id bigint, amount bigint)
language sql
stable
set search_path = ''
as $$
  -- What the lots of an account have paid of debts, and those of the guests' that were merged into it, and what was not put
  -- back since: by the account's own lot that would have it back. All of them at once: there may be thousands.
  with recursive owners as (
    select (p_account).owner_id as id
    union all
    select g.owner_id from owners as o join credits.accounts as g on g.merged_into = o.id
  ),
  debts as (
    select w.id
    from owners as o
    join credits.accounts as w on w.owner_id = o.id and w.kind = 'owed' and w.unit = (p_account).unit
  ),
  moved as (
    select d.lot_id, sum(d.amount)::bigint as amount
    from (
      select t.draws, 1 as sign
      from debts as w
      join credits.transfers as t on t.to_account_id = w.id and t.to_number is not null and t.kind = 'debt_payment'
      union all
      -- What became a debt draws no lot.
      select t.draws, -1
      from debts as w
      join credits.transfers as t on t.from_account_id = w.id and t.from_number is not null and t.kind = 'reversal'
    ) as m
    cross join lateral (select u.lot_id, m.sign * u.amount as amount from unnest(m.draws) as u (lot_id, amount)) as d
    group by d.lot_id
  ),
  descent as (
    select l.id, l.account_id, m.amount from moved as m join credits.lots as l on l.id = m.lot_id
    union all
    -- One, or none: an account merges once.
    select l.id, l.account_id, s.amount
    from descent as s
    join credits.lots as l on l.descends_from = s.id
    where s.account_id <> (p_account).id
  )
  select s.id, sum(s.amount)::bigint
  from descent as s
  where s.account_id = (p_account).id
  group by s.id
  having sum(s.amount) > 0
$$;

create function credits.put_back_payments(
  p_posting_id bigint, p_account credits.accounts, p_amount bigint, p_lot_id bigint default null,
  p_but_lot_ids bigint[] default '{}', p_job_id uuid default null
)
returns credits.draw[]
language plpgsql
volatile
set search_path = ''
as $$
-- Puts up to an amount of what paid an account's debts back into the lots that paid, so that the debt is there again: which
-- lots have what. Of one lot, or of all but some, and then first those that are spent last: so what comes back does not depend on
-- which debt was paid first, and lives as long as it can. One transfer however many payments those were, unless no amount
-- is large enough. The caller has locked the account, and settles it after that.
declare
  v_now constant timestamptz := core.now();
  v_missing bigint := p_amount;
  v_part record;
  v_draws credits.draw[] := '{}';
begin
  -- Most reversals have none to put back, and need not look.
  while v_missing > 0 loop
    select coalesce(sum(c.taken) filter (where c.total <= 1000000000), 0)::bigint as amount,
      array_agg(row(c.lot_id, c.taken)::credits.draw order by c.total) filter (where c.total <= 1000000000) as draws,
      coalesce(sum(c.taken), 0)::bigint as whole
    into v_part
    from (
      select p.lot_id, least(p.amount, v_missing - (p.total - p.amount))::bigint as taken, least(p.total, v_missing) as total
      from (
        select e.lot_id, e.amount, sum(e.amount) over (order by l.expires_at desc nulls first, l.id desc) as total
        from credits.payments_of(p_account) as e
        join credits.lots as l on l.id = e.lot_id
        where l.id = coalesce(p_lot_id, l.id) and l.id <> all (p_but_lot_ids)
      ) as p
      where p.total - p.amount < v_missing
    ) as c;
    exit when v_part.whole = 0;
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
    )
    values (
      p_posting_id, p_account.owner_id, 'reversal', (credits.open_debt(p_account)).id, p_account.id, v_part.amount,
      p_job_id, v_part.draws, v_now
    );
    v_draws := v_draws || v_part.draws;
    v_missing := v_missing - v_part.amount;
    exit when v_part.amount = v_part.whole;
  end loop;
  return v_draws;
end;
$$;

create function credits.missing_of(p_account credits.accounts)
returns table (lot_id bigint, amount bigint)
language sql
stable
set search_path = ''
as $$
  -- What was taken back of the lots of an account, and of the guests' that were merged into it, while it was not there, and
  -- they have not paid since: by the account's own lot.
  with recursive owners as (
    select (p_account).owner_id as id
    union all
    select g.owner_id from owners as o join credits.accounts as g on g.merged_into = o.id
  ),
  descent as (
    select l.id, l.account_id, r.amount::bigint
    from owners as o
    join credits.accounts as w on w.owner_id = o.id and w.kind = 'owed' and w.unit = (p_account).unit
    -- What was put back draws lots, and reverses nothing.
    join credits.transfers as r on r.from_account_id = w.id and r.from_number is not null and r.kind = 'reversal'
    join credits.transfers as t on t.id = r.reverses_id
    join credits.lots as l on l.id = t.draws[1].lot_id
    where not exists (select from credits.transfers as g where g.reverses_id = r.id and g.kind = 'reversal')
    union all
    select l.id, l.account_id, s.amount
    from descent as s
    join credits.lots as l on l.descends_from = s.id
    where s.account_id <> (p_account).id
  )
  select s.id, sum(s.amount)::bigint - coalesce(min(p.amount), 0)
  from descent as s
  left join credits.payments_of(p_account) as p on p.lot_id = s.id
  where s.account_id = (p_account).id
  group by s.id
  having sum(s.amount) > coalesce(min(p.amount), 0)
$$;

create function credits.pay_own_debts(p_account credits.accounts, p_draws credits.draw[], p_now timestamptz, p_job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What a job held and is there again pays what its own lot was missing for, as it would have been taken when that lot was
-- taken back; others that have paid it meanwhile have that back. So nothing depends on whether a video fails before or after
-- a refund. Whoever calls has put the draws into their lots, and settles the account after that.
declare
  v_owed credits.accounts;
  v_own credits.draw[];
  v_amount bigint;
begin
  select a.* into v_owed
  from credits.accounts as a
  where a.owner_id = p_account.owner_id and a.kind = 'owed' and a.unit = p_account.unit;
  if not found and not exists (select from credits.accounts as g where g.merged_into = p_account.owner_id) then
    return;
  end if;
  select coalesce(array_agg(row(d.lot_id, least(d.amount, m.amount))::credits.draw order by d.lot_id), '{}') into v_own
  from unnest(p_draws) as d (lot_id, amount)
  join credits.missing_of(p_account) as m on m.lot_id = d.lot_id;
  v_amount := credits.drawn(v_own);
  if v_amount = 0 then
    return;
  end if;
  perform credits.revive_lots(p_account.id, credits.put_back_payments(
    null, p_account, v_amount - coalesce(v_owed.balance, 0), null,
    array(select d.lot_id from unnest(v_own) as d (lot_id, amount)), p_job_id
  ), p_now);
  v_amount := least(v_amount, credits.owed(p_account.owner_id));
  select coalesce(array_agg(row(d.lot_id, least(d.amount, v_amount - d.before))::credits.draw order by d.lot_id), '{}')
  into v_own
  from (
    select u.lot_id, u.amount, (sum(u.amount) over (order by u.lot_id) - u.amount)::bigint as before
    from unnest(v_own) as u (lot_id, amount)
  ) as d
  where d.before < v_amount;
  if v_amount > 0 then
    insert into credits.transfers (
      owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
    )
    values (
      p_account.owner_id, 'debt_payment', p_account.id, (credits.open_debt(p_account)).id, v_amount, p_job_id, v_own, p_now
    );
  end if;
end;
$$;

-- supabase/schemas/credits/reversals.sql

create function credits.reverse(p_transfer_id uuid, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Takes back a grant or purchase: what is left of its lot, and what that has paid of debts; the rest is owed, and paid at
-- once of what other lots have. The reverse of a reversal gives back what that took, and what has paid the debt that it left
-- goes back to where it came from; another debt, if there is one, is paid of it.
-- `{ transfer_id, credits_remaining, credits_owed }`, or `{ error: "already_reversed" }` with the key burned. A second
-- call with the key returns the first result. Of an account that was merged since, it takes from the lots' successors, and
-- the debt is the heir's. Raises invalid_parameter_value for other kinds of transfer.
-- Locks: account → lots.
declare
  v_original credits.transfers;
  v_owner_id uuid;
  v_account credits.accounts;
  v_request constant jsonb := jsonb_build_object('call', 'reverse', 'transfer_id', p_transfer_id);
  v_outcome jsonb;
  v_is_undo boolean;
begin
  select t.* into strict v_original from credits.transfers as t where t.id = p_transfer_id;
  v_is_undo := v_original.kind = 'reversal';
  -- A reversal also brings back what expired, or what paid a debt: that follows from others, and has no reverse of its own.
  if v_original.kind not in ('grant', 'purchase', 'reversal') or (v_is_undo and not exists (
    select from credits.transfers as o where o.id = v_original.reverses_id and o.kind in ('grant', 'purchase', 'reversal')
  )) then
    raise exception 'a % cannot be reversed', v_original.kind using errcode = 'invalid_parameter_value';
  end if;
  select a.owner_id into strict v_owner_id
  from credits.accounts as a
  where a.id in (v_original.from_account_id, v_original.to_account_id) and a.owner_id is not null;
  v_account := credits.lock_account(v_owner_id);
  v_outcome := credits.first_outcome(p_idempotency_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;

  -- Both transfers of a reversal count as one: either leads to its posting.
  if exists (
    select from credits.transfers as t
    join credits.transfers as o on o.id = t.reverses_id
    where t.kind = 'reversal'
      and o.posting_id = v_original.posting_id and case when v_is_undo then o.kind = 'reversal' else o.id = v_original.id end
  ) or (v_is_undo and exists (
    select from credits.transfers as t
    join credits.transfers as o on o.id = t.reverses_id
    where t.posting_id = v_original.posting_id and o.kind = 'reversal'
  )) then
    v_outcome := '{"error": "already_reversed"}';
    perform credits.record_posting(p_idempotency_key, v_account.owner_id, v_request, v_outcome, core.now());
    return v_outcome;
  end if;
  if v_is_undo then
    return credits.give_back(v_original.posting_id, v_account, p_idempotency_key, v_request);
  end if;
  return credits.take_back(v_original, v_account, p_idempotency_key, v_request, v_original.amount);
end;
$$;

create function credits.reversals_of(p_transfer_id uuid)
returns table (posting_id bigint, amount bigint)
language sql
stable
set search_path = ''
as $$
  -- Every posting that took something of a purchase back, with what it took, or gave that back, with 0; and 0 for what was
  -- given back since.
  with taken as (
    select t.id, t.posting_id, t.amount from credits.transfers as t where t.reverses_id = p_transfer_id and t.kind = 'reversal'
  ),
  given as (
    select g.posting_id, t.posting_id as of_posting_id
    from taken as t
    join credits.transfers as g on g.reverses_id = t.id and g.kind = 'reversal'
  )
  select t.posting_id, case when t.posting_id in (select g.of_posting_id from given as g) then 0 else t.amount end
  from taken as t
  union all
  select g.posting_id, 0 from given as g
$$;

create function credits.reverse_to(p_transfer_id uuid, p_amount bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Has so much of a purchase taken back, whatever was before: the difference is taken, or whole reversals are given back,
-- the latest first, and then what is too little is taken. What expired of it before is what is taken then, and nothing else
-- in its place. A second call with the amount moves nothing.
-- Locks: account → lots.
declare
  v_original credits.transfers;
  v_account credits.accounts;
  v_reversal record;
  v_postings bigint;
  v_reversed bigint;
  v_request constant jsonb := jsonb_build_object('call', 'reverse_to', 'transfer_id', p_transfer_id, 'amount', p_amount);
begin
  select t.* into strict v_original from credits.transfers as t where t.id = p_transfer_id;
  if v_original.kind <> 'purchase' or p_amount not between 0 and v_original.amount then
    raise exception 'so much of a % cannot be reversed', v_original.kind using errcode = 'invalid_parameter_value';
  end if;
  v_account := credits.lock_account(v_original.owner_id);
  -- Under the lock, so that the number of the next posting is nobody else's.
  select count(distinct r.posting_id), coalesce(sum(r.amount), 0) into v_postings, v_reversed
  from credits.reversals_of(p_transfer_id) as r;
  for v_reversal in
    select r.posting_id, sum(r.amount) as amount
    from credits.reversals_of(p_transfer_id) as r
    where r.amount > 0
    group by r.posting_id
    order by r.posting_id desc
  loop
    exit when v_reversed <= p_amount;
    v_postings := v_postings + 1;
    perform credits.give_back(
      v_reversal.posting_id, v_account, format('reversal:%s:%s', p_transfer_id, v_postings), v_request
    );
    v_reversed := v_reversed - v_reversal.amount;
    v_account := credits.lock_account(v_original.owner_id);
  end loop;
  if v_reversed < p_amount then
    v_account.balance := v_account.balance
      + (credits.restore_expired(p_transfer_id, v_account, p_amount - v_reversed)).restored;
  end if;
  -- Of the sandbox, what is spent stays so: then there is nothing to write down.
  if v_reversed < p_amount and (
    v_original.from_account_id <> credits.system_account('sandbox')
    or exists (select from credits.lots_of(v_original.draws[1].lot_id) as l where not l.is_spent)
  ) then
    perform credits.take_back(
      v_original, v_account, format('reversal:%s:%s', p_transfer_id, v_postings + 1), v_request, p_amount - v_reversed
    );
  end if;
end;
$$;

create function credits.take_back(
  p_original credits.transfers, p_account credits.accounts, p_idempotency_key text, p_request jsonb, p_amount bigint
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- The reversal itself, of an amount of the original; whoever calls has locked the account and asked whether it may be. What
-- its lot has paid of debts counts as not spent: it is taken, and they are owed again. What was bought in the sandbox gives
-- what is left of it, and owes nothing: nobody paid for it.
declare
  v_now constant timestamptz := core.now();
  v_transfer_id constant uuid := core.new_id();
  v_is_sandbox constant boolean := p_original.from_account_id = credits.system_account('sandbox');
  v_lot credits.lots;
  v_taken bigint;
  v_due bigint;
  v_paid bigint;
  v_missing bigint;
  v_outcome jsonb;
  v_posting_id bigint;
begin
  select l.* into strict v_lot
  from credits.lots as l
  where l.id = (credits.successors(p_original.draws, p_account.id))[1].lot_id;
  v_taken := least(v_lot.remaining, p_amount);
  -- The posting states its outcome when it is written, so what it will come to is computed first: what is owed then, and
  -- what the other lots pay of that.
  v_due := credits.owed(p_account.owner_id) + case when v_is_sandbox then 0 else p_amount - v_taken end;
  v_paid := least(v_due, credits.payable(p_account.id) - case when v_is_sandbox then 0 else v_taken end);
  v_outcome := jsonb_build_object(
    'transfer_id', v_transfer_id, 'credits_remaining', p_account.balance - v_taken - v_paid, 'credits_owed', v_due - v_paid
  );
  v_posting_id := credits.record_posting(p_idempotency_key, p_account.owner_id, p_request, v_outcome, v_now);
  v_taken := v_taken + credits.drawn(
    credits.put_back_payments(v_posting_id, p_account, p_amount - v_taken, v_lot.id)
  );
  if v_taken > 0 then
    insert into credits.transfers (
      id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, draws, created_at
    )
    values (
      v_transfer_id, v_posting_id, p_account.owner_id, 'reversal', p_account.id, p_original.from_account_id, v_taken,
      p_original.id, array[row(v_lot.id, v_taken)::credits.draw], v_now
    );
  end if;
  v_missing := case when v_is_sandbox then 0 else p_amount - v_taken end;
  if v_missing > 0 then
    insert into credits.transfers (
      id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, created_at
    )
    values (
      case when v_taken > 0 then core.new_id() else v_transfer_id end,
      v_posting_id, p_account.owner_id, 'reversal', (credits.open_debt(p_account)).id, p_original.from_account_id, v_missing,
      p_original.id, v_now
    );
  end if;
  perform credits.settle_account(v_posting_id, p_account, v_now);
  return v_outcome;
end;
$$;

create function credits.give_back(
  p_posting_id bigint, p_account credits.accounts, p_idempotency_key text, p_request jsonb
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Reverses a reversal: what its lot gave goes back into it, and what became debt is no longer owed. Where other credits have
-- paid that debt since, they go back into their lots. A lot that expired in the meantime lives 24 hours more, as after a
-- release.
declare
  v_now constant timestamptz := core.now();
  v_transfer_id constant uuid := core.new_id();
  v_taken credits.transfers;
  v_owed_part credits.transfers;
  v_source_id bigint;
  v_debt constant bigint := credits.owed(p_account.owner_id);
  v_paid bigint;
  v_amount bigint;
  v_left bigint;
  v_settled bigint;
  v_draws credits.draw[];
  v_outcome jsonb;
  v_posting_id bigint;
begin
  select t.* into v_taken
  from credits.transfers as t
  join credits.accounts as a on a.id = t.from_account_id
  where t.posting_id = p_posting_id and t.kind = 'reversal' and a.kind = 'available';
  -- Not what was put back of payments then, which goes to the user.
  select t.* into v_owed_part
  from credits.transfers as t
  join credits.accounts as a on a.id = t.from_account_id
  join credits.accounts as s on s.id = t.to_account_id and s.owner_id is null
  where t.posting_id = p_posting_id and t.kind = 'reversal' and a.kind = 'owed';
  v_source_id := coalesce(v_taken.to_account_id, v_owed_part.to_account_id);

  v_paid := greatest(0, coalesce(v_owed_part.amount, 0) - v_debt);
  v_amount := coalesce(v_taken.amount, 0) + v_paid;
  v_left := v_debt + v_paid - coalesce(v_owed_part.amount, 0);
  -- Another debt is paid of it.
  v_settled := case when v_source_id = credits.system_account('sandbox') then 0 else least(v_left, v_amount) end;
  v_outcome := jsonb_build_object(
    'transfer_id', v_transfer_id,
    'credits_remaining', case when p_account.closed_at is null then p_account.balance + v_amount - v_settled else 0 end,
    'credits_owed', v_left - v_settled
  );
  v_posting_id := credits.record_posting(p_idempotency_key, p_account.owner_id, p_request, v_outcome, v_now);
  perform credits.revive_lots(p_account.id, credits.put_back_payments(v_posting_id, p_account, v_paid), v_now);
  if v_taken.id is not null then
    v_draws := credits.successors(v_taken.draws, p_account.id);
    perform credits.revive_lots(p_account.id, v_draws, v_now);
    insert into credits.transfers (
      id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, draws, created_at
    )
    values (
      v_transfer_id, v_posting_id, p_account.owner_id, 'reversal', v_source_id, p_account.id, v_taken.amount, v_taken.id,
      v_draws, v_now
    );
  end if;
  if v_owed_part.id is not null then
    insert into credits.transfers (
      id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, created_at
    )
    values (
      case when v_taken.id is not null then core.new_id() else v_transfer_id end, v_posting_id, p_account.owner_id,
      'reversal', v_source_id, (credits.open_debt(p_account)).id, v_owed_part.amount, v_owed_part.id, v_now
    );
  end if;
  perform credits.note_next_expiry(p_account.id);
  perform credits.settle_account(v_posting_id, p_account, v_now);
  return v_outcome;
end;
$$;

-- supabase/schemas/credits/expiries.sql

create function credits.expiries_of(p_transfer_id uuid)
returns table (transfer_id uuid, posting_id bigint, lot_id bigint, amount bigint)
language sql
stable
set search_path = ''
as $$
  -- What expired of the lot that a grant or purchase made, and of its successors, and was not given back since:
  -- by the transfer that booked it, and its posting.
  select e.id, e.posting_id, e.lot_id, e.amount
  from (
    select t.id, t.posting_id, d.lot_id, d.amount - coalesce((
      select sum(b.amount)
      from credits.transfers as g
      cross join lateral unnest(g.draws) as b (lot_id, amount)
      -- Into the lot that it came from, or its successor with whom the account was merged into.
      where g.reverses_id = t.id and g.kind = 'reversal'
        and b.lot_id = (credits.successors(array[row(d.lot_id, d.amount)::credits.draw], g.to_account_id))[1].lot_id
    ), 0)::bigint as amount
    from credits.transfers as o
    cross join lateral (
      select array_agg(l.id) as ids, array_agg(distinct l.account_id) as accounts
      from credits.lots_of(o.draws[1].lot_id) as l
      where l.expires_at is not null
    ) as own
    join credits.transfers as t on t.from_account_id = any (own.accounts) and t.kind = 'expiry' and t.from_number is not null
      -- In its own account it can only have expired since.
      and (t.from_account_id <> o.to_account_id or t.from_number > o.to_number)
    cross join lateral unnest(t.draws) as d (lot_id, amount)
    where o.id = p_transfer_id and d.lot_id = any (own.ids)
  ) as e
  where e.amount > 0
$$;

create function credits.restore_expired(
  p_transfer_id uuid, p_account credits.accounts, p_amount bigint, out restored bigint, out posting_id bigint
)
language plpgsql
volatile
set search_path = ''
as $$
-- Gives back up to an amount of what expired of a purchase, null being all of it, into the lots that it expired from: how
-- much that was, and by which posting, if by any. The caller has locked the account, and takes it or settles the account
-- after that.
declare
  v_now constant timestamptz := core.now();
  v_expired record;
begin
  restored := 0;
  for v_expired in
    select c.transfer_id, sum(c.taken)::bigint as amount, array_agg(row(c.lot_id, c.taken)::credits.draw) as draws
    from (
      select e.transfer_id, e.posting_id, e.lot_id,
        least(e.amount, p_amount - (sum(e.amount) over (order by e.posting_id, e.lot_id) - e.amount))::bigint as taken
      from credits.expiries_of(p_transfer_id) as e
    ) as c
    where c.taken > 0
    group by c.transfer_id, c.posting_id
    order by c.posting_id
  loop
    -- The number of its first entry: an account has it once.
    posting_id := coalesce(posting_id, credits.record_posting(
      format('restore:%s:%s', p_account.id, p_account.entry_count + 1), p_account.owner_id,
      jsonb_build_object('call', 'restore_expired', 'transfer_id', p_transfer_id, 'amount', p_amount), '{}', v_now
    ));
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, draws, created_at
    )
    values (
      restore_expired.posting_id, p_account.owner_id, 'reversal', credits.system_account('breakage'), p_account.id, v_expired.amount,
      v_expired.transfer_id, credits.successors(v_expired.draws, p_account.id), v_now
    );
    restored := restored + v_expired.amount;
  end loop;
end;
$$;

create function credits.extend(p_transfer_id uuid, p_expires_at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Lets what a purchase brought live until p_expires_at at least. What expired of it before that was known is given back: a
-- debt is paid of it first, as of all that comes in. A second call changes nothing. Locks: account → lots.
declare
  v_original credits.transfers;
  v_account credits.accounts;
  v_posting_id bigint;
begin
  select t.* into strict v_original from credits.transfers as t where t.id = p_transfer_id;
  v_account := credits.lock_account(v_original.owner_id);
  update credits.lots as l
  set expires_at = p_expires_at
  where l.id in (select d.id from credits.lots_of(v_original.draws[1].lot_id) as d) and l.expires_at < p_expires_at;
  if p_expires_at > core.now() then
    v_posting_id := (credits.restore_expired(p_transfer_id, v_account, null)).posting_id;
    if v_posting_id is not null then
      perform credits.settle_account(v_posting_id, v_account, core.now());
    end if;
  end if;
  perform credits.note_next_expiry(v_account.id);
end;
$$;

-- supabase/schemas/credits/merging.sql

-- A guest's account becomes a part of another: its heir's.

create function credits.pass_on(
  p_guest_posting_id bigint, p_heir_posting_id bigint, p_guest credits.accounts, p_heir credits.accounts,
  p_draws credits.draw[], p_amount bigint, p_now timestamptz
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Moves an amount between accounts of the same kind: from a guest's lots into their successors, or a debt. A transfer is
-- its owner's alone, so these are two, by way of an account that has nothing in between; the second names the first.
declare
  v_first_id constant uuid := core.new_id();
  v_merging constant bigint := credits.system_account('merging');
  v_is_debt constant boolean := p_guest.kind = 'owed';
begin
  -- A debt goes the other way round.
  insert into credits.transfers (
    id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, draws, created_at
  )
  values (
    v_first_id, p_guest_posting_id, p_guest.owner_id, 'merge', case when v_is_debt then v_merging else p_guest.id end,
    case when v_is_debt then p_guest.id else v_merging end, p_amount, p_draws, p_now
  );
  insert into credits.transfers (
    posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, draws, created_at
  )
  values (
    p_heir_posting_id, p_heir.owner_id, 'merge', case when v_is_debt then p_heir.id else v_merging end,
    case when v_is_debt then v_merging else p_heir.id end, p_amount, v_first_id,
    credits.successors(p_draws, p_heir.id), p_now
  );
end;
$$;

create function credits.merge(p_guest_id uuid, p_heir_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a guest's account a part of their heir's, for good: `{ moved, owed, credits_remaining }`, what the guest had and
-- owed, and what the heir has after both debts. Each lot, empty ones too, gets a successor with the heir, of the same
-- amount and expiry; from then on whatever is for the guest is the heir's (credits.lock_account), and goes into and comes
-- out of the successors. A second call returns the first result; raises invalid_parameter_value for a guest who was
-- merged into another, for one's own account, and for a closed one. Locks: guest's account → heir's account → lots.
declare
  v_key constant text := 'merge:' || p_guest_id;
  v_request constant jsonb := jsonb_build_object('call', 'merge', 'owner_id', p_guest_id, 'heir_id', p_heir_id);
  v_guest credits.accounts;
  v_heir credits.accounts;
  v_guest_debt credits.accounts;
  v_heir_debt credits.accounts;
  v_outcome jsonb;
  v_now timestamptz;
  v_owed bigint;
  v_payable bigint;
  v_guest_posting_id bigint;
  v_heir_posting_id bigint;
  v_draws credits.draw[];
  v_amount bigint;
begin
  v_guest := credits.lock_account(p_guest_id);
  v_heir := credits.lock_account(p_heir_id);
  v_outcome := credits.first_outcome(v_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  if v_guest.owner_id <> p_guest_id or v_heir.owner_id <> p_heir_id or v_guest.id = v_heir.id
    or v_guest.closed_at is not null or v_heir.closed_at is not null
  then
    raise exception 'the account of % cannot be merged into that of %', p_guest_id, p_heir_id
      using errcode = 'invalid_parameter_value';
  end if;
  v_now := core.now();
  v_owed := credits.owed(p_guest_id);
  v_payable := credits.payable(v_guest.id) + credits.payable(v_heir.id);
  v_outcome := jsonb_build_object(
    'moved', v_guest.balance, 'owed', v_owed,
    'credits_remaining', v_guest.balance + v_heir.balance - least(v_payable, v_owed + credits.owed(p_heir_id))
  );
  v_guest_posting_id := credits.record_posting(v_key, p_guest_id, v_request, v_outcome, v_now);
  v_heir_posting_id := credits.record_posting(v_key || ':heir', p_heir_id, v_request, v_outcome, v_now);

  update credits.accounts as a set merged_into = p_heir_id where a.id = v_guest.id;
  insert into credits.lots (account_id, owner_id, descends_from, expires_at, amount, remaining, is_sandbox)
  select v_heir.id, p_heir_id, l.id, l.expires_at, l.amount, 0, l.is_sandbox
  from credits.lots as l
  where l.account_id = v_guest.id
  order by l.id;
  -- In transfers that no amount is too large for.
  loop
    select array_agg(row(l.id, l.remaining)::credits.draw order by l.id), sum(l.remaining)
    into v_draws, v_amount
    from (
      select e.id, e.remaining, sum(e.remaining) over (order by e.id) as total
      from credits.lots as e
      where e.account_id = v_guest.id and not e.is_spent
    ) as l
    where l.total <= 1000000000;
    exit when v_draws is null;
    perform credits.pass_on(v_guest_posting_id, v_heir_posting_id, v_guest, v_heir, v_draws, v_amount, v_now);
  end loop;

  if v_owed > 0 then
    v_heir_debt := credits.open_debt(v_heir);
    select a.* into strict v_guest_debt
    from credits.accounts as a where a.owner_id = p_guest_id and a.kind = 'owed' and a.unit = v_guest.unit;
    while v_owed > 0 loop
      v_amount := least(v_owed, 1000000000);
      perform credits.pass_on(v_guest_posting_id, v_heir_posting_id, v_guest_debt, v_heir_debt, '{}', v_amount, v_now);
      v_owed := v_owed - v_amount;
    end loop;
  end if;
  perform credits.note_next_expiry(v_guest.id);
  perform credits.note_next_expiry(v_heir.id);
  perform credits.settle_account(v_heir_posting_id, v_heir, v_now);
  return v_outcome;
end;
$$;

-- supabase/schemas/credits/console.sql

create function credits.add_credits(
  p_user_id uuid, p_amount bigint, p_reason text, p_idempotency_key text default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_outcome jsonb;
begin
  perform credits.open_account(p_user_id);
  v_outcome := credits.add(
    p_user_id, p_amount, 'adjustment',
    coalesce(p_idempotency_key, format('add:%s:%s', left(p_reason, 200), core.new_id()))
  );
  return jsonb_build_object('success', true, 'credits_remaining', v_outcome -> 'credits_remaining');
end;
$$;
comment on function credits.add_credits(uuid, bigint, text, text) is
  'Adds credits by hand: { success, credits_remaining }. A new key is made where none is given; the reason is kept in it,
as far as it fits, and nowhere else. A second call with the same key adds nothing. Locks: account → lots.';

create function credits.deduct_credits(
  p_user_id uuid, p_amount bigint, p_reason text, p_idempotency_key text default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_outcome jsonb;
begin
  perform credits.open_account(p_user_id);
  v_outcome := credits.deduct(
    p_user_id, p_amount, coalesce(p_idempotency_key, format('deduct:%s:%s', left(p_reason, 200), core.new_id()))
  );
  if v_outcome ? 'error' then
    return v_outcome || '{"success": false}';
  end if;
  return jsonb_build_object('success', true, 'credits_remaining', v_outcome -> 'credits_remaining');
end;
$$;
comment on function credits.deduct_credits(uuid, bigint, text, text) is
  'Takes credits by hand, never below zero: { success: true, credits_remaining }, or
{ success: false, error, current_credits } with nothing moved. Key, reason and locks as in credits.add_credits.';

create function credits.balance_at(p_owner_id uuid, p_time timestamptz)
returns bigint
language sql
stable
set search_path = ''
as $$
  select coalesce((
    select e.balance_after
    from credits.entries as e
    where e.account_id = (
        select a.id from credits.accounts as a
        where a.owner_id = p_owner_id and a.kind = 'available' and a.unit = 'credit'
      )
      -- Said for the planner: the index of numbers has no others.
      and e.number is not null
      and e.created_at <= p_time
    order by e.number desc
    limit 1
  ), 0)
$$;
comment on function credits.balance_at(uuid, timestamptz) is 'What a user had at a time, as it was booked then.';

create function credits.statement(p_owner_id uuid, p_limit integer, p_before bigint default null)
returns table (
  number bigint, transfer_id uuid, kind credits.transfer_kind, amount bigint, balance_after bigint, job_id uuid,
  created_at timestamptz
)
language plpgsql
stable
set search_path = ''
-- A plan for this page's length is no better, and costs twice as much as reading the page.
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
  select e.number, e.transfer_id, e.kind, e.amount, e.balance_after, e.job_id, e.created_at
  from credits.entries as e
  where e.account_id = (
      select a.id from credits.accounts as a
      where a.owner_id = p_owner_id and a.kind = 'available' and a.unit = 'credit'
    )
    and e.number < coalesce(p_before, 9223372036854775807)
  order by e.number desc
  limit p_limit;
end;
$$;
comment on function credits.statement(uuid, integer, bigint) is
  'A user''s entries, newest first, page by page. A page starts below the last number of the one before, so that new
entries do not move it.';

create view credits.system_balances with (security_invoker = true) as
select a.kind, a.unit, coalesce(sum(e.amount), 0)::bigint as balance
from credits.accounts as a
left join credits.entries as e on e.account_id = a.id
where a.owner_id is null
group by a.kind, a.unit;
comment on view credits.system_balances is 'The platform''s accounts, which carry no balance: the sum of their entries.';

create function credits.use_of(p_transfer_id uuid)
returns table (job_id uuid, captured bigint, released bigint, held bigint)
language sql
stable
set search_path = ''
as $$
  -- Of each job, what it took of the lot that a grant or purchase made, and of its successors, by what became
  -- of it. The transfer is the one that made the lot.
  select h.job_id,
    sum(d.amount) filter (where e.kind = 'capture')::bigint, sum(d.amount) filter (where e.kind = 'release')::bigint,
    sum(d.amount) filter (where e.kind is null)::bigint
  from credits.transfers as o
  cross join lateral (
    select array_agg(l.id) as ids, array_agg(distinct l.account_id) as accounts
    from credits.lots_of(o.draws[1].lot_id) as l
  ) as own
  join credits.transfers as h on h.from_account_id = any (own.accounts) and h.kind = 'hold' and h.from_number is not null
    -- In its own account it can only have been drawn since.
    and (h.from_account_id <> o.to_account_id or h.from_number > o.to_number)
  cross join lateral unnest(h.draws) as d (lot_id, amount)
  left join credits.transfers as e on e.reverses_id = h.id and e.kind in ('capture', 'release')
  where o.id = p_transfer_id and d.lot_id = any (own.ids)
  group by h.job_id
$$;

-- supabase/schemas/credits/telling.sql

create function credits.tell(p_transfer credits.transfers)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells what moved the balance that a user sees. Nothing is told of what leaves a guest's account for their heir's, or moves
-- in a closed one.
declare
  v_account_id bigint;
begin
  select a.id into v_account_id
  from credits.accounts as a
  where a.id in (p_transfer.from_account_id, p_transfer.to_account_id) and a.kind = 'available' and a.unit = 'credit'
    and a.merged_into is null
    -- Its jobs end, and give back, a moment before the ledger closes it.
    and not exists (select from accounts.users as u where u.id = p_transfer.owner_id and u.closed_at is not null);
  if found then
    perform events.publish('credits.changed', p_transfer.owner_id, jsonb_build_object(
      'credits_remaining',
      case when v_account_id = p_transfer.from_account_id then p_transfer.from_balance else p_transfer.to_balance end,
      'amount', case when v_account_id = p_transfer.from_account_id then -p_transfer.amount else p_transfer.amount end,
      'kind', p_transfer.kind, 'job_id', p_transfer.job_id
    ));
  end if;
end;
$$;

-- supabase/schemas/credits/proofs.sql

-- How far the ledger is proved: for each account the last entry, and when. Apart from the accounts, so that proving
-- never makes a posting wait.
create table credits.checkpoints (
  account_id bigint primary key,
  number bigint not null,
  hash bytea not null,
  balance bigint not null
);
alter table credits.checkpoints enable row level security;
comment on table credits.checkpoints is 'The last entry of each account that was proved.';

create table credits.proofs (
  id bigint generated always as identity primary key,
  proved_until timestamptz not null,
  violations bigint not null
);
alter table credits.proofs enable row level security;
comment on table credits.proofs is 'When the ledger was proved, and how many violations were found.';

create type credits.violation as (violation text, subject text, details jsonb);

-- Whether a kind of transfer goes from one kind of account to another.
create function credits.is_route(
  p_kind credits.transfer_kind, p_from credits.account_kind, p_to credits.account_kind
)
returns boolean
language sql
immutable
return case p_kind
  when 'grant' then p_from = 'grants' and p_to = 'available'
  when 'purchase' then p_from in ('purchases', 'sandbox') and p_to = 'available'
  when 'refund' then p_from = 'revenue' and p_to = 'available'
  when 'adjustment' then (p_from, p_to) in (('grants', 'available'), ('available', 'grants'))
  when 'hold' then p_from = 'available' and p_to = 'escrow'
  when 'capture' then p_from = 'escrow' and p_to = 'revenue'
  when 'release' then p_from = 'escrow' and p_to = 'available'
  when 'expiry' then p_from = 'available' and p_to = 'breakage'
  when 'debt_payment' then p_from = 'available' and p_to = 'owed'
  when 'forfeit' then p_from = 'available' and p_to = 'forfeited'
  when 'merge' then (p_from, p_to) in (
    ('available', 'merging'), ('merging', 'available'), ('owed', 'merging'), ('merging', 'owed')
  )
  -- And back, where it was reversed itself; of an expiry or a payment, only back.
  when 'reversal' then (p_from, p_to) in (('breakage', 'available'), ('owed', 'available'))
    or (least(p_from, p_to) in ('available', 'owed') and greatest(p_from, p_to) in ('grants', 'purchases', 'sandbox'))
end;

-- Whether an owner's account was merged into another's, at once or by way of others.
create function credits.is_heir(p_owner_id uuid, p_heir_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  with recursive heirs as (
    select a.merged_into as id from credits.accounts as a where a.owner_id = p_owner_id and a.kind = 'available'
    union all
    select a.merged_into from heirs as h join credits.accounts as a on a.owner_id = h.id and a.kind = 'available'
  )
  select exists (select from heirs as h where h.id = p_heir_id)
$$;

-- How many lots of an account are not what the draws of its transfers left of them, are not its owner's, or expire
-- unnoticed. A lot that nothing drew is not here: one with credits makes the sum of the lots differ.
create function credits.odd_lots(p_account credits.accounts)
returns bigint
language sql
stable
set search_path = ''
as $$
  select count(*)
  from (
    select x.lot_id, sum(s.sign * x.amount) as remaining
    from (
      select -1 as sign, t.draws from credits.transfers as t
      where t.from_account_id = p_account.id and t.from_number is not null
      union all
      select 1, t.draws from credits.transfers as t where t.to_account_id = p_account.id and t.to_number is not null
    ) as s
    cross join lateral unnest(s.draws) as x (lot_id, amount)
    group by x.lot_id
  ) as d
  -- One by one, by their key: joined, all lots would be read for each account.
  left join lateral (select l.* from credits.lots as l where l.id = d.lot_id offset 0) as l on true
  where (l.remaining, l.account_id, l.owner_id) is distinct from (d.remaining, p_account.id, p_account.owner_id)
    or l.remaining > l.amount
    or (not l.is_spent and l.expires_at < coalesce(p_account.next_expiry_at, 'infinity'))
$$;

create function credits.account_violations(
  p_account credits.accounts, p_lots bigint, p_odd_lots bigint, p_proved credits.checkpoints, p_full boolean
)
returns setof credits.violation
language plpgsql
stable
set search_path = ''
as $$
-- What is wrong with one account: since its checkpoint, or in full, and then what was proved must still be there. The
-- account, its checkpoint and its lots were read in one statement; entries beyond its head are younger than that and
-- not looked at.
declare
  v_sign constant bigint := case p_account.kind when 'owed' then -1 else 1 end;
  v_start constant credits.checkpoints := case when not p_full then p_proved end;
  v_from constant bigint := coalesce(v_start.number, 0);
  v_entries record;
begin
  select count(*) as count,
    coalesce(sum(c.amount), 0) * v_sign + coalesce(v_start.balance, 0) as balance,
    count(*) = p_account.entry_count - v_from
      and coalesce((array_agg(c.hash order by c.number desc))[1], v_start.hash, '\x') = p_account.head_hash
      and coalesce(bool_and(
        c.number = c.expected_number
        and c.hash = credits.entry_hash(c.previous_hash, c.transfer, c.account_id, c.number, c.balance_after)
        and c.balance_after = coalesce(v_start.balance, 0) + v_sign * c.running_sum
      ), true)
      and (
        not p_full or coalesce(p_proved.number, 0) = 0
        or coalesce(bool_or(c.number = p_proved.number and c.hash = p_proved.hash), false)
      ) as is_chained
  into v_entries
  from (
    select e.*, t as transfer,
      v_from + row_number() over (order by e.number) as expected_number,
      lag(e.hash, 1, coalesce(v_start.hash, '\x')) over (order by e.number) as previous_hash,
      sum(e.amount) over (order by e.number) as running_sum
    from credits.entries as e
    join credits.transfers as t on t.id = e.transfer_id
    where e.account_id = p_account.id and e.number > v_from and e.number <= p_account.entry_count
  ) as c;

  if not v_entries.is_chained then
    return next row('broken_chain', p_account.id::text, jsonb_build_object(
      'entries', v_entries.count, 'expected', p_account.entry_count - v_from
    ))::credits.violation;
  end if;
  if v_entries.balance <> p_account.balance then
    return next row('balance_differs', p_account.id::text, jsonb_build_object(
      'balance', p_account.balance, 'entries', v_entries.balance
    ))::credits.violation;
  end if;
  if p_account.kind = 'available' and (p_lots <> p_account.balance or p_odd_lots is not null) then
    return next row('lots_differ', p_account.id::text, jsonb_strip_nulls(jsonb_build_object(
      'balance', p_account.balance, 'lots', p_lots, 'odd_lots', p_odd_lots
    )))::credits.violation;
  end if;
end;
$$;

create function credits.reconcile(p_full boolean default false)
returns setof credits.violation
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_now constant timestamptz := core.now();
  -- A transaction that was open at the last proof may have written transfers with an earlier time since.
  v_since constant timestamptz := case when p_full then '-infinity' else coalesce(
    (select max(p.proved_until) - interval '10 minutes' from credits.proofs as p where p.violations = 0), '-infinity'
  ) end;
  v_row record;
  v_violation credits.violation;
  v_is_clean boolean;
  v_found bigint := 0;
begin
  for v_violation in
    select 'unbalanced_transfer', t.id::text, jsonb_build_object(
      'kind', t.kind, 'amount', t.amount, 'from_account_id', t.from_account_id, 'to_account_id', t.to_account_id
    )
    from credits.transfers as t
    left join credits.accounts as f on f.id = t.from_account_id
    left join credits.accounts as d on d.id = t.to_account_id
    left join credits.transfers as h on h.id = t.reverses_id and h.kind = 'hold'
    left join credits.postings as p on p.id = t.posting_id
    where t.created_at >= v_since and (
      f.id is null or d.id is null or f.unit <> d.unit
      or not credits.is_route(t.kind, f.kind, d.kind)
      or coalesce(f.owner_id, t.owner_id) <> t.owner_id or coalesce(d.owner_id, t.owner_id) <> t.owner_id
      or num_nonnulls(t.from_number, t.from_balance, t.from_hash) <> case when f.owner_id is null then 0 else 3 end
      or num_nonnulls(t.to_number, t.to_balance, t.to_hash) <> case when d.owner_id is null then 0 else 3 end
      or p.owner_id is distinct from case when t.posting_id is not null then t.owner_id end
      -- No hash is over a capture, which has no user's side.
      or t.kind in ('capture', 'release') and (
        (t.amount, t.from_account_id, t.job_id, t.posting_id)
          is distinct from (h.amount, h.to_account_id, h.job_id, null::bigint)
        or case
          when t.kind = 'capture' then
            (t.to_account_id, t.owner_id, t.draws) is distinct from (credits.system_account('revenue'), h.owner_id, '{}')
          when t.to_account_id = h.from_account_id then (t.owner_id, t.draws) is distinct from (h.owner_id, h.draws)
          -- To whom the account was merged into since.
          else not credits.is_heir(h.owner_id, t.owner_id)
            or t.draws is distinct from credits.successors(h.draws, t.to_account_id)
        end
        or t.created_at < h.created_at
      )
    )
    union all
    -- What leaves a guest's accounts comes to the heir's, in the same moment.
    select 'unbalanced_transfer', coalesce(t.reverses_id, t.id)::text, jsonb_build_object('kind', 'merge', 'halves', count(*))
    from credits.transfers as t
    where t.kind = 'merge' and t.created_at >= v_since
    group by coalesce(t.reverses_id, t.id)
    having count(*) <> 2 or count(t.reverses_id) <> 1 or min(t.amount) <> max(t.amount)
      or count(*) filter (where t.to_account_id = credits.system_account('merging')) <> 1
      or not credits.is_heir(
        (array_agg(t.owner_id) filter (where t.reverses_id is null))[1],
        (array_agg(t.owner_id) filter (where t.reverses_id is not null))[1]
      )
    union all
    -- It was proved, so it was there.
    select 'broken_chain', c.account_id::text, jsonb_build_object('entries', 0, 'expected', c.number)
    from credits.checkpoints as c
    where not exists (select from credits.accounts as a where a.id = c.account_id)
    union all
    select h.violation, h.subject, h.details from videos.hold_violations(v_since) as h
  loop
    v_found := v_found + 1;
    return next v_violation;
  end loop;

  for v_row in
    select a as account, c as proved,
      (select coalesce(sum(l.remaining), 0) from credits.lots as l where l.account_id = a.id and not l.is_spent)::bigint as lots,
      case when p_full and a.kind = 'available' then nullif(credits.odd_lots(a), 0) end as odd_lots
    from credits.accounts as a
    left join credits.checkpoints as c on c.account_id = a.id
    where a.owner_id is not null and (
      p_full
      or (a.entry_count, a.head_hash, a.balance) is distinct from
        (coalesce(c.number, 0), coalesce(c.hash, '\x'), coalesce(c.balance, 0))
    )
  loop
    v_is_clean := true;
    for v_violation in
      select v.* from credits.account_violations(
        v_row.account, v_row.lots, v_row.odd_lots, v_row.proved, p_full
      ) as v
    loop
      v_is_clean := false;
      v_found := v_found + 1;
      return next v_violation;
    end loop;
    if v_is_clean then
      insert into credits.checkpoints as c (account_id, number, hash, balance)
      values ((v_row.account).id, (v_row.account).entry_count, (v_row.account).head_hash, (v_row.account).balance)
      on conflict (account_id) do update
        set number = excluded.number, hash = excluded.hash, balance = excluded.balance;
    end if;
  end loop;

  insert into credits.proofs (proved_until, violations) values (v_now, v_found);
end;
$$;
comment on function credits.reconcile(boolean) is
  'Proves the ledger: a row for each violation, none when all holds. From the last proved entry on, or in full.
unbalanced_transfer (a side is of an account that is not its owner''s or not of its kind, its posting is gone, the end of a
hold is not that of the hold, or a merge has one half), broken_chain (of entries, with all that their transfers say, or what was proved is gone),
balance_differs (from the entries), lots_differ (from the balance, or in full from what was drawn of each), and those of
videos.hold_violations.
An account that is clean gets its checkpoint; one that is not is looked at again. Nothing that a posting needs is locked.';

create function credits.rebuild_balances()
returns table (account_id bigint, balance_before bigint, balance_after bigint)
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- A posting holds a row of accounts from its first step on, so a weaker mode would wait for it in a circle.
  lock table credits.accounts, credits.lots in exclusive mode;
  alter table credits.accounts disable trigger only_by_transfer;
  alter table credits.lots disable trigger only_by_transfer;

  update credits.lots as l
  set remaining = d.remaining
  from (
    select x.lot_id, sum(x.amount * case s.account_id when t.to_account_id then 1 when t.from_account_id then -1 else 0 end) as remaining
    from credits.transfers as t
    cross join lateral unnest(t.draws) as x (lot_id, amount)
    join credits.lots as s on s.id = x.lot_id
    group by x.lot_id
  ) as d
  where d.lot_id = l.id and d.remaining <> l.remaining;

  return query
  with truth as (
    select a.id, a.balance,
      coalesce(sum(e.amount), 0) * case a.kind when 'owed' then -1 else 1 end as entries,
      count(e.number) as count,
      coalesce((array_agg(e.hash order by e.number desc))[1], '\x') as head
    from credits.accounts as a
    left join credits.entries as e on e.account_id = a.id
    where a.owner_id is not null
    group by a.id
  ),
  mended as (
    update credits.accounts as a
    set balance = t.entries, entry_count = t.count, head_hash = t.head
    from truth as t
    where t.id = a.id and (a.balance, a.entry_count, a.head_hash) is distinct from (t.entries, t.count, t.head)
    returning a.id, a.balance
  )
  select m.id, t.balance::bigint, m.balance::bigint
  from mended as m
  join truth as t on t.id = m.id;

  alter table credits.accounts enable trigger only_by_transfer;
  alter table credits.lots enable trigger only_by_transfer;
end;
$$;
comment on function credits.rebuild_balances() is
  'Puts balances, heads and lots right from the entries and transfers, which are the truth, and returns the accounts whose
balance was not. For after a repair by hand: it stops all postings while it runs, and lifts the guard that lets nobody
else touch a balance.';

-- supabase/schemas/queue/queue.sql

-- queue: work that must survive, as rows. It knows no other domain: a domain registers its kinds of task as rows of
-- queue.kinds, gives each task a subject and an owner, and does the work in `_shared/<domain>/tasks.ts`.
-- In this order: queue.sql (what there is), tasks.sql (how a domain makes and ends tasks), claims.sql (how workers get
-- them), waiting.sql (what waits for one).

create schema queue;

create type queue.backoff as enum ('fixed', 'exponential');

create table queue.kinds (
  kind text primary key check (kind ~ '^[a-z_]{1,50}$'),
  -- Tasks of this kind at work at once, over all workers; and of one lane, where null bounds nothing.
  concurrency integer not null check (concurrency > 0),
  lane_concurrency integer check (lane_concurrency > 0),
  -- Attempts until the task is a dead letter; null: it goes on until its domain ends it.
  tries integer check (tries > 0),
  backoff queue.backoff not null,
  base_seconds numeric not null check (base_seconds > 0),
  max_seconds numeric not null check (max_seconds >= base_seconds),
  -- The part of the delay that is random: 0 none, 1 all of it.
  jitter numeric not null default 0.5 check (jitter between 0 and 1),
  -- How long a worker may be silent before another takes the task. While it works it renews the lease every 4 s.
  lease_seconds integer not null check (lease_seconds >= 10),
  -- The longest attempt. No lease is renewed beyond it.
  timeout_seconds integer not null check (timeout_seconds >= lease_seconds),
  -- Lower first.
  priority smallint not null,
  -- What the kind's domain does when a task has no try left: a function of the subject and the cause, with its schema. It runs in the
  -- transaction that makes the dead letter, before the task is locked. Text, because a `regprocedure` column blocks
  -- pg_upgrade.
  on_dead text check (on_dead ~ '^[a-z_]+\.[a-z_]+$'),
  -- What one claim brings at most, for work of which a worker can do little at once; null bounds nothing.
  claim_limit integer check (claim_limit > 0),
  -- What the kind's handler is told of the subject with each claim: a function of the subject, with its schema, that
  -- returns jsonb.
  facts text check (facts ~ '^[a-z_]+\.[a-z_]+$')
);
alter table queue.kinds enable row level security;
comment on table queue.kinds is 'How tasks of each kind are worked; the operator may change it.';

-- How many open tasks of its kind its owner had before a task, 15 for more. A domain: a table's own check costs ten times as
-- much.
create domain queue.place as smallint check (value between 0 and 15);

create table queue.tasks (
  id bigint generated always as identity primary key,
  -- One of queue.kinds, which queue.add sees to: a foreign key would lock the kind's one row with every task.
  kind text not null,
  -- What it is about: a job, a user. A kind has one open task for a subject.
  subject uuid not null,
  -- Whose it is; null for the platform itself.
  owner_id uuid,
  -- A queue of its own within the kind, bounded by lane_concurrency: a webhook, a batch.
  lane text not null default '',
  payload jsonb not null default '{}',
  -- The request that it goes back to; ties what goes wrong to the log.
  request_id text,
  priority smallint not null,
  -- Whoever has many lets others go first.
  place queue.place not null,
  -- When it may be claimed. While it is leased, the end of the lease: then it may be claimed again.
  run_at timestamptz not null,
  -- Every claim is an attempt, whose number fences off those before it.
  attempts integer not null default 0,
  -- Those that cost no try.
  uncounted_attempts integer not null default 0,
  claimed_at timestamptz,
  leased_until timestamptz,
  last_error text,
  -- A dead letter; clearing it is the replay.
  failed_at timestamptz,
  created_at timestamptz not null
) with (fillfactor = 70);
alter table queue.tasks enable row level security;
create unique index tasks_open on queue.tasks (subject, kind) where failed_at is null;
-- What may be claimed of a kind, lane, priority and place stands together, in the order of its time.
create index tasks_due on queue.tasks (kind, lane, priority, place, run_at) where failed_at is null;
create index tasks_leased on queue.tasks (kind, lane, leased_until) where leased_until is not null;
create index tasks_owner on queue.tasks (owner_id, kind) where failed_at is null;
create index tasks_dead on queue.tasks (subject) where failed_at is not null;
-- The newest first; the kind stands in it, so that of other kinds no row is read.
create index tasks_failed_at on queue.tasks (failed_at, id, kind) where failed_at is not null;
comment on table queue.tasks is 'Work that must survive; a finished task is deleted.';

select core.keep_rows_out_of_logs('queue.tasks');

create table queue.lanes (
  kind text not null,
  lane text not null,
  -- When a worker came by last and found as much of it at work as lane_concurrency allows, with what it took itself.
  full_at timestamptz not null,
  primary key (kind, lane)
) with (fillfactor = 50);
alter table queue.lanes enable row level security;
comment on table queue.lanes is 'When bounded lanes were full: what waited in one then waited for its receiver, and for no worker.';

-- supabase/schemas/queue/tasks.sql

create function queue.add(
  p_kind text, p_subject uuid, p_owner_id uuid, p_run_at timestamptz, p_payload jsonb default '{}',
  p_request_id text default null, p_lane text default '', p_priority smallint default null
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a task. An open one of the same kind and subject is the same work: it gets what the payload adds and, unless a
-- worker has it, the earlier time. Its priority is its kind's where none is given. Raises not_null_violation for a kind that
-- is none.
declare
  v_now constant timestamptz := core.now();
begin
  insert into queue.tasks as t (
    kind, subject, owner_id, lane, payload, request_id, priority, place, run_at, created_at
  )
  values (
    p_kind, p_subject, p_owner_id, p_lane, p_payload, p_request_id,
    (select coalesce(p_priority, k.priority) from queue.kinds as k where k.kind = p_kind),
    -- Lanes are apart anyway.
    case when p_lane = '' then (
      select count(*)
      from (
        select from queue.tasks as o
        where o.owner_id = p_owner_id and o.kind = p_kind and o.failed_at is null
        limit 15
      ) as o
    ) else 0 end,
    p_run_at, v_now
  )
  on conflict (subject, kind) where failed_at is null do update
    set run_at = case when t.leased_until > v_now then t.run_at else least(t.run_at, excluded.run_at) end,
        payload = t.payload || excluded.payload;
end;
$$;

create function queue.hasten(p_kind text, p_subject uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Brings an open task that no worker has forward to now; without one, it does nothing.
declare
  v_now constant timestamptz := core.now();
begin
  update queue.tasks as t
  set run_at = least(t.run_at, v_now)
  where t.subject = p_subject and t.kind = p_kind and t.failed_at is null and coalesce(t.leased_until <= v_now, true);
end;
$$;

create function queue.hasten_of(p_owner_id uuid, p_kinds text[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The same of all tasks of these kinds that an owner has.
declare
  v_now constant timestamptz := core.now();
begin
  update queue.tasks as t
  set run_at = least(t.run_at, v_now)
  where t.owner_id = p_owner_id and t.kind = any (p_kinds) and t.failed_at is null and coalesce(t.leased_until <= v_now, true);
end;
$$;

create function queue.drop(p_subject uuid, p_kinds text[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes the tasks of a subject that are of these kinds, dead letters too: nothing of them is left to do.
begin
  delete from queue.tasks as t where t.subject = p_subject and t.kind = any (p_kinds) and t.failed_at is null;
  delete from queue.tasks as t where t.subject = p_subject and t.kind = any (p_kinds) and t.failed_at is not null;
end;
$$;

create function queue.drop_all(p_subjects uuid[], p_kinds text[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The same of many subjects at once. Locks: their tasks.
begin
  delete from queue.tasks as t where t.subject = any (p_subjects) and t.kind = any (p_kinds) and t.failed_at is null;
  delete from queue.tasks as t where t.subject = any (p_subjects) and t.kind = any (p_kinds) and t.failed_at is not null;
end;
$$;

create function queue.next_run(p_kind text, p_subject uuid)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  -- When the open task of a subject is tried next; while a worker has it, when its lease ends. Null without one.
  select t.run_at from queue.tasks as t where t.subject = p_subject and t.kind = p_kind and t.failed_at is null
$$;

-- Whether a subject has an open task of a kind.
create function queue.has_open(p_kind text, p_subject uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select from queue.tasks as t where t.subject = p_subject and t.kind = p_kind and t.failed_at is null
  );
end;
$$;

-- Whether an attempt that came to nothing yet, or to nobody knows what, was made of a subject's task of a kind.
create function queue.has_begun(p_kind text, p_subject uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select from queue.tasks as t where t.subject = p_subject and t.kind = p_kind and t.attempts > t.uncounted_attempts
  );
end;
$$;

-- The longest attempt of a kind.
create function queue.timeout(p_kind text)
returns interval
language plpgsql
stable
set search_path = ''
as $$
begin
  return (select make_interval(secs => k.timeout_seconds) from queue.kinds as k where k.kind = p_kind);
end;
$$;

-- When the attempt that a worker may still be at is over at the latest; null where none has been claimed.
create function queue.attempt_ends_at(p_kind text, p_subject uuid)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  select t.claimed_at + queue.timeout(p_kind)
  from queue.tasks as t
  where t.subject = p_subject and t.kind = p_kind and t.failed_at is null and t.leased_until is not null
$$;

-- When a task of a kind runs again after so many attempts.
create function queue.retry_at(p_kind text, p_attempts integer)
returns timestamptz
language plpgsql
volatile
set search_path = ''
as $$
begin
  return (
    select core.now() + make_interval(secs =>
      (least(k.max_seconds,
        -- 2^30 seconds are beyond every maximum; more would overflow.
        case k.backoff when 'fixed' then k.base_seconds else k.base_seconds * 2 ^ least(30, greatest(0, p_attempts - 1)) end
      ) * (1 - k.jitter * random()))::double precision
    )
    from queue.kinds as k
    where k.kind = p_kind
  );
end;
$$;

create function queue.postpone(
  p_kind text, p_subject uuid, p_error text, p_after_seconds numeric, p_attempts integer default null
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives the open task of a subject back, to run again by its kind's backoff and not before p_after_seconds. What it
-- waits for is no fault of an attempt, so it costs no try. p_attempts: what the backoff counts, where that is not the
-- task's own.
begin
  update queue.tasks as t
  set leased_until = null, last_error = p_error,
      run_at = greatest(
        queue.retry_at(p_kind, coalesce(p_attempts, t.attempts - t.uncounted_attempts)),
        core.now() + make_interval(secs => p_after_seconds::double precision)
      )
  where t.subject = p_subject and t.kind = p_kind and t.failed_at is null;
end;
$$;

create function queue.finish(p_task_id bigint, p_attempt integer)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Ends a task that is done. False, and nothing changes, for an attempt that lost its lease to another.
begin
  delete from queue.tasks as t where t.id = p_task_id and t.attempts = p_attempt;
  return found;
end;
$$;

create function queue.repeat(
  p_task_id bigint, p_attempt integer, p_run_at timestamptz, p_payload jsonb default '{}', p_error text default null
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- The attempt came to what it should, or p_error was no fault of its own, and the task runs again at a later time: that
-- costs no try. False, and nothing changes, for an attempt that lost its lease to another.
begin
  update queue.tasks as t
  set uncounted_attempts = t.attempts, leased_until = null, run_at = p_run_at, payload = t.payload || p_payload,
      last_error = coalesce(p_error, t.last_error)
  where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null;
  return found;
end;
$$;

create function queue.keep(p_task_id bigint, p_attempt integer, p_payload jsonb)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- What the attempt, which goes on, has come to, in the place of all that the payload said before: the next one begins
-- there. False, and nothing changes, for an attempt that lost its lease to another. Locks: task.
begin
  update queue.tasks as t set payload = p_payload
  where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null;
  return found;
end;
$$;

create function queue.bury(p_task queue.tasks, p_error text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a dead letter of a task that has no try left, once its kind's domain has done what that means, which may delete
-- the task. Nobody claims it any more, so it is not locked before. False where another call was first.
-- Locks: those of the domain → task.
declare
  v_on_dead text;
begin
  select k.on_dead into v_on_dead from queue.kinds as k where k.kind = p_task.kind;
  if v_on_dead is not null then
    execute format('select %s($1, $2)', v_on_dead) using p_task.subject, p_error;
  end if;
  update queue.tasks as t
  set failed_at = core.now(), leased_until = null, last_error = p_error
  where t.id = p_task.id and t.attempts = p_task.attempts and t.failed_at is null;
  return found or v_on_dead is not null;
end;
$$;

create function queue.retry(
  p_task_id bigint, p_attempt integer, p_error text, p_after_seconds numeric default null
)
returns text
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a task back after an attempt that came to nothing: `waiting`, to run later by its kind's backoff (and not
-- before p_after_seconds, where whoever refused named a time); `dead`, when no try is left; `lost`, and nothing
-- changes, when another attempt has it. Locks: those of the domain, where the task dies → task.
declare
  v_task queue.tasks;
  v_tries integer;
begin
  select t.* into v_task from queue.tasks as t where t.id = p_task_id;
  if not found or v_task.attempts <> p_attempt or v_task.failed_at is not null then
    return 'lost';
  end if;
  select k.tries into v_tries from queue.kinds as k where k.kind = v_task.kind;
  if v_task.attempts - v_task.uncounted_attempts >= v_tries then
    return case when queue.bury(v_task, p_error) then 'dead' else 'lost' end;
  end if;
  update queue.tasks as t
  set leased_until = null, last_error = p_error,
      run_at = greatest(
        queue.retry_at(t.kind, t.attempts - t.uncounted_attempts),
        core.now() + make_interval(secs => p_after_seconds::double precision)
      )
  where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null;
  return case when found then 'waiting' else 'lost' end;
end;
$$;

create function queue.replay(p_task_id bigint)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Has a dead letter tried again, at once and with all its tries. False, and nothing changes, for a task that is not dead, and
-- where another of its kind and subject is open, which is the same work. Locks: task.
begin
  update queue.tasks as t
  set failed_at = null, uncounted_attempts = t.attempts, run_at = core.now()
  where t.id = p_task_id and t.failed_at is not null;
  return found;
exception when unique_violation then
  return false;
end;
$$;

-- A task, for an admin; without what it is done with, which may be a secret.
create function queue.task_json(p_task queue.tasks)
returns jsonb
language sql
stable
return jsonb_build_object(
  'task_id', (p_task).id, 'kind', (p_task).kind, 'subject', (p_task).subject, 'owner_id', (p_task).owner_id,
  'request_id', (p_task).request_id, 'attempts', (p_task).attempts, 'last_error', (p_task).last_error,
  'run_at', core.to_iso((p_task).run_at), 'failed_at', core.to_iso((p_task).failed_at), 'created_at', core.to_iso((p_task).created_at)
);

-- supabase/schemas/queue/claims.sql

create function queue.heads(p_kinds text[])
returns table (kind text, lane text, priority smallint, place smallint)
language plpgsql
stable
set search_path = ''
-- As queue.claim.
set plan_cache_mode = force_generic_plan
as $$
-- Where the open tasks of these kinds stand: each lane, priority and place that has any. One jump in the index for
-- each, however many tasks there are.
begin
  return query
  with recursive heads as (
    select k.kind, f.lane, f.priority, f.place
    from unnest(p_kinds) as k (kind)
    cross join lateral (
      select t.lane, t.priority, t.place
      from queue.tasks as t
      where t.kind = k.kind and t.failed_at is null
      order by t.lane, t.priority, t.place
      limit 1
    ) as f
    union all
    select h.kind, n.lane, n.priority, n.place
    from heads as h
    cross join lateral (
      select t.lane, t.priority, t.place
      from queue.tasks as t
      where t.kind = h.kind and t.failed_at is null and (t.lane, t.priority, t.place) > (h.lane, h.priority, h.place)
      order by t.lane, t.priority, t.place
      limit 1
    ) as n
  )
  select h.kind, h.lane, h.priority, h.place::smallint from heads as h;
end;
$$;

create function queue.claim(p_limit integer, p_subject uuid default null, p_without text[] default '{}')
returns setof queue.tasks
language plpgsql
volatile
set search_path = ''
-- The caller gives up after 10 s; what is claimed for nobody would wait for the end of its lease.
set lock_timeout = '1s'
-- With its limits known a plan always looks cheaper, and to make it takes longer than to claim.
set plan_cache_mode = force_generic_plan
as $$
-- Leases up to p_limit due tasks, of one subject if it is named and of no kind in p_without, within each kind's
-- claim_limit and each kind's and lane's concurrency, in the order of their priority. Within a priority owners take
-- turns: a task lets those go first that came up to a minute later, for each task that its owner had before it. What a
-- claim costs grows with what it takes, and not with what waits. A claim for all subjects notes which lanes are full after
-- it. Locks: the kinds, by name, so that concurrent claims count right → tasks → lanes; tasks that another transaction holds
-- are passed over. Where the kinds cannot be had within a second, nothing is claimed.
declare
  v_now timestamptz;
begin
  perform from queue.kinds as k
  where p_subject is null or exists (
    select from queue.tasks as t where t.subject = p_subject and t.kind = k.kind and t.failed_at is null
  )
  order by k.kind
  for update;
  v_now := core.now();

  return query
  with room as (
    select k.kind, k.tries, k.lane_concurrency, least(k.claim_limit, k.concurrency - (
      select count(*) from queue.tasks as b where b.kind = k.kind and b.leased_until > v_now
    )) as free
    from queue.kinds as k
    where k.kind <> all (p_without)
  ),
  due as (
    select d.id, h.kind, h.lane, r.lane_concurrency, h.priority, d.run_at + h.place * interval '1 minute' as turn
    from queue.heads(array(select r.kind from room as r where r.free > 0 and p_subject is null)) as h
    join room as r on r.kind = h.kind
    cross join lateral (
      select t.id, t.run_at
      from queue.tasks as t
      where t.kind = h.kind and t.lane = h.lane and t.priority = h.priority and t.place = h.place
        and t.failed_at is null and t.run_at <= v_now and (r.tries is null or t.attempts - t.uncounted_attempts < r.tries)
      order by t.run_at
      limit p_limit
    ) as d
    union all
    select t.id, t.kind, t.lane, r.lane_concurrency, t.priority, t.run_at
    from queue.tasks as t
    join room as r on r.kind = t.kind
    where t.subject = p_subject and t.failed_at is null and t.run_at <= v_now
      and (r.tries is null or t.attempts - t.uncounted_attempts < r.tries) and r.free > 0
  ),
  -- What a lane may still have at work, then what its kind may.
  in_lanes as (
    select d.*, row_number() over (partition by d.kind, d.lane order by d.priority, d.turn, d.id) as number
    from due as d
  ),
  in_kinds as (
    select l.*, row_number() over (partition by l.kind order by l.priority, l.turn, l.id) as number_of_kind
    from in_lanes as l
    where l.lane_concurrency is null or l.number <= l.lane_concurrency - (
      select count(*) from queue.tasks as b where b.kind = l.kind and b.lane = l.lane and b.leased_until > v_now
    )
  ),
  chosen as (
    select a.id, a.priority, a.turn
    from in_kinds as a
    join room as r on r.kind = a.kind
    where a.number_of_kind <= r.free
    order by a.priority, a.turn, a.id
    limit p_limit
  ),
  -- Each by its id, whatever is thought of how many there are: a join may read the whole table, and did.
  locked as (
    select l.id
    from chosen as c
    cross join lateral (select t.id from queue.tasks as t where t.id = c.id for update skip locked) as l
  )
  update queue.tasks as t
  set attempts = t.attempts + 1, claimed_at = v_now,
      leased_until = v_now + make_interval(secs => k.lease_seconds), run_at = v_now + make_interval(secs => k.lease_seconds)
  from queue.kinds as k
  where t.id = any (array(select l.id from locked as l)) and k.kind = t.kind
  returning t.*;

  if p_subject is null then
    -- By itself: what is claimed by now has been returned, and nothing takes it back.
    begin
      insert into queue.lanes as l (kind, lane, full_at)
      select k.kind, f.lane, v_now
      from queue.kinds as k
      cross join lateral (
        select b.lane
        from queue.tasks as b
        where b.kind = k.kind and b.leased_until > v_now
        group by b.lane
        having count(*) >= k.lane_concurrency
      ) as f
      where k.lane_concurrency is not null
      -- Once a second is often enough.
      on conflict (kind, lane) do update set full_at = excluded.full_at
        where l.full_at <= excluded.full_at - interval '1 second';
    exception
      -- It is just being swept away; the next claim notes the others.
      when lock_not_available then
        null;
    end;
  end if;
exception
  when lock_not_available then
    return;
end;
$$;

create function queue.hand_out(p_limit integer, p_subject uuid default null, p_without text[] default '{}')
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Claims tasks, see queue.claim, and tells a worker of them: a list of `{ task_id, kind, subject, owner_id, attempt,
-- payload, facts }`, first what is most urgent. `facts` is what its kind says of its subject, null where it says nothing.
-- It is not there where it cannot be had, which is for that task's attempt to report and stops no other's.
declare
  v_task record;
  v_facts jsonb;
  v_are_known boolean;
  v_tasks jsonb := '[]';
begin
  for v_task in
    select t.id, t.kind, t.subject, t.owner_id, t.attempts, t.payload, k.facts
    from queue.claim(p_limit, p_subject, p_without) as t
    join queue.kinds as k on k.kind = t.kind
    order by t.priority, t.id
  loop
    v_facts := null;
    v_are_known := true;
    if v_task.facts is not null then
      begin
        execute format('select %s($1)', v_task.facts) into v_facts using v_task.subject;
      exception when others then
        v_are_known := false;
        raise warning 'the facts for task % cannot be had: %', v_task.id, sqlerrm;
      end;
    end if;
    v_tasks := v_tasks || (jsonb_build_object(
      'task_id', v_task.id, 'kind', v_task.kind, 'subject', v_task.subject, 'owner_id', v_task.owner_id,
      'attempt', v_task.attempts, 'payload', v_task.payload
    ) || case when v_are_known then jsonb_build_object('facts', v_facts) else '{}' end);
  end loop;
  return v_tasks;
end;
$$;

create function queue.lease(p_kind text, p_subject uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Leases the open task of a subject to whoever does its work without having claimed it, for the longest attempt.
declare
  v_until constant timestamptz := core.now() + queue.timeout(p_kind);
begin
  update queue.tasks as t
  set leased_until = v_until, run_at = v_until
  where t.subject = p_subject and t.kind = p_kind and t.failed_at is null;
end;
$$;

create function queue.renew(p_task_ids bigint[], p_attempts integer[])
returns boolean[]
language plpgsql
volatile
set search_path = ''
as $$
-- Renews the leases of attempts that go on, within their kind's timeout, and tells of each whether it has its task
-- still.
declare
  v_now constant timestamptz := core.now();
  v_kept boolean[];
begin
  with renewed as (
    update queue.tasks as t
    set leased_until = n.until, run_at = n.until
    from (
      select r.id, r.attempts, greatest(r.leased_until, least(
        v_now + make_interval(secs => k.lease_seconds), r.claimed_at + make_interval(secs => k.timeout_seconds)
      )) as until
      from unnest(p_task_ids, p_attempts) as a (id, attempt)
      join queue.tasks as r on r.id = a.id and r.attempts = a.attempt and r.failed_at is null
      join queue.kinds as k on k.kind = r.kind
    ) as n
    where t.id = n.id and t.attempts = n.attempts and t.leased_until is not null and n.until > v_now
    returning t.id, t.attempts
  )
  select array_agg(r.id is not null order by a.place) into v_kept
  from unnest(p_task_ids, p_attempts) with ordinality as a (id, attempt, place)
  left join renewed as r on r.id = a.id and r.attempts = a.attempt;
  return v_kept;
end;
$$;

-- supabase/schemas/queue/waiting.sql

-- What waits for a worker, and what a worker did not come back for.

create function queue.count_due()
returns integer
language sql
volatile
set search_path = ''
as $$
  -- Tasks that wait for a worker; of each place in the queue 1000 stand for more.
  select coalesce(sum(d.tasks), 0)::integer
  from queue.heads(array(select k.kind from queue.kinds as k)) as h
  cross join lateral (
    select count(*) as tasks
    from (
      select from queue.tasks as t
      where t.kind = h.kind and t.lane = h.lane and t.priority = h.priority and t.place = h.place
        and t.failed_at is null and t.run_at <= core.now()
      limit 1000
    ) as due
  ) as d
$$;

create function queue.longest_waits()
returns table (kind text, waits interval)
language plpgsql
volatile
set search_path = ''
-- As queue.claim.
set plan_cache_mode = force_generic_plan
as $$
-- Of each kind of which a task waits for a worker, how long the one does that waits longest. What a lane has at its bound
-- waits for its receiver, however many workers there are, and counts from when a worker last came by and found it so: a lane
-- has room for a moment whenever one of its attempts ends. A kind at its own bound is slow service, and counts. Takes no lock.
declare
  v_now constant timestamptz := core.now();
begin
  return query
  select h.kind, v_now - min(greatest(d.run_at, l.full_at))
  from queue.heads(array(select k.kind from queue.kinds as k)) as h
  join queue.kinds as k on k.kind = h.kind
  left join queue.lanes as l on l.kind = h.kind and l.lane = h.lane and k.lane_concurrency is not null
  cross join lateral (
    select t.run_at
    from queue.tasks as t
    where t.kind = h.kind and t.lane = h.lane and t.priority = h.priority and t.place = h.place and t.failed_at is null
    order by t.run_at
    limit 1
  ) as d
  where d.run_at <= v_now and (k.lane_concurrency is null or k.lane_concurrency > (
    select count(*) from queue.tasks as b where b.kind = h.kind and b.lane = h.lane and b.leased_until > v_now
  ))
  group by h.kind;
end;
$$;

create function queue.oldest_due()
returns interval
language sql
volatile
set search_path = ''
as $$
  -- How long the task waits for a worker that waits longest; zero where none does.
  select coalesce(max(w.waits), '0') from queue.longest_waits() as w
$$;

create function queue.lost_tasks(p_limit integer)
returns setof bigint
language plpgsql
stable
set search_path = ''
as $$
-- Tasks whose last try ended with its worker, up to p_limit.
declare
  -- Not in the query: a volatile function cannot be looked up in an index.
  v_now constant timestamptz := core.now();
begin
  return query
  select l.id
  from queue.kinds as k
  cross join lateral (
    select t.id
    from queue.tasks as t
    where t.kind = k.kind and t.leased_until <= v_now and t.failed_at is null
      and t.attempts - t.uncounted_attempts >= k.tries
    limit p_limit
  ) as l
  limit p_limit;
end;
$$;

create function queue.bury_lost(p_task_id bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a dead letter of a task whose last try ended with its worker; any other stays as it is.
-- Locks: those of its domain → task.
declare
  v_task queue.tasks;
begin
  select t.* into v_task
  from queue.tasks as t
  join queue.kinds as k on k.kind = t.kind
  where t.id = p_task_id and t.leased_until <= core.now() and t.failed_at is null
    and t.attempts - t.uncounted_attempts >= k.tries;
  if found then
    perform queue.bury(v_task, 'the worker did not come back from the last try');
  end if;
end;
$$;

-- supabase/schemas/events/events.sql

-- events: telling whoever should know. A fact that somebody may want to hear of is one row of events.log, written by the
-- procedure that makes it true, in the same transaction. It knows no other domain but queue, whose tasks deliver. In this
-- order: events.sql (what happened), types.sql (what there is to tell, made from the catalogue in
-- `_shared/events/catalogue.ts`), subscriptions.sql (who hears what), publishing.sql, deliveries.sql, forgetting.sql.

create schema events;

create table events.log (
  id uuid primary key default core.new_id(),
  -- One of events.types(), which events.publish sees to.
  type text not null,
  -- Whose it is; null for what is about no user, and for what must outlive them.
  user_id uuid,
  data jsonb not null,
  -- What it goes back to: a request's id.
  metadata jsonb not null,
  created_at timestamptz not null,
  -- When it goes, as its type says.
  expires_at timestamptz not null
);
alter table events.log enable row level security;
create index log_user on events.log (user_id) where user_id is not null;
create index log_expiry on events.log (expires_at);
comment on table events.log is 'What happened, each fact once, in the transaction that made it true.';

select core.keep_rows_out_of_logs('events.log');

-- supabase/schemas/events/types.sql

-- Made from the catalogue in supabase/functions/_shared/events/catalogue.ts by `deno task generate`.

-- A type of event, how long it is kept in the log, and the channels by which its user may be told.
create type events.type as (type text, keep interval, channels text[]);

-- Every type that there is.
create function events.types()
returns events.type[]
language sql
stable
return array[
  row('video.submitted', '7 days', '{}')::events.type,
  row('video.started', '7 days', '{}')::events.type,
  row('video.progressed', '1 days', '{}')::events.type,
  row('video.completed', '30 days', '{inbox,push}')::events.type,
  row('video.failed', '30 days', '{inbox,push}')::events.type,
  row('video.cancelled', '30 days', '{}')::events.type,
  row('credits.changed', '30 days', '{}')::events.type,
  row('purchase.credited', '90 days', '{inbox,push}')::events.type,
  row('purchase.refunded', '90 days', '{inbox,push}')::events.type,
  row('account.closed', '90 days', '{}')::events.type,
  row('account.merged', '90 days', '{inbox}')::events.type,
  row('alert.raised', '90 days', '{}')::events.type,
  row('alert.resolved', '90 days', '{}')::events.type,
  row('alert.acknowledged', '90 days', '{}')::events.type,
  row('report.made', '90 days', '{}')::events.type,
  row('webhook.test', '7 days', '{}')::events.type
];

-- supabase/schemas/events/subscriptions.sql

create function events.is_pattern(p_pattern text)
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Whether a pattern can fit anything: everything (`#`), a topic (`video.*`), or one type, of those that there are.
  select coalesce(p_pattern = '#' or exists (
    select from unnest(events.types()) as t where p_pattern in (t.type, split_part(t.type, '.', 1) || '.*')
  ), false)
$$;

-- The patterns that fit a type.
create function events.patterns_of(p_type text)
returns text[]
language sql
immutable
return array[p_type, split_part(p_type, '.', 1) || '.*', '#'];

create table events.channels (
  channel text primary key check (channel ~ '^[a-z_]{1,30}$'),
  -- The kind of task that delivers, whose subject is the delivery.
  kind text check (kind ~ '^[a-z_]{1,50}$'),
  -- What is no delivery, and may be lost: a function of the event's id, with its schema, which events.publish calls in the
  -- transaction of the fact.
  procedure text check (procedure ~ '^[a-z_]+\.[a-z_]+$'),
  -- Whether there is anybody to hear of what happens to a user: a function of the user's id, with its schema. Where it says
  -- no, there is no delivery. Without it there is one for every event that fits.
  audience text check (audience ~ '^[a-z_]+\.[a-z_]+$'),
  constraint a_kind_or_a_procedure check (num_nonnulls(kind, procedure) = 1)
);
alter table events.channels enable row level security;
comment on table events.channels is 'The ways in which events are told. The migrations'' to write: their procedures are run.';

create table events.subscriptions (
  id bigint generated always as identity primary key,
  pattern text not null constraint subscriptions_pattern check (events.is_pattern(pattern)),
  channel text not null references events.channels,
  -- Which of the channel's receivers; null where it is the event's own user.
  target uuid,
  -- Of the tasks that deliver; lower first.
  priority smallint not null,
  constraint subscriptions_once unique nulls not distinct (pattern, channel, target)
);
alter table events.subscriptions enable row level security;
comment on table events.subscriptions is 'Who hears what. A receiver hears of an event once, whichever of its patterns fit.';

create function events.subscribe(p_channel text, p_target uuid, p_patterns text[], p_priority smallint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A receiver of a channel hears these patterns from now on, and no others; none where there are none. A second call changes
-- nothing. Raises check_violation for a pattern that fits nothing. Locks: its subscriptions.
begin
  delete from events.subscriptions as s
  where s.channel = p_channel and s.target = p_target and s.pattern <> all (p_patterns);
  insert into events.subscriptions (pattern, channel, target, priority)
  select distinct p.pattern, p_channel, p_target, p_priority from unnest(p_patterns) as p (pattern)
  on conflict (pattern, channel, target) do nothing;
end;
$$;

-- supabase/schemas/events/publishing.sql

create type events.outcome as enum (
  'delivered',
  'dropped', -- nobody is to hear it: the account is closed, or its user does not want it
  'dead' -- no try was left
);

create table events.deliveries (
  id uuid primary key default core.new_id(),
  event_id uuid not null references events.log on delete cascade,
  channel text not null,
  target uuid,
  created_at timestamptz not null,
  -- How it ended, when, and why it was not delivered; null while its task is open.
  outcome events.outcome,
  ended_at timestamptz,
  reason text check (char_length(reason) between 1 and 500),
  -- Of a channel that speaks with a server: how often it has, when last, and what that said, as its operator reads it.
  attempts integer not null default 0,
  attempted_at timestamptz,
  answer jsonb,
  constraint deliveries_once unique nulls not distinct (event_id, channel, target),
  constraint deliveries_end check (
    (outcome is null) = (ended_at is null) and coalesce(outcome not in ('dropped', 'dead'), true) = (reason is null)
  )
);
alter table events.deliveries enable row level security;
create index deliveries_dead on events.deliveries (channel, ended_at) where outcome = 'dead';
-- A receiver's, newest first, all of them or those that ended in one way.
create index deliveries_target on events.deliveries (target, created_at desc, id desc) where target is not null;
create index deliveries_target_outcome on events.deliveries (target, outcome, created_at desc, id desc)
  where target is not null and outcome is not null;
create index deliveries_target_open on events.deliveries (target, created_at desc, id desc)
  where target is not null and outcome is null;
comment on table events.deliveries is 'Each event with each of its receivers, and how that ended.';

select core.keep_rows_out_of_logs('events.deliveries');

create function events.is_heard(p_audience text, p_user_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether a channel's audience says that there is somebody to hear of what happens to a user.
declare
  v_is_heard boolean;
begin
  execute format('select %s($1)', p_audience) into v_is_heard using p_user_id;
  return coalesce(v_is_heard, false);
end;
$$;

create function events.publish(p_type text, p_user_id uuid, p_data jsonb, p_metadata jsonb default '{}')
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
-- Writes down what has become true in this transaction, and makes a delivery with its task for each receiver: the event's
-- id. It costs the same however long the log is. What is no delivery is called at once, and undoes nothing where it fails.
-- Raises invalid_parameter_value for a type that is none. A second call writes a second event: whoever calls it knows that
-- the fact is new. Locks: nothing that anybody waits for.
declare
  v_now constant timestamptz := core.now();
  v_id constant uuid := events.write_down(p_type, p_user_id, p_data, p_metadata, v_now);
  v_procedure text;
begin
  insert into events.deliveries (event_id, channel, target, created_at)
  select distinct v_id, s.channel, s.target, v_now
  from events.subscriptions as s
  join events.channels as c on c.channel = s.channel
  where s.pattern = any (events.patterns_of(p_type)) and c.kind is not null
    and (c.audience is null or events.is_heard(c.audience, p_user_id));
  if found then
    perform events.add_task(d, p_type, p_user_id) from events.deliveries as d where d.event_id = v_id;
  end if;

  for v_procedure in
    select c.procedure from events.channels as c
    where c.procedure is not null and exists (
      select from events.subscriptions as s where s.pattern = any (events.patterns_of(p_type)) and s.channel = c.channel
    )
  loop
    begin
      execute format('select %s($1)', v_procedure) using v_id;
    exception when others then
      raise warning 'event % could not be told by %: %', v_id, v_procedure, sqlerrm;
    end;
  end loop;
  return v_id;
end;
$$;

create function events.write_down(p_type text, p_user_id uuid, p_data jsonb, p_metadata jsonb, p_now timestamptz)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
-- An event in the log, and told nobody yet: its id. Raises invalid_parameter_value for a type that is none.
declare
  v_id constant uuid := core.new_id();
  v_keep interval;
begin
  select t.keep into v_keep from unnest(events.types()) as t where t.type = p_type;
  if not found then
    raise exception 'there is no type of event %', p_type using errcode = 'invalid_parameter_value';
  end if;
  insert into events.log (id, type, user_id, data, metadata, created_at, expires_at)
  values (v_id, p_type, p_user_id, p_data, p_metadata, p_now, p_now + v_keep);
  return v_id;
end;
$$;

create function events.tell(p_type text, p_data jsonb, p_channel text, p_target uuid, p_metadata jsonb default '{}')
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
-- Writes down what only one receiver is to hear, whatever it has asked for: the id of its delivery. A second call tells it
-- again, as another event. Raises as events.publish. Locks: nothing that anybody waits for.
declare
  v_now constant timestamptz := core.now();
  v_delivery events.deliveries;
begin
  insert into events.deliveries (event_id, channel, target, created_at)
  values (events.write_down(p_type, null, p_data, p_metadata, v_now), p_channel, p_target, v_now)
  returning * into v_delivery;
  perform events.add_task(v_delivery, p_type, null);
  return v_delivery.id;
end;
$$;

create function events.add_task(p_delivery events.deliveries, p_type text, p_owner_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes the task of a delivery, which is to run now; one that is open stays. Each receiver has a lane of its own, and the
-- users take turns.
begin
  perform queue.add(
    c.kind, p_delivery.id, p_owner_id, core.now(), p_lane => coalesce(p_delivery.target::text, ''), p_priority => (
      select min(s.priority) from events.subscriptions as s
      where s.pattern = any (events.patterns_of(p_type)) and s.channel = p_delivery.channel
        and s.target is not distinct from p_delivery.target
    )
  )
  from events.channels as c
  where c.channel = p_delivery.channel;
end;
$$;

-- supabase/schemas/events/deliveries.sql

create function events.of_delivery(p_delivery_id uuid)
returns events.log
language plpgsql
stable
set search_path = ''
as $$
-- The event that a delivery is to tell; null where it is gone.
declare
  v_event events.log;
begin
  select l.* into v_event
  from events.deliveries as d
  join events.log as l on l.id = d.event_id
  where d.id = p_delivery_id;
  return v_event;
end;
$$;

create function events.begin_delivery(p_delivery_id uuid)
returns events.log
language plpgsql
volatile
set search_path = ''
as $$
-- events.of_delivery for who is about to tell it: until the transaction ends nobody forgets it. Locks: the delivery.
begin
  perform from events.deliveries as d where d.id = p_delivery_id for no key update;
  return events.of_delivery(p_delivery_id);
end;
$$;

create function events.end_delivery(p_delivery_id uuid, p_outcome events.outcome, p_reason text default null)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- How a delivery ended. What is delivered stays so, whatever an attempt says that lost its lease; what was dead is delivered
-- when its replay is. Locks: the delivery.
begin
  update events.deliveries as d
  set outcome = p_outcome, ended_at = core.now(), reason = left(p_reason, 500)
  where d.id = p_delivery_id and d.outcome is distinct from 'delivered';
end;
$$;

create function events.reopen(p_delivery_id uuid)
returns events.deliveries
language plpgsql
volatile
set search_path = ''
as $$
-- A delivery that has ended waits again, as its task then must; null where it has not, or there is none. Locks: the delivery.
declare
  v_delivery events.deliveries;
begin
  update events.deliveries as d
  set outcome = null, ended_at = null, reason = null
  where d.id = p_delivery_id and d.outcome is not null
  returning d.* into v_delivery;
  return v_delivery;
end;
$$;

create function events.deliver_again(p_delivery_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- The operator's replay: has a delivery that has ended tried again, with all its tries, and tells whether there was one. A
-- receiver knows by the event's id what it has had. Locks: delivery → task.
declare
  v_delivery constant events.deliveries := events.reopen(p_delivery_id);
begin
  if v_delivery.id is null then
    return false;
  end if;
  -- Its dead letter, which has no try left.
  perform queue.drop(p_delivery_id, array[c.kind]) from events.channels as c where c.channel = v_delivery.channel;
  perform events.add_task(v_delivery, l.type, l.user_id) from events.log as l where l.id = v_delivery.event_id;
  return true;
end;
$$;

create function events.note_attempt(p_delivery_id uuid, p_answer jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Counts an attempt at a delivery, with what the server that was spoken to said. Locks: the delivery.
begin
  update events.deliveries as d
  set attempts = d.attempts + 1, attempted_at = core.now(), answer = p_answer
  where d.id = p_delivery_id;
end;
$$;

create function events.drop_open(p_channel text, p_target uuid, p_reason text, p_limit integer)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- A receiver is told nothing of what it has not been told yet: up to p_limit of its open deliveries are dropped, the oldest
-- first, with their tasks. Whether none is left; one that somebody else has at that moment is. It costs the same however many
-- they are. An attempt that is at work may deliver all the same, and then says so. A second call goes on. Locks: deliveries,
-- which are never waited for → tasks.
declare
  v_now constant timestamptz := core.now();
  v_ids uuid[];
begin
  -- By their places, which are read at once: a join might read the whole table. The order is their index's.
  with dropped as (
    update events.deliveries as d
    set outcome = 'dropped', ended_at = v_now, reason = p_reason
    where d.ctid = any (array(
      select o.ctid from events.deliveries as o
      where o.channel = p_channel and o.target = p_target and o.outcome is null
      order by o.created_at, o.id
      limit p_limit
      for update skip locked
    ))
    returning d.id
  )
  select array_agg(r.id) into v_ids from dropped as r;
  perform queue.drop_all(v_ids, array[c.kind]) from events.channels as c where c.channel = p_channel;
  perform from events.deliveries as d
  where d.channel = p_channel and d.target = p_target and d.outcome is null
  order by d.created_at desc, d.id desc
  limit 1;
  return not found;
end;
$$;

create function events.waiting_targets(p_channel text)
returns setof uuid
language plpgsql
stable
set search_path = ''
as $$
-- The receivers of a channel that are still to be told something. One jump in the index for each, however much that is.
begin
  return query
  with recursive targets as (
    (
      select d.target, d.channel from events.deliveries as d
      where d.target is not null and d.outcome is null
      order by d.target
      limit 1
    )
    union all
    select n.target, n.channel
    from targets as t
    cross join lateral (
      select d.target, d.channel from events.deliveries as d
      where d.target > t.target and d.outcome is null
      order by d.target
      limit 1
    ) as n
  )
  select t.target from targets as t where t.channel = p_channel;
end;
$$;

create function events.is_open(p_event_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether somebody is still to be told of an event.
begin
  return exists (select from events.deliveries as d where d.event_id = p_event_id and d.outcome is null);
end;
$$;

-- supabase/schemas/events/forgetting.sql

-- What is over: events whose time has come, and those about what their user has taken back. Everywhere an event is locked
-- before its deliveries, and these before their tasks; the erasure of an account, which goes by the names of tables, begins
-- with deliveries: so what is removed here is what nobody else has at that moment.

create function events.take(p_ids uuid[])
returns uuid[]
language plpgsql
volatile
set search_path = ''
as $$
-- Locks events with their deliveries and returns them, but those that somebody else has, or a delivery of theirs. A second
-- call in the transaction returns the same. Locks: events and deliveries, which are never waited for.
declare
  v_ids uuid[];
  v_delivery_ids uuid[];
begin
  v_ids := array(select l.id from events.log as l where l.id = any (p_ids) for update skip locked);
  v_delivery_ids := array(
    select d.id from events.deliveries as d where d.event_id = any (v_ids) for update skip locked
  );
  return array(
    select i.id from unnest(v_ids) as i (id)
    except
    select d.event_id from events.deliveries as d
    where d.event_id = any (v_ids) and d.id not in (select t.id from unnest(v_delivery_ids) as t (id))
  );
end;
$$;

create function events.remove_taken(p_ids uuid[])
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes events with their deliveries, and with the tasks of these, dead letters too; and returns how many there were. The
-- caller has taken them, as events.take does. Locks: tasks.
declare
  v_removed integer;
begin
  perform queue.drop_all(
    array(select d.id from events.deliveries as d where d.event_id = any (p_ids)),
    array(select c.kind from events.channels as c where c.kind is not null)
  );
  delete from events.log as l where l.id = any (p_ids);
  get diagnostics v_removed = row_count;
  return v_removed;
end;
$$;

create function events.sweep(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `events`: removes those whose time is over, once all are told, and returns how many. A server is told for three
-- days, and some types are kept for one. One that somebody else has, or has told again meanwhile, stays for the next call.
-- Locks: events and deliveries, which are never waited for → tasks.
declare
  v_ids uuid[] := array(
    select l.id from events.log as l
    where l.expires_at <= p_before and not events.is_open(l.id)
    limit p_batch
    for update skip locked
  );
begin
  v_ids := events.take(v_ids);
  -- Asked anew: what is theirs may have been sent again until it was locked.
  return events.remove_taken(array(select t.id from unnest(v_ids) as t (id) where not events.is_open(t.id)));
end;
$$;

create function events.remove_about(p_user_ids uuid[], p_member text, p_values text[])
returns text[]
language plpgsql
volatile
set search_path = ''
as $$
-- Removes the events of users in whose data a member has one of these values, told or not: nothing is kept of what they were
-- about. Returns the values of which something stays, since somebody else has it, for the caller to come again with. Locks:
-- events and deliveries, which are never waited for → tasks.
begin
  perform events.remove_taken(events.take(array(
    select l.id from events.log as l where l.user_id = any (p_user_ids) and l.data ->> p_member = any (p_values)
  )));
  return array(
    select distinct l.data ->> p_member from events.log as l
    where l.user_id = any (p_user_ids) and l.data ->> p_member = any (p_values)
  );
end;
$$;

create function events.forget(p_user_id uuid, p_about jsonb, p_blanks text[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A user has taken back what events of theirs are about, those whose data contain p_about: what they wrote into them, the
-- members p_blanks, becomes null, and so does the request's id; and nothing tells them of it any more, nor again. Other
-- receivers are told without it. A second call changes nothing. Locks: events → deliveries → tasks.
declare
  v_ids uuid[];
  v_delivery record;
begin
  with forgotten as (
    update events.log as l
    set metadata = l.metadata - 'request_id',
        data = l.data || coalesce(
          (select jsonb_object_agg(b.member, null) from unnest(p_blanks) as b (member) where l.data ? b.member), '{}'
        )
    where l.user_id = p_user_id and l.data @> p_about
    returning l.id
  )
  select array_agg(f.id) into v_ids from forgotten as f;
  for v_delivery in
    delete from events.deliveries as d
    using events.channels as c
    where d.event_id = any (v_ids) and d.target is null and c.channel = d.channel
    returning d.id, c.kind
  loop
    perform queue.drop(v_delivery.id, array[v_delivery.kind]);
  end loop;
end;
$$;

-- supabase/schemas/notify/notify.sql

-- notify: what users are told. In this order: notify.sql (the inbox), preferences.sql (what they want to hear),
-- delivering.sql, push.sql (devices, and what they are told), realtime.sql (what is told at once).

create schema notify;

create table notify.notifications (
  -- The delivery's: an attempt that comes again finds it.
  id uuid primary key,
  user_id uuid not null,
  -- The event's. The words are made of both when somebody reads them, in their language.
  type text not null,
  data jsonb not null,
  created_at timestamptz not null,
  read_at timestamptz
) with (fillfactor = 80);
alter table notify.notifications enable row level security;
-- A user's, newest first; and the same of those that are unread, which are also counted here.
create index notifications_user on notify.notifications (user_id, created_at desc, id desc);
create index notifications_unread on notify.notifications (user_id, created_at desc, id desc) where read_at is null;
create index notifications_created_at on notify.notifications using brin (created_at) with (autosummarize = on);
comment on table notify.notifications is 'What users find in their inbox.';

create function notify.unread(p_user_id uuid)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- How many of a user's notifications are unread.
  select count(*) from notify.notifications as n where n.user_id = p_user_id and n.read_at is null
$$;

-- A notification as the API shows it; its title and body are added in the caller's language.
create function notify.notification_json(p_notification notify.notifications)
returns jsonb
language sql
stable
return jsonb_build_object(
  'id', (p_notification).id, 'type', (p_notification).type, 'data', (p_notification).data,
  'read_at', core.to_iso((p_notification).read_at), 'created_at', core.to_iso((p_notification).created_at)
);

create function notify.mark_read(p_user_id uuid, p_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Marks notifications of a user as read, all of them where p_ids is null; those that are not theirs are passed over. A second
-- call changes nothing. The caller has locked the account. Locks: those notifications.
declare
  v_now constant timestamptz := core.now();
begin
  update notify.notifications as n set read_at = v_now
  where n.user_id = p_user_id and n.read_at is null and (p_ids is null or n.id = any (p_ids));
end;
$$;

create function notify.forget(p_user_id uuid, p_about jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes out of a user's inbox what is about what they have deleted: those whose data contain p_about. Comes after events.forget,
-- which waits for whoever is writing one. A second call finds none. Locks: those notifications.
begin
  delete from notify.notifications as n where n.user_id = p_user_id and n.data @> p_about;
end;
$$;

select core.keep_rows_out_of_logs('notify.notifications');

-- supabase/schemas/notify/preferences.sql

create function notify.preferences_json(p_preferences jsonb)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- What a user wants to hear, of all that may be chosen: `{ "<type>": { "<channel>": true } }`. What they did not choose is
  -- on.
  select jsonb_object_agg(t.type, (
    select jsonb_object_agg(c.channel, coalesce((p_preferences -> t.type ->> c.channel)::boolean, true))
    from unnest(t.channels) as c (channel)
  ))
  from unnest(events.types()) as t
  where t.channels <> '{}'
$$;

create function notify.with_changes(p_preferences jsonb, p_changes jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  -- Preferences with changes of the same form, which name what they change and nothing else.
  select coalesce(
    p_preferences || jsonb_object_agg(c.type, coalesce(p_preferences -> c.type, '{}') || c.channels)
      filter (where jsonb_typeof(c.channels) = 'object'),
    p_preferences
  )
  from jsonb_each(case jsonb_typeof(p_changes) when 'object' then p_changes else '{}' end) as c (type, channels)
$$;

-- supabase/schemas/notify/delivering.sql

create function notify.deliver(p_delivery_id uuid)
returns events.outcome
language plpgsql
volatile
set search_path = ''
as $$
-- Writes the notification that a delivery to the inbox stands for, to whoever its user is by now: `delivered`. `dropped`
-- where the account is closed, or its user does not want to hear it there; null where the delivery is gone. A second call
-- writes nothing more. Locks: user, so that nobody merges or closes them meanwhile → delivery.
declare
  v_event events.log := events.of_delivery(p_delivery_id);
  v_user accounts.users;
  v_reason text;
  v_outcome events.outcome := 'dropped';
begin
  if v_event.id is null then
    return null;
  end if;
  v_user := accounts.hold_user(v_event.user_id);
  -- What it is about may have been deleted meanwhile.
  v_event := events.begin_delivery(p_delivery_id);
  if v_event.id is null then
    return null;
  end if;
  v_reason := case
    when v_user.id is null then 'it is about no user'
    when v_user.closed_at is not null then 'the account is closed'
    when not notify.wants(v_user, v_event.type, 'inbox') then 'its user does not want it'
  end;
  if v_reason is null then
    v_outcome := 'delivered';
    insert into notify.notifications (id, user_id, type, data, created_at)
    values (p_delivery_id, v_user.id, v_event.type, v_event.data, core.now())
    on conflict (id) do nothing;
  end if;
  perform events.end_delivery(p_delivery_id, v_outcome, v_reason);
  return v_outcome;
end;
$$;

create function notify.wants(p_user accounts.users, p_type text, p_channel text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether a user is told of a type by a channel: one by which it can be told, and that they have not switched off.
begin
  return exists (
    select from unnest(events.types()) as t
    where t.type = p_type and p_channel = any (t.channels)
      and coalesce((p_user.notification_preferences -> p_type ->> p_channel)::boolean, true)
  );
end;
$$;

create function notify.give_up_delivery(p_delivery_id uuid, p_error text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- No try is left to deliver to the inbox, or to a device: the operator is told by which channel. A second call tells once
-- more. Locks: delivery → alert.
begin
  perform events.end_delivery(p_delivery_id, 'dead', coalesce(p_error, 'no cause was given'));
  perform ops.raise_alert('delivery_dead', d.channel, jsonb_build_object('delivery_id', p_delivery_id))
  from events.deliveries as d
  where d.id = p_delivery_id;
end;
$$;

-- supabase/schemas/notify/push.sql

-- Push: the devices that are told, and how each delivery to them ends.

create type notify.push_environment as enum ('production', 'sandbox');

create table notify.push_tokens (
  -- Apple's name of an app on a device, in hexadecimal. A device belongs to whoever registered it last.
  token text primary key check (token ~ '^[0-9a-f]{64,200}$'),
  user_id uuid not null,
  -- Where Apple knows it; mended where it turns out to be the other one.
  environment notify.push_environment not null,
  registered_at timestamptz not null
);
alter table notify.push_tokens enable row level security;
create index push_tokens_user on notify.push_tokens (user_id, registered_at desc);
comment on table notify.push_tokens is 'The devices that are told, each of one user.';

select core.keep_rows_out_of_logs('notify.push_tokens');

create function notify.register_token(p_user_id uuid, p_token text, p_environment notify.push_environment)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a device its user's, whoever had it before; of eleven that a user has, the one that was registered longest ago goes. A
-- second call says that it is still there. The caller has locked the account. Locks: that token → the user's oldest ones,
-- unless another takes them just now.
begin
  insert into notify.push_tokens as t (token, user_id, environment, registered_at)
  values (p_token, p_user_id, p_environment, core.now())
  on conflict (token) do update
    set user_id = excluded.user_id, environment = excluded.environment, registered_at = excluded.registered_at;
  delete from notify.push_tokens as t
  where t.token in (
    select o.token from notify.push_tokens as o
    where o.user_id = p_user_id and o.token <> p_token
    order by o.registered_at desc, o.token
    offset 9
    for update skip locked
  );
end;
$$;

create function notify.has_devices(p_user_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether there is a device to be told of what happens to a user; to the others no push is delivered at all.
begin
  return exists (select from notify.push_tokens as t where t.user_id = p_user_id);
end;
$$;

create function notify.push_silence(p_event events.log, p_user accounts.users)
returns text
language sql
stable
set search_path = ''
as $$
  -- Why an event is pushed to nobody; null where it is to be pushed.
  select case
    when p_user.id is null then 'it is about no user'
    when p_user.closed_at is not null then 'the account is closed'
    when p_user.is_banned then 'the account is suspended'
    when not notify.wants(p_user, p_event.type, 'push') then 'its user does not want it'
    when not notify.has_devices(p_user.id) then 'no device is registered'
  end
$$;

create function notify.push_facts(p_delivery_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- What a `deliver_push` task is to send, and where to: `{ event: { id, type, data, created_at }, language, devices: [{ token,
-- environment, registered_at, apns_id }] }`, the devices being those of whoever the event's user is by now, and none where
-- it is pushed to nobody. A device's `apns_id` is the same at each try. Null where the delivery is gone. Takes no lock.
declare
  v_event constant events.log := events.of_delivery(p_delivery_id);
  v_user accounts.users;
begin
  if v_event.id is null then
    return null;
  end if;
  select u.* into v_user from accounts.users as u where u.id = accounts.heir_of(v_event.user_id);
  return jsonb_build_object(
    'event', jsonb_build_object(
      'id', v_event.id, 'type', v_event.type, 'data', v_event.data, 'created_at', core.to_iso(v_event.created_at)
    ),
    'language', v_user.language,
    'devices', case when notify.push_silence(v_event, v_user) is null then (
      select jsonb_agg(jsonb_build_object(
        'token', t.token, 'environment', t.environment, 'registered_at', t.registered_at,
        -- What no server has seen tells nobody anything, so that any hash will do.
        'apns_id', md5(p_delivery_id::text || t.token)::uuid
      ) order by t.registered_at, t.token)
      -- Whose guests came with devices of theirs may have more than ten, until they register another.
      from (
        select d.* from notify.push_tokens as d
        where d.user_id = v_user.id
        order by d.registered_at desc, d.token
        limit 10
      ) as t
    ) else '[]' end
  );
end;
$$;

create function notify.learn_of_tokens(p_answers jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What Apple's answers say of tokens: `[{ token, registered_at, outcome, environment, gone_at }]`. One that is `gone` is removed,
-- and one that Apple knows in the other environment is mended, unless it was registered anew after it was sent to, or
-- after Apple saw it go. A second call changes nothing more. Locks: those tokens, in their order.
begin
  perform from notify.push_tokens as t
  where t.token in (select a.answer ->> 'token' from jsonb_array_elements(p_answers) as a (answer))
  order by t.token
  for update;
  delete from notify.push_tokens as t
  using jsonb_array_elements(p_answers) as a (answer)
  where t.token = a.answer ->> 'token' and a.answer ->> 'outcome' = 'gone'
    and t.registered_at <= coalesce(
      (a.answer ->> 'gone_at')::timestamptz, (a.answer ->> 'registered_at')::timestamptz
    );
  update notify.push_tokens as t
  set environment = (a.answer ->> 'environment')::notify.push_environment
  from jsonb_array_elements(p_answers) as a (answer)
  where t.token = a.answer ->> 'token' and a.answer ->> 'outcome' = 'sent'
    and t.registered_at = (a.answer ->> 'registered_at')::timestamptz
    and t.environment <> (a.answer ->> 'environment')::notify.push_environment;
end;
$$;

create function notify.end_push(p_delivery_id uuid, p_sent boolean, p_reason text)
returns events.outcome
language plpgsql
volatile
set search_path = ''
as $$
-- How a delivery to devices ended: `delivered` where one of them was sent to; else `dropped`, with the reason why no push is
-- to be, or Apple's own. Null where the delivery is gone. The caller has locked the user. Locks: delivery.
declare
  v_event constant events.log := events.of_delivery(p_delivery_id);
  v_outcome constant events.outcome := case when p_sent then 'delivered' else 'dropped' end;
  v_user accounts.users;
begin
  if v_event.id is null then
    return null;
  end if;
  select u.* into v_user from accounts.users as u where u.id = accounts.heir_of(v_event.user_id);
  perform events.end_delivery(
    p_delivery_id, v_outcome,
    case when not p_sent then coalesce(p_reason, notify.push_silence(v_event, v_user), 'no device is registered') end
  );
  return v_outcome;
end;
$$;

-- supabase/schemas/notify/realtime.sql

create function notify.tell(p_event_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
-- Realtime makes and drops the partitions of its table, which whoever sends then waits for; with them would wait a user's
-- account, until the call is cancelled and the fact undone.
set lock_timeout = '100ms'
as $$
-- Sends an event to its user over Realtime, on the channel that accounts.may_listen opens, when the transaction commits. Who is
-- suspended, closed or merged is sent nothing: a channel that they joined before stays open until its token ends. It may be
-- lost, as where the table of messages cannot be had at once, and is sent once: a second call sends it again. Locks: nothing.
begin
  perform realtime.send(
    jsonb_build_object(
      'id', l.id, 'type', split_part(l.type, '.', 1), 'action', split_part(l.type, '.', 2), 'data', l.data,
      'timestamp', core.to_iso(l.created_at)
    ),
    split_part(l.type, '.', 1), accounts.channel_of(l.user_id), true
  )
  from events.log as l
  where l.id = p_event_id and l.user_id is not null and accounts.is_active(l.user_id);
end;
$$;

-- supabase/schemas/safety/safety.sql

-- safety: what others, and users themselves, object to, and what is decided about it. In this order: safety.sql (cases),
-- notices.sql (what opens them, and their clock), files.sql (what is removed is known again), holds.sql (evidence).

create schema safety;

-- What a video does wrong, in the words of whoever objects, and of the operator who removes it.
create type safety.ground as enum (
  'sexual', 'minors', 'violence', 'hate', 'harassment', 'real_person', 'copyright', 'illegal', 'other'
);

create type safety.case_status as enum (
  'open', -- the operator is to decide
  'kept', -- nothing is wrong with it; another notice opens it again
  'removed',
  'appealed', -- it is removed, and its user objects
  'restored' -- the appeal was granted; another notice opens it again
);

-- Whatever is said about a video is one case, however many say it: the operator decides once.
create table safety.cases (
  id uuid primary key default core.new_id(),
  job_id uuid not null unique,
  status safety.case_status not null default 'open',
  reports integer not null default 0,
  notices integer not null default 0,
  opened_at timestamptz not null,
  -- 48 hours after the first notice that is not answered; null without one.
  due_at timestamptz,
  -- Why it was removed, as its user is told.
  ground safety.ground,
  decided_at timestamptz,
  -- What its user says against the removal, once.
  appeal text check (char_length(appeal) between 1 and 2000),
  appealed_at timestamptz,
  appeal_decided_at timestamptz,
  constraint cases_due check (due_at is null or status = 'open'),
  constraint cases_ground check (ground is not null or status in ('open', 'kept')),
  constraint cases_appeal check ((appealed_at is not null or status <> 'appealed') and (appealed_at is not null or appeal_decided_at is null))
) with (fillfactor = 80);
alter table safety.cases enable row level security;
-- A page of all, and of those in one state, newest first.
create index cases_opened on safety.cases (opened_at desc, id desc);
create index cases_status on safety.cases (status, opened_at desc, id desc);
create index cases_due_at on safety.cases (due_at) where due_at is not null;
comment on table safety.cases is 'Videos that somebody objects to, a row each, and what was decided.';

-- What the user of a removed video is told, as a job's error; null where nothing was removed.
create function safety.removal_error(p_job_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('code', core.error_code('video/removed'), 'details', jsonb_build_object(
      'reason', c.ground,
      'appeal', case
        when c.status = 'restored' then 'granted'
        when c.appeal_decided_at is not null then 'rejected'
        when c.appealed_at is not null then 'open'
        else 'possible'
      end
    ))
    from safety.cases as c
    where c.job_id = p_job_id and c.ground is not null
  );
end;
$$;

create function safety.case_of(p_case_id uuid, p_locks boolean default false)
returns safety.cases
language plpgsql
volatile
set search_path = ''
as $$
-- A case; null where there is none. With p_locks it is locked, and whoever decides has locked account and job before.
declare
  v_case safety.cases;
begin
  if p_locks then
    select c.* into v_case from safety.cases as c where c.id = p_case_id for update;
  else
    select c.* into v_case from safety.cases as c where c.id = p_case_id;
  end if;
  return v_case;
end;
$$;

create function safety.decide(p_case_id uuid, p_status safety.case_status, p_ground safety.ground default null)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Writes down what the operator decided, who has locked the case and asked whether it may be decided so. The clock of its
-- notices stops.
declare
  v_now constant timestamptz := core.now();
begin
  update safety.cases as c
  set status = p_status, due_at = null,
      ground = case when p_status = 'kept' then null else coalesce(p_ground, c.ground) end,
      decided_at = case when c.status = 'appealed' then c.decided_at else v_now end,
      appeal_decided_at = case
        when c.status = 'appealed' then v_now
        when p_status <> 'removed' then c.appeal_decided_at
      end,
      -- Another removal may be appealed anew.
      appealed_at = case when c.status = 'appealed' or p_status <> 'removed' then c.appealed_at end,
      appeal = case when c.status = 'appealed' or p_status <> 'removed' then c.appeal end
  where c.id = p_case_id;
end;
$$;

create function safety.appeal(p_job_id uuid, p_statement text)
returns safety.cases
language plpgsql
volatile
set search_path = ''
as $$
-- The user of a removed video objects, once for each removal: the case as it is then, with what was said first. Locks: case.
declare
  v_case safety.cases;
begin
  update safety.cases as c set status = 'appealed', appeal = p_statement, appealed_at = core.now()
  where c.job_id = p_job_id and c.status = 'removed' and c.appealed_at is null;
  select c.* into v_case from safety.cases as c where c.job_id = p_job_id;
  return v_case;
end;
$$;

create function safety.close_cases(p_job_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Of jobs that are gone nothing is left to decide: what is open ends as kept, what is appealed stays removed, and no clock goes on.
declare
  v_now constant timestamptz := core.now();
begin
  update safety.cases as c
  set status = case c.status when 'open' then 'kept' else 'removed' end::safety.case_status, due_at = null, decided_at = v_now
  where c.job_id = any (p_job_ids) and c.status in ('open', 'appealed');
end;
$$;

select core.keep_rows_out_of_logs('safety.cases');

-- supabase/schemas/safety/notices.sql

-- What opens a case: reports of users, notices of strangers. None of them hides anything by itself, however many there are.

create table safety.reports (
  id uuid primary key default core.new_id(),
  case_id uuid not null references safety.cases on delete cascade,
  user_id uuid not null,
  reason safety.ground not null,
  details text check (char_length(details) between 1 and 2000),
  created_at timestamptz not null,
  constraint reports_once unique (case_id, user_id)
);
alter table safety.reports enable row level security;
create index reports_user on safety.reports (user_id);
comment on table safety.reports is 'What users say about a video, once each.';

-- By strangers, who may have no account: nothing here is a user's.
create table safety.notices (
  id uuid primary key default core.new_id(),
  case_id uuid not null references safety.cases on delete cascade,
  -- How whoever objects can be reached: an address, a number.
  contact text not null check (char_length(contact) between 3 and 200),
  statement text not null check (char_length(statement) between 1 and 4000),
  received_at timestamptz not null
);
alter table safety.notices enable row level security;
-- The same again is the same notice.
create unique index notices_once on safety.notices (case_id, md5(contact || e'\n' || statement));
create index notices_case on safety.notices (case_id, id desc);
create index notices_received on safety.notices (received_at);
comment on table safety.notices is 'What strangers say about a video, and how they can be reached.';

-- How long the operator has for a notice: what the law of the United States gives for intimate pictures.
create function safety.answer_within()
returns interval
language sql
immutable
return interval '48 hours';

create function safety.report(p_job_id uuid, p_user_id uuid, p_reason text, p_details text, p_now timestamptz)
returns safety.reports
language plpgsql
volatile
set search_path = ''
as $$
-- Notes what a user says about a video. A second call, whatever it says, finds the first. It opens no case that was decided.
-- Locks: case.
declare
  v_case_id uuid;
  v_report safety.reports;
begin
  insert into safety.cases as c (job_id, opened_at) values (p_job_id, p_now)
  -- Locks it, so that the count is right.
  on conflict (job_id) do update set reports = c.reports
  returning c.id into v_case_id;
  insert into safety.reports (case_id, user_id, reason, details, created_at)
  values (v_case_id, p_user_id, p_reason::safety.ground, p_details, p_now)
  on conflict (case_id, user_id) do nothing
  returning * into v_report;
  if found then
    update safety.cases as c set reports = c.reports + 1 where c.id = v_case_id;
  else
    select r.* into strict v_report from safety.reports as r where r.case_id = v_case_id and r.user_id = p_user_id;
  end if;
  return v_report;
end;
$$;

create function safety.notify(p_job_id uuid, p_contact text, p_statement text, p_now timestamptz)
returns safety.notices
language plpgsql
volatile
set search_path = ''
as $$
-- Notes what a stranger says about a video. The first one that is not answered starts the clock; what was kept, or restored,
-- is open again, and what was said and decided before is over. Of a video that is gone it is only noted. The same again
-- changes nothing. Locks: case.
declare
  v_case safety.cases;
  v_notice safety.notices;
begin
  insert into safety.cases as c (job_id, opened_at) values (p_job_id, p_now)
  -- Locks it, so that the count is right.
  on conflict (job_id) do update set notices = c.notices
  returning c.* into v_case;
  insert into safety.notices (case_id, contact, statement, received_at)
  values (v_case.id, p_contact, p_statement, p_now)
  on conflict (case_id, md5(contact || e'\n' || statement)) do nothing
  returning * into v_notice;
  if found then
    update safety.cases as c set notices = c.notices + 1 where c.id = v_case.id;
    -- Asked with the case locked: whoever decides may have been first.
    if not exists (select from videos.jobs as j where j.id = p_job_id and j.removed_at is not null) then
      update safety.cases as c
      set status = 'open', due_at = coalesce(c.due_at, p_now + safety.answer_within()),
          ground = null, appeal = null, appealed_at = null, appeal_decided_at = null
      where c.id = v_case.id;
    end if;
  else
    select n.* into strict v_notice from safety.notices as n
    where n.case_id = v_case.id
      and md5(n.contact || e'\n' || n.statement) = md5(p_contact || e'\n' || p_statement);
  end if;
  return v_notice;
end;
$$;

create function safety.watch_clock()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `watch_notices`: as long as a notice has less than 12 hours left, or was not answered in time, its alert
-- stays open. One alert each, however many there are; the console has the cases. Locks: alerts.
declare
  v_now constant timestamptz := core.now();
  v_late record;
begin
  for v_late in
    select case when c.due_at <= v_now then 'takedown_missed' else 'takedown_due' end as rule, count(*) as cases,
      min(c.due_at) as first_due_at, (array_agg(c.job_id order by c.due_at))[1] as first_job_id
    from safety.cases as c
    where c.due_at <= v_now + interval '12 hours'
    group by 1
    order by 1
  loop
    perform ops.raise_alert(v_late.rule, 'notices', jsonb_build_object(
      'cases', v_late.cases, 'first_due_at', core.to_iso(v_late.first_due_at), 'first_job_id', v_late.first_job_id
    ));
  end loop;
end;
$$;

select core.keep_rows_out_of_logs('safety.reports');
select core.keep_rows_out_of_logs('safety.notices');

-- supabase/schemas/safety/files.sql

-- What is removed is known again. A stored video is not hashed (docs/decisions/0028): only one that has the size and the
-- length of one that was removed.

create table safety.removed_files (
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  bytes bigint not null,
  duration_milliseconds integer not null,
  ground safety.ground not null,
  -- Whose removal it was, while that stands; the same bytes may have been removed of several.
  job_id uuid not null,
  removed_at timestamptz not null,
  primary key (sha256, job_id)
);
alter table safety.removed_files enable row level security;
create index removed_files_size on safety.removed_files (bytes, duration_milliseconds);
create index removed_files_job on safety.removed_files (job_id);
comment on table safety.removed_files is 'Fingerprints of removed videos, kept for good: the same bytes are refused.';

create function safety.may_be_removed(p_bytes bigint, p_duration_milliseconds integer)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether a video of that size and length may be one that was removed: then its bytes are to be asked.
begin
  return exists (
    select from safety.removed_files as f
    where f.bytes = p_bytes and f.duration_milliseconds = coalesce(p_duration_milliseconds, 0)
  );
end;
$$;

create function safety.ground_of_file(p_sha256 text)
returns safety.ground
language plpgsql
stable
set search_path = ''
as $$
-- Why those very bytes were removed, first; null where they were not.
begin
  return (
    select f.ground from safety.removed_files as f where f.sha256 = p_sha256 order by f.removed_at, f.job_id limit 1
  );
end;
$$;

create function safety.remember_file(p_job_id uuid, p_sha256 text, p_bytes bigint, p_duration_milliseconds integer)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Notes the fingerprint of a removed video. A second call changes nothing.
begin
  insert into safety.removed_files (sha256, bytes, duration_milliseconds, ground, job_id, removed_at)
  select p_sha256, p_bytes, coalesce(p_duration_milliseconds, 0), c.ground, p_job_id, core.now()
  from safety.cases as c
  where c.job_id = p_job_id and c.ground is not null
  on conflict (sha256, job_id) do nothing;
end;
$$;

create function safety.forget_file(p_job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A removal was wrong: its bytes may come again.
begin
  delete from safety.removed_files as f where f.job_id = p_job_id;
end;
$$;

select core.keep_rows_out_of_logs('safety.removed_files');

-- supabase/schemas/safety/holds.sql

-- A legal hold keeps what there is of a person from being erased: by its user, by closing the account, by retention.

create table safety.holds (
  user_id uuid primary key,
  held_at timestamptz not null,
  -- What closing the account takes off the tombstone at once: `{ display_name, language }`. Null while it is open.
  profile jsonb
);
alter table safety.holds enable row level security;
comment on table safety.holds is 'Whose data the operator keeps as evidence; why stands in ops.admin_actions.';

create function safety.is_held(p_user_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether a user, or a guest whom they were, is under a legal hold.
begin
  return exists (select from safety.holds)
    and exists (select from safety.holds as h where h.user_id = any (accounts.with_guests(p_user_id)));
end;
$$;

create function safety.hold(p_user_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Puts a user under hold: whether they were not before. What a worker is removing at this moment may still go.
begin
  insert into safety.holds (user_id, held_at) values (p_user_id, core.now()) on conflict (user_id) do nothing;
  return found;
end;
$$;

create function safety.lift_hold(p_user_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Lifts the hold of a user, and of the guests whom they were: whether there was one. What waited for it is done now. Locks:
-- tasks.
begin
  delete from safety.holds as h where h.user_id = any (accounts.with_guests(p_user_id));
  if not found then
    return false;
  end if;
  perform queue.hasten_of(accounts.heir_of(p_user_id), '{erase_account,delete_files,tidy_upload}');
  return true;
end;
$$;

create function safety.keep_profile(p_user accounts.users)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What the user told of themselves, before closing the account takes it off. Without a hold nothing is kept.
begin
  update safety.holds as h
  set profile = jsonb_build_object('display_name', p_user.display_name, 'language', p_user.language)
  where h.user_id = any (accounts.with_guests(p_user.id));
end;
$$;

select core.keep_rows_out_of_logs('safety.holds');

-- supabase/schemas/videos/models.sql

-- videos: from a model and a prompt to a file in storage. In this order: models.sql, inputs.sql, projects.sql, jobs.sql,
-- submissions.sql, assets.sql, quality.sql, renewals.sql, uploads.sql, sources.sql, image-copies.sql, providers.sql, offers.sql,
-- settlement.sql, removal.sql, moderation.sql, acceptance.sql, bulk.sql, telling.sql, retention.sql, export.sql.

create schema videos;

create type videos.model_category as enum ('text_to_video', 'image_to_video', 'video_to_video');

create type videos.pricing_type as enum ('per_video', 'per_second');

-- The settings of a request that asks for none: of every model's three options, and of what else it takes (inputs.sql).
create function videos.default_settings(p_options jsonb, p_inputs jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  select jsonb_build_object(
    'duration_seconds', p_options #> '{duration_seconds,default}', 'resolution', p_options #> '{resolution,default}',
    'aspect_ratio', p_options #> '{aspect_ratio,default}'
  ) || coalesce(jsonb_object_agg(i.input ->> 'name', i.input -> 'default') filter (where i.input ? 'default'), '{}')
  from jsonb_array_elements(p_inputs) as i (input)
$$;

-- What of settings is an input of the model's own, and none of the three options that every model has.
create function videos.inputs_in(p_settings jsonb)
returns jsonb
language sql
immutable
return p_settings - '{duration_seconds,resolution,aspect_ratio}'::text[];

create table videos.models (
  id uuid primary key default core.new_id(),
  name text not null check (char_length(name) between 1 and 100),
  description text not null,
  category videos.model_category not null,
  thumbnail_url text,
  is_featured boolean not null default false,
  is_available boolean not null default true,
  requires_image boolean not null default false,
  pricing_type videos.pricing_type not null,
  -- Credits a video, or a second of it.
  credits integer not null check (credits between 1 and 10000),
  -- As the API shows them: `{ duration_seconds: { values, default }, resolution: …, aspect_ratio: … }`.
  options jsonb not null check (
    options ?& array['duration_seconds', 'resolution', 'aspect_ratio']
    and options #> '{duration_seconds,values}' @> (options #> '{duration_seconds,default}')
    and options #> '{resolution,values}' @> (options #> '{resolution,default}')
    and options #> '{aspect_ratio,values}' @> (options #> '{aspect_ratio,default}')
    -- And of the forms that a request can have, or nobody could ask for it: whole seconds, up to 600, and short words.
    and jsonb_typeof(options #> '{duration_seconds,values}') is not distinct from 'array'
    and jsonb_typeof(options #> '{resolution,values}') is not distinct from 'array'
    and jsonb_typeof(options #> '{aspect_ratio,values}') is not distinct from 'array'
    and jsonb_typeof(options #> '{duration_seconds,default}') is not distinct from 'number'
    and jsonb_typeof(options #> '{resolution,default}') is not distinct from 'string'
    and jsonb_typeof(options #> '{aspect_ratio,default}') is not distinct from 'string'
    and not jsonb_path_exists(
      options, 'strict $.duration_seconds.values[*] ? (@.type() != "number" || @ < 1 || @ > 600 || @.floor() != @)',
      silent => true
    )
    and not jsonb_path_exists(
      options,
      'strict $.keyvalue() ? (@.key == "resolution" || @.key == "aspect_ratio").value.values[*]
        ? (@.type() != "string" || !(@ like_regex "^[A-Za-z0-9_.:-]{1,20}$"))',
      silent => true
    )
  ),
  -- The two bounds of a job: from acceptance until it starts, and from its start until it ends.
  start_within interval not null default interval '15 minutes' check (start_within > interval '0'),
  finish_within interval not null default interval '15 minutes' check (finish_within > interval '0'),
  position integer not null default 0,
  -- What it takes beside prompt and size, in the order of the catalogue: see inputs.sql.
  inputs jsonb not null default '[]',
  defaults jsonb generated always as (videos.default_settings(options, inputs)) stored,
  -- The settings that its videos only come near to, such as a duration that follows the source's: see videos.judge.
  unpromised text[] not null default '{}' check (unpromised <@ array['duration_seconds', 'resolution', 'aspect_ratio'])
);
alter table videos.models enable row level security;
comment on table videos.models is 'The catalogue. What is not available stays, for the jobs that were made with it.';

-- Jobs name their model for ever.
create function videos.keep_models()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'a model is never deleted; set is_available to false' using errcode = 'restrict_violation';
end;
$$;

create trigger keep_models before delete or truncate on videos.models
  for each statement execute function videos.keep_models();

-- The largest video that is stored: more costs the functions more CPU time than the platform gives
-- (docs/decisions/0028-a-stored-file-is-not-hashed.md). `_shared/videos/store.ts` has the same number.
create function videos.max_stored_bytes()
returns bigint
language sql
immutable
return 150 * 1024 * 1024;

create function videos.most_bytes_a_second(p_resolution text)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
-- What a second of video takes at most: 4 MB at 1080p, which is 32 Mbit/s and some twice what the providers deliver,
-- and as much more or less as the picture has more or fewer pixels. A word that tells no size counts as 1080p.
declare
  v_sides constant text[] := regexp_match(p_resolution, '^([0-9]{1,5})[x:]([0-9]{1,5})$');
  v_lines constant numeric := coalesce(
    substring(p_resolution from '^([0-9]{1,5})[pP]$')::numeric,
    -- 2k, 4k, 8k.
    substring(p_resolution from '^([0-9]{1,2})[kK]$')::numeric * 540
  );
begin
  return 4000000 * coalesce(v_lines ^ 2 / 1080 ^ 2, v_sides[1]::numeric * v_sides[2]::numeric / (1920 * 1080), 1);
end;
$$;

create function videos.check_stored_size()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Refuses a model whose longest video could be too large to be stored, before anybody pays for one.
declare
  v_longest constant numeric := (
    select max(d::numeric) from jsonb_array_elements_text(new.options #> '{duration_seconds,values}') as d
  );
  v_most constant numeric := (
    select max(videos.most_bytes_a_second(r))
    from jsonb_array_elements_text(new.options #> '{resolution,values}') as r
  );
begin
  if v_longest * v_most > videos.max_stored_bytes() then
    raise exception 'a video of % s may have % MB at these resolutions, and at most % MB are stored',
        v_longest, ceil(v_longest * v_most / 1000000), videos.max_stored_bytes() / 1000000
      using errcode = 'check_violation',
        hint = format('sell up to %s s, or lower resolutions', floor(videos.max_stored_bytes() / v_most));
  end if;
  return null;
end;
$$;

-- After the checks of the table, which know the form of the options.
create trigger check_stored_size after insert or update of options on videos.models
  for each row execute function videos.check_stored_size();

-- Who can make a model's videos, in order of preference.
create table videos.model_providers (
  model_id uuid not null references videos.models,
  preference smallint not null check (preference >= 1),
  provider text not null check (provider in ('fal', 'replicate', 'runway')),
  -- The provider's own name of the model.
  provider_model text not null,
  -- US cents a video, or a second of it, as the model is priced.
  cost_cents numeric not null check (cost_cents >= 0),
  -- The longest prompt that it takes, in UTF-16 units, as JavaScript and providers count; null for any.
  prompt_max_units integer check (prompt_max_units > 0),
  -- Where it takes less than the model sells: `{ resolution: ["720p"], image: [false], … }`, all values of a setting's.
  takes jsonb not null default '{}' check (
    jsonb_typeof(takes) = 'object'
    and not jsonb_path_exists(takes, 'strict $.* ? (@.type() != "array")', silent => true)
  ),
  -- The field of its own that each of the model's inputs becomes: see inputs.sql.
  inputs jsonb not null default '{}',
  primary key (model_id, preference),
  unique (model_id, provider)
);
alter table videos.model_providers enable row level security;
comment on table videos.model_providers is 'The providers of a model; the lowest preference is asked first.';

create function videos.unfitting(p_model videos.models, p_settings jsonb, p_image_url text)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
-- Everything in a request that its model does not take, as `[{ path, message }]`; empty when all fits. What is not asked
-- for is the model's default, which fits.
declare
  v_name text;
  v_fields jsonb := '[]';
begin
  if p_settings <> '{}' then
    foreach v_name in array array['duration_seconds', 'resolution', 'aspect_ratio'] loop
      if not coalesce(p_model.options #> array[v_name, 'values'] @> (p_settings -> v_name), true) then
        v_fields := v_fields || jsonb_build_object(
          'path', 'settings.' || v_name,
          'message', format('This model takes one of %s', p_model.options #>> array[v_name, 'values'])
        );
      end if;
    end loop;
    if videos.inputs_in(p_settings) <> '{}' then
      v_fields := v_fields || videos.unfitting_inputs(p_model.inputs, videos.inputs_in(p_settings));
    end if;
  end if;
  if p_model.requires_image and p_image_url is null then
    v_fields := v_fields || '{"path": "image_url", "message": "This model needs an image"}'::jsonb;
  elsif p_image_url is not null and p_model.category <> 'image_to_video' then
    v_fields := v_fields || '{"path": "image_url", "message": "This model takes no image"}'::jsonb;
  end if;
  return v_fields;
end;
$$;

-- supabase/schemas/videos/inputs.sql

-- What a model takes beside prompt and size: seed, negative prompt, sound, an end frame, whatever its provider has.
--
-- videos.models.inputs declares them, in the order of the catalogue: `[{ name, type, min?, max?, values?, default?,
-- price_factor? }]`. Types and what their bounds mean:
--   integer, number   from min to max
--   boolean
--   text              of min (or 0) to max characters; the moderation reads it with the prompt
--   choice            one of values
--   image, images     an upload of the user's, or up to max of them
-- A request's `settings` take them, under their names. price_factor multiplies the price where an input is used: true, or
-- given and not its default.
--
-- videos.model_providers.inputs says what a provider makes of them, by name: `{ audio: { field: "generate_audio",
-- values?: { true: "on" }, cost_factor?: 1.5 } }`. A provider without an input's name is asked only for what has its default
-- or none; without `field` nothing is sent, for what it does anyhow.

create function videos.input_fault(p_input jsonb, p_value jsonb)
returns text
language plpgsql
immutable
set search_path = ''
as $$
-- Why a value is none of an input's, in words for a developer; null where it is one.
declare
  v_type constant text := p_input ->> 'type';
  v_is constant text := jsonb_typeof(p_value);
  v_min constant numeric := p_input ->> 'min';
  v_max constant numeric := p_input ->> 'max';
  v_uuid constant text := '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
  v_number numeric;
begin
  if v_type in ('integer', 'number') then
    if v_is = 'number' then
      v_number := p_value;
    end if;
    if v_number between v_min and v_max and (v_type = 'number' or v_number = floor(v_number)) then
      return null;
    end if;
    return format('Must be a %s from %s to %s', case v_type when 'integer' then 'whole number' else 'number' end, v_min, v_max);
  elsif v_type = 'boolean' then
    return case when v_is <> 'boolean' then 'Must be true or false' end;
  elsif v_type = 'text' then
    return case when v_is <> 'string' or char_length(p_value #>> '{}') not between coalesce(v_min, 0) and v_max
      then format('Must be a text of %s to %s characters', coalesce(v_min, 0), v_max) end;
  elsif v_type = 'choice' then
    return case when not p_input -> 'values' @> p_value or v_is <> 'string'
      then format('Must be one of %s', p_input -> 'values') end;
  elsif v_type = 'image' then
    return case when v_is <> 'string' or p_value #>> '{}' !~ v_uuid then 'Must be the id of an upload' end;
  end if;
  if v_is = 'array' then
    if jsonb_array_length(p_value) between 1 and v_max and not exists (
      select from jsonb_array_elements(p_value) as u (id) where jsonb_typeof(u.id) <> 'string' or u.id #>> '{}' !~ v_uuid
    ) then
      return null;
    end if;
  end if;
  return format('Must be a list of 1 to %s ids of uploads', v_max);
end;
$$;

create function videos.check_inputs()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Refuses a declaration that no request could fit, before it is in the catalogue.
declare
  v_input jsonb;
  v_names text[] := '{duration_seconds,resolution,aspect_ratio}';
  v_fault text;
begin
  if jsonb_typeof(new.inputs) <> 'array' or jsonb_array_length(new.inputs) > 20 then
    raise exception 'inputs are a list of at most 20' using errcode = 'check_violation';
  end if;
  for v_input in select i.input from jsonb_array_elements(new.inputs) as i (input) loop
    v_fault := case
      when jsonb_typeof(v_input) <> 'object'
        or v_input - '{name,type,min,max,values,default,price_factor}'::text[] <> '{}' then 'has other members'
      when coalesce(v_input ->> 'name' !~ '^[a-z][a-z0-9_]{0,39}$', true) then 'has no name in small letters'
      when v_input ->> 'name' = any (v_names) then 'has a name that is taken'
      when coalesce(v_input ->> 'type' not in (
        'integer', 'number', 'boolean', 'text', 'choice', 'image', 'images'
      ), true) then 'has no type'
      when v_input ->> 'type' in ('integer', 'number') and (
        jsonb_typeof(v_input -> 'min') is distinct from 'number' or jsonb_typeof(v_input -> 'max') is distinct from 'number'
      ) then 'has no bounds'
      -- As much as a request may have of them.
      when v_input ->> 'type' in ('text', 'images') and not coalesce(jsonb_path_exists(
        v_input, '$.max ? (@.type() == "number" && @ >= 1 && @ <= 2000)'
      ), false) then 'has no max'
      when v_input ->> 'type' = 'choice' and not coalesce(
        jsonb_typeof(v_input -> 'values') = 'array' and not jsonb_path_exists(
          v_input, 'strict $.values[*] ? (@.type() != "string" || !(@ like_regex "^[A-Za-z0-9_.:-]{1,40}$"))', silent => true
        ), false
      ) then 'has no words to choose from'
      when v_input ? 'default' and v_input ->> 'type' in ('image', 'images') then 'has a default that is nobody''s'
      when v_input ? 'default' and videos.input_fault(v_input, v_input -> 'default') is not null
        then 'has a default that is none of its values'
      when v_input ? 'price_factor' and not coalesce(jsonb_path_exists(
        v_input, '$.price_factor ? (@.type() == "number" && @ > 0 && @ <= 100)'
      ), false) then 'has no price factor from 0 to 100'
    end;
    if v_fault is not null then
      raise exception 'the input % %', v_input, v_fault using errcode = 'check_violation';
    end if;
    v_names := v_names || (v_input ->> 'name');
  end loop;
  return null;
end;
$$;

create trigger check_inputs after insert or update of inputs on videos.models
  for each row execute function videos.check_inputs();

-- Whether a provider's row speaks only of what a model may have: its options, a picture, and the inputs that it has fields for.
create function videos.is_takeable(p_takes jsonb, p_inputs jsonb)
returns boolean
language sql
immutable
set search_path = ''
as $$
  select videos.inputs_in(p_takes) - 'image'::text - array(select jsonb_object_keys(p_inputs)) = '{}'
$$;

alter table videos.model_providers add constraint model_providers_inputs_check check (
  jsonb_typeof(inputs) = 'object'
  and videos.is_takeable(takes, inputs)
  and not jsonb_path_exists(inputs, 'strict $.* ? (@.type() != "object")', silent => true)
  and not jsonb_path_exists(inputs, '$.*.keyvalue() ? (@.key == "field" && @.value.type() != "string")')
  and not jsonb_path_exists(inputs, '$.*.keyvalue() ? (@.key == "values" && @.value.type() != "object")')
  and not jsonb_path_exists(
    inputs, '$.*.keyvalue() ? (@.key == "cost_factor" && (@.value.type() != "number" || @.value <= 0))'
  )
);

create function videos.unfitting_inputs(p_inputs jsonb, p_given jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  -- What of a request is no input of the model's, as `[{ path, message }]`.
  select coalesce(jsonb_agg(jsonb_build_object('path', 'settings.' || f.name, 'message', f.fault)), '[]')
  from (
    select g.name, case when i.input is null then 'This model has no such setting'
      else videos.input_fault(i.input, g.value) end as fault
    from jsonb_each(p_given) as g (name, value)
    left join jsonb_array_elements(p_inputs) as i (input) on i.input ->> 'name' = g.name
  ) as f
  where f.fault is not null
$$;

-- Whether a video is made with an input, and so at its factor: with true, or with what is given and is not the default.
create function videos.is_used(p_input jsonb, p_settings jsonb)
returns boolean
language sql
immutable
return coalesce(
  case p_input ->> 'type' when 'boolean' then p_settings -> (p_input ->> 'name') = 'true'
    else p_settings -> (p_input ->> 'name') is distinct from p_input -> 'default' and p_settings ? (p_input ->> 'name')
  end, false
);

-- What the price of a video is multiplied by for what it is made with.
create function videos.price_factor(p_inputs jsonb, p_settings jsonb)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_input jsonb;
  v_factor numeric := 1;
begin
  for v_input in select i.input from jsonb_array_elements(p_inputs) as i (input) loop
    if v_input ? 'price_factor' and videos.is_used(v_input, p_settings) then
      v_factor := v_factor * (v_input -> 'price_factor')::numeric;
    end if;
  end loop;
  return v_factor;
end;
$$;

-- The price of a video in credits; there is no other. A part of a credit is a whole one.
create function videos.price(p_model videos.models, p_settings jsonb)
returns bigint
language sql
immutable
return case when videos.inputs_in(p_settings) = '{}' then
  (p_model).credits * case (p_model).pricing_type when 'per_second' then (p_settings ->> 'duration_seconds')::bigint else 1 end
else
  ceil(
    (p_model).credits * case (p_model).pricing_type when 'per_second' then (p_settings ->> 'duration_seconds')::bigint else 1 end
      * videos.price_factor((p_model).inputs, p_settings)
  )::bigint
end;

-- And what a provider's cost is multiplied by.
create function videos.cost_factor(p_offer videos.model_providers, p_inputs jsonb, p_settings jsonb)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_input jsonb;
  v_factor numeric := 1;
begin
  for v_input in select i.input from jsonb_array_elements(p_inputs) as i (input) loop
    if videos.is_used(v_input, p_settings) then
      v_factor := v_factor * coalesce((p_offer.inputs #> array[v_input ->> 'name', 'cost_factor'])::numeric, 1);
    end if;
  end loop;
  return v_factor;
end;
$$;

create function videos.takes_inputs(p_offer videos.model_providers, p_settings jsonb)
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Whether a provider has a field for each input among the settings, and takes its value. One without a field does what is
  -- the default anyhow.
  select not exists (
    select from jsonb_each(videos.inputs_in(p_settings)) as g (name, value)
    where not case
      when (p_offer).inputs ? g.name then coalesce((p_offer).takes -> g.name @> g.value, true)
      else exists (
        select from videos.models as m
        cross join lateral jsonb_array_elements(m.inputs) as i (input)
        where m.id = (p_offer).model_id and i.input ->> 'name' = g.name and i.input -> 'default' = g.value
      )
    end
  )
$$;

create function videos.provider_fields(p_offer videos.model_providers, p_settings jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  -- The inputs among the settings, as the provider has them: its own fields and words.
  select coalesce(jsonb_object_agg(
    (p_offer).inputs #>> array[g.name, 'field'],
    coalesce((p_offer).inputs #> array[g.name, 'values', g.value #>> '{}'], g.value)
  ), '{}')
  from jsonb_each(videos.inputs_in(p_settings)) as g (name, value)
  where (p_offer).inputs -> g.name ? 'field'
$$;

create function videos.said(p_inputs jsonb, p_prompt text, p_settings jsonb)
returns text
language sql
immutable
set search_path = ''
as $$
  -- All that a user wrote for a video: the prompt, and the texts among the settings.
  select concat_ws(e'\n', p_prompt, (
    select string_agg(p_settings ->> (i.input ->> 'name'), e'\n' order by i.number)
    from jsonb_array_elements(p_inputs) with ordinality as i (input, number)
    where i.input ->> 'type' = 'text'
  ))
$$;

create function videos.pictures_in(p_inputs jsonb, p_settings jsonb)
returns setof uuid
language sql
immutable
set search_path = ''
as $$
  -- The uploads among the settings.
  select u.id::uuid
  from jsonb_array_elements(p_inputs) as i (input)
  cross join lateral (select p_settings -> (i.input ->> 'name')) as g (value)
  cross join lateral jsonb_array_elements_text(
    case jsonb_typeof(g.value) when 'array' then g.value when 'string' then jsonb_build_array(g.value) else '[]' end
  ) as u (id)
  where i.input ->> 'type' in ('image', 'images')
$$;

-- supabase/schemas/videos/projects.sql

create table videos.projects (
  id uuid primary key default core.new_id(),
  -- As in videos.jobs: accounts.admit has just seen the user, whose row is never deleted.
  user_id uuid not null,
  name text not null,
  -- Its jobs, without those that are deleted: counting them would cost more with each. Who adds or deletes one has the
  -- account's lock.
  job_count integer not null default 0 check (job_count >= 0),
  created_at timestamptz not null
) with (fillfactor = 80);
alter table videos.projects enable row level security;
-- A user's projects, newest first.
create index projects_user on videos.projects (user_id, created_at desc, id desc);
comment on table videos.projects is 'What users sort their videos by. A job may name one that is gone: that is none.';

-- A project as the API shows it.
create function videos.project_json(p_project videos.projects)
returns jsonb
language sql
stable
return jsonb_build_object(
  'project_id', (p_project).id, 'name', (p_project).name, 'job_count', (p_project).job_count,
  'created_at', core.to_iso((p_project).created_at)
);

create function videos.has_project(p_user_id uuid, p_project_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether it is a project of that user's.
begin
  return exists (select from videos.projects as p where p.id = p_project_id and p.user_id = p_user_id);
end;
$$;

create function videos.shown_project(p_project_id uuid)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
-- The project, while it is there: deleting one does not touch its jobs, of which there may be 100,000.
begin
  return (select p.id from videos.projects as p where p.id = p_project_id);
end;
$$;

create function videos.count_in_project(p_project_id uuid, p_jobs integer)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- So many jobs more, or less, are in a project; one that is gone or null counts nothing. The caller has locked the account
-- and changes the jobs in the same transaction. Locks: the project.
begin
  update videos.projects as p set job_count = p.job_count + p_jobs where p.id = p_project_id;
end;
$$;

select core.keep_rows_out_of_logs('videos.projects');

-- supabase/schemas/videos/jobs.sql

create type videos.job_status as enum ('pending', 'processing', 'completed', 'failed', 'cancelled');

create table videos.jobs (
  id uuid primary key default core.new_id(),
  -- No foreign keys. accounts.admit has just seen the user, whose row is never deleted; nor is a model's, which a
  -- trigger sees to, and checking a key would have every accepted job lock the one row of a popular model.
  user_id uuid not null,
  model_id uuid not null,
  model_name text not null,
  status videos.job_status not null default 'pending',
  prompt text not null,
  settings jsonb not null,
  image_url text,
  -- Held or captured, less what was given back.
  credits_used credits.balance not null,
  error_code text,
  error_details jsonb,
  -- The request that made it; ties the job to the log.
  request_id text not null,
  created_at timestamptz not null,
  -- When a provider reported that it had begun; where it reports none, when it took the submission.
  started_at timestamptz,
  percent smallint,
  -- When the provider's success was known and storing began.
  storing_at timestamptz,
  completed_at timestamptz,
  -- When the bound that is running now is over. Null while storing and after the end.
  due_at timestamptz,
  cancel_requested_at timestamptz,
  -- A success that came after the end; recorded for the operator, never charged.
  late_success_at timestamptz,
  -- Why the operator may want to look at it: the reason of a term that flags, or what the moderation service refused.
  flag text,
  -- When the moderation service let the prompt pass; it is not asked again.
  moderated_at timestamptz,
  video_url text,
  video_url_expires_at timestamptz,
  thumbnail_url text,
  deleted_at timestamptz,
  -- The app's own name for it, which its user may ask for.
  client_reference text,
  -- The upload that it is made from, instead of an address. No foreign key, as above: an upload may go when the job has ended.
  image_upload_id uuid,
  -- Of its user's. One that is not there any more is none: see videos.shown_project.
  project_id uuid,
  -- When the operator removed the video: it is shown to nobody.
  removed_at timestamptz,
  -- The job of theirs whose video it is made from. Its video stays while this runs.
  source_job_id uuid
) with (fillfactor = 70);
alter table videos.jobs enable row level security;
-- A user's history of each status, newest first: one index pages all of it and any part of it.
create index jobs_user on videos.jobs (user_id, status, created_at desc, id desc) where deleted_at is null;
-- Few jobs have a name, and few of a user's have the same. By the name first: the operator knows no more.
create index jobs_client_reference on videos.jobs (client_reference, user_id) where client_reference is not null;
-- The same of one project.
create index jobs_project on videos.jobs (project_id, status, created_at desc, id desc)
  where project_id is not null and deleted_at is null;
create index jobs_completed_at on videos.jobs using brin (completed_at);
create index jobs_created_at on videos.jobs using brin (created_at) with (autosummarize = on);
-- A Bloom filter for every 128 pages, made when they are full: so an accepted job pays next to nothing for a question that is
-- seldom asked. docs/decisions/0070-what-an-operator-asks-costs-no-job.md.
create index jobs_request_id on videos.jobs using brin (request_id text_bloom_ops (n_distinct_per_range = 2000))
  with (autosummarize = on);
-- The running jobs; those that are storing have no bound.
create index jobs_running on videos.jobs (due_at) where completed_at is null;
comment on table videos.jobs is 'Generated videos, from acceptance to the end. An ended status never changes.';

-- The life of a job, as data: what is not here cannot happen.
create table videos.job_transitions (
  from_status videos.job_status not null,
  to_status videos.job_status not null,
  reason text not null,
  primary key (from_status, to_status)
);
alter table videos.job_transitions enable row level security;
comment on table videos.job_transitions is 'The allowed changes of a job''s status.';

-- What the procedures rely on, in every row. As constraints it would cost five times as much.
create function videos.check_job()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if (new.status >= 'completed') = (new.completed_at is not null)
    and (new.status = 'failed') = (new.error_code is not null)
    and (new.due_at is null) = (new.completed_at is not null or new.storing_at is not null)
  then
    return new;
  end if;
  raise exception 'job % contradicts itself', new.id using errcode = 'check_violation';
end;
$$;

create trigger check_job before insert or update on videos.jobs for each row execute function videos.check_job();

-- Holds every update of a job to job_transitions.
create function videos.check_job_transition()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if not exists (
    select from videos.job_transitions as t
    where t.from_status = old.status and t.to_status = new.status
  ) then
    raise exception 'job % cannot go from % to %', old.id, old.status, new.status using errcode = 'check_violation';
  end if;
  return new;
end;
$$;

create trigger check_job_transition before update of status on videos.jobs
  for each row when (old.status is distinct from new.status) execute function videos.check_job_transition();

create function videos.lock_job(p_job_id uuid)
returns videos.jobs
language plpgsql
volatile
set search_path = ''
as $$
-- Locks the account of a job's user, then the job: the order of everything that may end one. Null where there is
-- no such job.
declare
  v_job videos.jobs;
begin
  perform credits.lock_account(j.user_id) from videos.jobs as j where j.id = p_job_id;
  select j.* into v_job from videos.jobs as j where j.id = p_job_id for update;
  return v_job;
end;
$$;

-- Makes a task about a job, for its owner and under its request.
create function videos.add_task(p_kind text, p_job videos.jobs, p_run_at timestamptz, p_payload jsonb default '{}')
returns void
language sql
volatile
return queue.add(p_kind, (p_job).id, (p_job).user_id, p_run_at, p_payload, (p_job).request_id);

-- Whether the account of a job was closed: nothing is stored for it.
create function videos.is_abandoned(p_job videos.jobs)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select from accounts.users as u where u.id = p_job.user_id and u.closed_at is not null);
end;
$$;

create function videos.note_refund(p_job_id uuid, p_amount bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- So many of a job's credits were given back after its end; null is no job. The caller has locked the account.
begin
  update videos.jobs as j set credits_used = j.credits_used - p_amount where j.id = p_job_id;
end;
$$;

-- The jobs that a request made, in no order, up to 1,000.
create function videos.jobs_of_request(p_request_id text)
returns setof videos.jobs
language sql
stable
set search_path = ''
-- The planner takes it that an index of Bloom filters leads to every page.
set enable_seqscan = off
as $$
  select j.* from videos.jobs as j where j.request_id = p_request_id limit 1000
$$;

-- How many jobs a user has, without those that they deleted.
create function videos.count_jobs(p_user_id uuid)
returns bigint
language sql
stable
set search_path = ''
as $$
  select count(*) from videos.jobs as j where j.user_id = p_user_id and j.deleted_at is null
$$;

-- What a user's running jobs hold in escrow.
create function videos.held_credits(p_user_id uuid)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(t.amount), 0)
    from videos.jobs as j
    join credits.transfers as t on t.job_id = j.id and t.kind = 'hold'
    -- A hold ends with its job. No running job is deleted, which is said for the index.
    where j.user_id = p_user_id and j.status in ('pending', 'processing') and j.deleted_at is null
  );
end;
$$;

create function videos.hold_violations(p_since timestamptz)
returns setof credits.violation
language sql
stable
set search_path = ''
as $$
  -- A running job has its hold open. p_since does not matter here: running jobs are few.
  select row('job_without_hold', j.id::text, jsonb_build_object('status', j.status))::credits.violation
  from videos.jobs as j
  where j.completed_at is null and not exists (
    select from credits.transfers as h
    where h.job_id = j.id and h.kind = 'hold'
      and not exists (
        select from credits.transfers as t where t.reverses_id = h.id and t.kind in ('capture', 'release')
      )
  )
  union all
  -- An ended job has ended its hold, in the way of its end.
  select row('hold_ended_wrong', j.id::text, jsonb_build_object('status', j.status))::credits.violation
  from videos.jobs as j
  where j.completed_at >= p_since and not exists (
    select from credits.transfers as h
    join credits.transfers as t on t.reverses_id = h.id
    where h.job_id = j.id and h.kind = 'hold'
      and t.kind = (case j.status when 'completed' then 'capture' else 'release' end)::credits.transfer_kind
  )
  union all
  -- What is in escrow is there for a job that runs.
  select row('escrow_without_job', h.id::text, jsonb_build_object('job_id', h.job_id))::credits.violation
  from credits.transfers as h
  where h.kind = 'hold' and h.created_at >= p_since
    and not exists (
      select from credits.transfers as t where t.reverses_id = h.id and t.kind in ('capture', 'release')
    )
    and not exists (
      select from videos.jobs as j where j.id = h.job_id and j.completed_at is null
    )
$$;

create function videos.poll_seconds(p_job videos.jobs, p_limits jsonb, p_now timestamptz)
returns integer
language plpgsql
stable
set search_path = ''
as $$
-- After how many seconds whoever watches a job asks again; null when it has ended. A tenth of its age, so that watching costs
-- a few dozen requests however long it takes; and so seldom that all the running jobs of its user together take half of
-- `reads`, whose state p_limits tells, since the app reads other things as well. Takes no lock.
declare
  -- As api.md has it, where the limiter is broken.
  v_max_hits constant numeric := coalesce((p_limits -> 0 ->> 'limit')::numeric, 120);
  v_window_seconds constant numeric := coalesce((p_limits -> 0 ->> 'window')::numeric, 60);
  v_running numeric;
begin
  if p_job.completed_at is not null then
    return null;
  end if;
  -- No running job is deleted, which is said for the index.
  select count(*) into v_running
  from videos.jobs as j
  where j.user_id = p_job.user_id and j.status in ('pending', 'processing') and j.deleted_at is null;
  return least(60, greatest(
    2, ceil(extract(epoch from p_now - p_job.created_at) / 10), ceil(v_running * v_window_seconds * 2 / v_max_hits)
  ))::integer;
end;
$$;

-- Where a job is, for whoever watches it.
create function videos.job_stage(p_job videos.jobs)
returns text
language sql
immutable
return case
  when (p_job).completed_at is not null then 'done'
  when (p_job).status = 'pending' then 'queued'
  when (p_job).storing_at is not null then 'storing'
  when (p_job).started_at is not null then 'generating'
  else 'submitted'
end;

-- A job as the API shows it; the error's message is added in the caller's language.
create function videos.job_json(p_job videos.jobs)
returns jsonb
language sql
stable
return jsonb_build_object(
  'job_id', (p_job).id, 'status', (p_job).status, 'prompt', (p_job).prompt, 'model_id', (p_job).model_id,
  'model_name', (p_job).model_name, 'settings', (p_job).settings, 'credits_used', (p_job).credits_used,
  'video_url', (p_job).video_url, 'video_url_expires_at', core.to_iso((p_job).video_url_expires_at),
  'thumbnail_url', (p_job).thumbnail_url,
  'error', case
    when (p_job).error_code is not null then jsonb_build_object(
      'code', (p_job).error_code, 'details', (p_job).error_details
    )
    when (p_job).removed_at is not null then safety.removal_error((p_job).id)
  end,
  'client_reference', (p_job).client_reference,
  'project_id', case when (p_job).project_id is not null then videos.shown_project((p_job).project_id) end,
  'cancel_requested_at', core.to_iso((p_job).cancel_requested_at),
  'created_at', core.to_iso((p_job).created_at), 'completed_at', core.to_iso((p_job).completed_at)
);
-- jobs_user knows only what its user still sees.
create index jobs_deleted on videos.jobs (user_id) where deleted_at is not null;
create index jobs_blankable on videos.jobs (deleted_at) where deleted_at is not null and prompt <> '';
create index jobs_late on videos.jobs (late_success_at) where late_success_at is not null;

select core.keep_rows_out_of_logs('videos.jobs');

-- supabase/schemas/videos/submissions.sql

create type videos.submission_state as enum (
  'sending', -- claimed; the request may be on its way, and nobody sends it again
  'accepted', -- the provider named its id
  'not_accepted', -- proof that the provider does not have it
  'unknown', -- the answer was lost: its webhook or its deadline decides
  'refused', -- the provider will never do it
  'ended' -- the provider said how it ended
);

create table videos.submissions (
  id uuid primary key default core.new_id(),
  job_id uuid not null references videos.jobs,
  owner_id uuid not null,
  provider text not null,
  provider_model text not null,
  state videos.submission_state not null default 'sending',
  request_id text,
  -- What the adapter needs to find it again.
  provider_references jsonb,
  cost_cents numeric not null,
  cause text,
  claimed_at timestamptz not null,
  accepted_at timestamptz,
  -- Since when the provider says that it does not know the request any more.
  missing_since timestamptz,
  ended_at timestamptz,
  -- The day in UTC whose spending its cost is part of; null since it is known that it was not billed.
  counted_on date,
  check ((state in ('accepted', 'ended')) <= (request_id is not null))
) with (fillfactor = 80);
alter table videos.submissions enable row level security;
create index submissions_job on videos.submissions (job_id);
create unique index submissions_request on videos.submissions (provider, request_id) where request_id is not null;
create index submissions_in_flight on videos.submissions (provider)
  where state in ('sending', 'accepted', 'unknown');
-- No job is ever at two providers: at most one submission that a provider has, or may have.
create unique index submissions_open on videos.submissions (job_id)
  where state in ('sending', 'accepted', 'unknown');
-- What a provider did not take while it was away, and others did.
create index submissions_not_accepted on videos.submissions (provider, claimed_at) where state = 'not_accepted';
comment on table videos.submissions is 'Each attempt to hand a job to a provider.';

-- Webhooks as they came, once each.
create table videos.provider_events (
  provider text not null,
  event_id text not null,
  submission_id uuid not null references videos.submissions,
  owner_id uuid not null,
  request_id text not null,
  state jsonb not null,
  -- What it did: `applied`, `asked` (a poll was made of it), or `ignored`.
  effect text not null check (effect in ('applied', 'asked', 'ignored')),
  received_at timestamptz not null,
  -- Of a submission, and so of its provider: an event that was sent to the URL of another must not stand in for its own
  -- delivery.
  primary key (submission_id, event_id)
);
alter table videos.provider_events enable row level security;
comment on table videos.provider_events is 'What the providers reported, proved to be theirs.';

create function videos.alert_about(p_submission videos.submissions, p_answer jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells the operator where a provider's answer, as the port names it, is one that only they can mend: a key or a
-- balance that it does not take, a model that it does not have, an input that it does not understand. Locks: the alert.
begin
  if (p_answer ->> 'needs_operator')::boolean then
    perform ops.raise_alert('provider_refuses', p_submission.provider, jsonb_build_object(
      'provider_model', p_submission.provider_model, 'submission_id', p_submission.id,
      'cause', coalesce(p_answer ->> 'cause', p_answer #>> '{failure,cause}')
    ));
  end if;
end;
$$;

create function videos.refuse_claim(p_job_id uuid, p_verdict jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What it means for a job that the moderation service did not let its prompt pass. `refused`: it ends with
-- prompt/refused and its hold is released. `unavailable`: the task waits, by its backoff and no shorter than the service
-- asks; the job's bound ends it. Of several verdicts the first counts; after the job has gone on none does.
-- Locks: account → job → lots → task → alert.
declare
  v_job videos.jobs;
begin
  v_job := videos.lock_job(p_job_id);
  if v_job.status is distinct from 'pending' or v_job.moderated_at is not null then
    return;
  end if;
  if p_verdict ->> 'verdict' = 'refused' then
    update videos.jobs as j
    set flag = (select string_agg(c.name, ', ') from jsonb_array_elements_text(p_verdict -> 'categories') as c (name))
    where j.id = p_job_id;
    perform videos.settle_video_job(p_job_id, 'failed', core.error_code('prompt/refused'), '{"reason": "policy"}');
    return;
  end if;
  perform queue.postpone('submit', p_job_id, p_verdict ->> 'cause', (p_verdict ->> 'retry_after_seconds')::numeric);
  if (p_verdict ->> 'needs_operator')::boolean then
    perform ops.raise_alert('moderation_refuses', 'moderation', jsonb_build_object('cause', p_verdict -> 'cause'));
  end if;
end;
$$;

-- Where a job is, or was last; null before its first submission.
create function videos.provider_of(p_job_id uuid)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select s.provider from videos.submissions as s where s.job_id = p_job_id order by s.claimed_at desc limit 1
  );
end;
$$;

-- How long the answer to a job's request is waited for; null where no request is on its way.
create function videos.sending_until(p_job_id uuid)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  select max(s.claimed_at) + queue.timeout('submit')
  from videos.submissions as s
  where s.job_id = p_job_id and s.state = 'sending'
$$;
create index provider_events_received_at on videos.provider_events using brin (received_at) with (autosummarize = on);
-- Appended to in the order of their times, which is what a BRIN needs to find a day at next to no cost.
create index submissions_claimed_at on videos.submissions using brin (claimed_at) with (autosummarize = on);

select core.keep_rows_out_of_logs('videos.submissions');
select core.keep_rows_out_of_logs('videos.provider_events');

-- supabase/schemas/videos/assets.sql

create type videos.asset_kind as enum ('video', 'thumbnail');

create table videos.assets (
  job_id uuid not null references videos.jobs,
  owner_id uuid not null,
  kind videos.asset_kind not null,
  -- In the private bucket `videos`: in the job's folder, so that no other job has it.
  path text not null,
  bytes bigint not null check (bytes > 0),
  content_type text not null,
  duration_milliseconds integer,
  width integer,
  height integer,
  created_at timestamptz not null,
  -- When the worker removed the file, after the user deleted the job.
  deleted_at timestamptz,
  -- How near a video comes to what was ordered, from 0 to 100 (videos.judge); null where nothing could be compared.
  quality smallint,
  primary key (job_id, kind)
);
alter table videos.assets enable row level security;
comment on table videos.assets is 'Files in storage.';

-- Where the files of a job are in storage: below the reference of who paid for it, and so in one place, whoever they
-- became since.
create function videos.folder_of(p_job videos.jobs)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select u.reference || '/' || p_job.id from accounts.users as u
    where u.id = coalesce(credits.hold_owner(p_job.id), p_job.user_id)
  );
end;
$$;

create function videos.task_facts(p_job_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- What the handlers of a job's tasks need: `{ folder, paths, submission }`. `folder` is where the job's files are in
-- storage, `paths` those of its files that are there. `submission` is the one that a provider has or may have,
-- `{ submission_id, provider, provider_model, request_id, references }`, or null. Null where there is no such job.
begin
  return (
    select jsonb_build_object(
      'folder', videos.folder_of(j),
      'paths', (
        select coalesce(jsonb_agg(a.path), '[]') from videos.assets as a where a.job_id = j.id and a.deleted_at is null
      ),
      'submission', (
        select jsonb_build_object(
          'submission_id', s.id, 'provider', s.provider, 'provider_model', s.provider_model,
          'request_id', s.request_id, 'references', s.provider_references
        )
        from videos.submissions as s
        where s.job_id = j.id and s.state in ('sending', 'accepted', 'unknown', 'ended')
        order by s.claimed_at desc
        limit 1
      )
    )
    from videos.jobs as j
    where j.id = p_job_id
  );
end;
$$;

-- Paths of what a bucket of storage has of a user, and of the guests whom they were, whether or not a job knows of it.
create function videos.files_of(p_user_id uuid, p_bucket text)
returns setof text
language plpgsql
stable
set search_path = ''
as $$
declare
  v_folder text;
begin
  for v_folder in
    select u.reference || '/' from accounts.users as u where u.id = any (accounts.with_guests(p_user_id))
  loop
    -- One by one: only of a constant of the query is the index of names asked.
    return query select o.name from storage.objects as o where o.bucket_id = p_bucket and o.name ^@ v_folder;
  end loop;
end;
$$;

-- The jobs of these users, those that they deleted too.
create function videos.jobs_of(p_user_ids uuid[])
returns setof uuid
language sql
stable
set search_path = ''
as $$
  -- One part for each of the two indexes.
  select j.id from videos.jobs as j where j.user_id = any (p_user_ids) and j.deleted_at is null
  union all
  select j.id from videos.jobs as j where j.user_id = any (p_user_ids) and j.deleted_at is not null
$$;

create function videos.blank_jobs(p_job_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes out of jobs what accounts.privacy_classes says: what their user said and got. Status, model, credits and times
-- stay.
begin
  perform accounts.apply_privacy('videos.jobs', 't.id = any ($1)', p_job_ids);
  perform accounts.apply_privacy('videos.submissions', 't.job_id = any ($1)', p_job_ids);
  perform accounts.apply_privacy('videos.provider_events', 't.submission_id in (
    select s.id from videos.submissions as s where s.job_id = any ($1))', p_job_ids);
  perform accounts.apply_privacy('videos.assets', 't.job_id = any ($1)', p_job_ids);
end;
$$;

select core.keep_rows_out_of_logs('videos.assets');

-- supabase/schemas/videos/quality.sql

-- Whether a video is what was ordered.

create table videos.tolerances (
  fact text primary key check (fact in ('duration', 'aspect_ratio', 'resolution', 'codec', 'frame_rate')),
  -- How much less, and how much more, than what was ordered, as a part of it; null for any.
  less numeric check (less between 0 and 1),
  more numeric check (more >= 0),
  -- What nobody orders by its number: at least so much, or one of these.
  at_least numeric check (at_least >= 0),
  one_of text[] check (cardinality(one_of) > 0),
  reason text not null
);
alter table videos.tolerances enable row level security;
comment on table videos.tolerances is
  'How far a video may be from what was ordered before its credits go back. What has no row is not compared.';

-- The lines of a resolution, the shorter side of its picture: 1080p, 4k, 1920x1080. Null for a word that tells none.
create function videos.lines_of(p_resolution text)
returns numeric
language sql
immutable
return coalesce(
  substring(p_resolution from '^([0-9]{1,5})[pP]$')::numeric,
  -- 2k, 4k, 8k.
  substring(p_resolution from '^([0-9]{1,2})[kK]$')::numeric * 540,
  least(
    substring(p_resolution from '^([0-9]{1,5})[x:][0-9]{1,5}$')::numeric,
    substring(p_resolution from '^[0-9]{1,5}[x:]([0-9]{1,5})$')::numeric
  )
);

create function videos.judge(
  p_settings jsonb, p_unpromised text[], p_duration_milliseconds integer, p_width integer, p_height integer,
  p_codec text, p_frames integer, out differences jsonb, out quality smallint
)
language plpgsql
stable
set search_path = ''
as $$
-- How a video, as its container tells, differs from the settings that it was ordered with: `differences` has what lies
-- outside of videos.tolerances, `{ duration_milliseconds, aspect_ratio, resolution, codec, frames }`, null where nothing
-- does. `quality` is 100 for what is exactly as ordered, and 0 at the bounds: the mean of what could be compared, null where
-- nothing could. What the model does not promise (p_unpromised, names of settings) is not compared, nor is what has no
-- number, such as a ratio that is a word, or what the file does not tell: that is null.
declare
  v_seconds constant numeric := nullif(
    substring(p_settings ->> 'duration_seconds' from '^[0-9]{1,9}$')::numeric
      * (not 'duration_seconds' = any (p_unpromised))::integer, 0
  );
  v_sides constant text[] := regexp_match(
    p_settings ->> 'aspect_ratio', '^([0-9]{1,9}(?:[.][0-9]{1,9})?):([0-9]{1,9}(?:[.][0-9]{1,9})?)$'
  );
  -- Multiplied before anything is divided: 1216x720 is 95 % of 16:9, and not a little less.
  v_across constant numeric := nullif(v_sides[1]::numeric * (not 'aspect_ratio' = any (p_unpromised))::integer, 0);
  v_down constant numeric := nullif(v_sides[2]::numeric, 0);
  v_lines constant numeric := nullif(
    videos.lines_of(p_settings ->> 'resolution') * (not 'resolution' = any (p_unpromised))::integer, 0
  );
  v_width constant numeric := p_width;
  v_found record;
begin
  select
    jsonb_object_agg(m.name, m.delivered) filter (where not m.is_tolerated) as differences,
    round(100 * (1 - avg(m.used)))::smallint as quality
  into v_found
  from (
    select f.name, f.delivered,
      case t.fact
        when 'codec' then f.delivered #>> '{}' = any (t.one_of)
        when 'frame_rate' then p_frames > 0 and coalesce(f.part >= t.at_least, true)
        else f.part - 1 between -coalesce(t.less, 1) and coalesce(t.more, f.part)
      end as is_tolerated,
      -- How much of its tolerance it uses up; what is on the side without a bound uses none.
      case when t.fact in ('duration', 'aspect_ratio', 'resolution') then least(1, coalesce(case
        when f.part < 1 then (1 - f.part) / nullif(t.less, 0)
        when f.part > 1 then (f.part - 1) / nullif(t.more, 0)
      end, 0)) end as used
    from (values
      ('duration', 'duration_milliseconds', to_jsonb(p_duration_milliseconds), p_duration_milliseconds / (v_seconds * 1000)),
      ('aspect_ratio', 'aspect_ratio', to_jsonb(format('%s:%s', p_width, p_height)),
        v_width * v_down / (nullif(p_height, 0) * v_across)),
      -- A wide picture has fewer lines and as many pixels, which makes it no smaller.
      ('resolution', 'resolution', to_jsonb(format('%sp', least(p_width, p_height))),
        greatest(least(v_width, p_height) / v_lines, sqrt(abs(v_width * p_height * 9 / 16)) / v_lines)),
      ('codec', 'codec', to_jsonb(p_codec), null),
      ('frame_rate', 'frames', to_jsonb(p_frames), p_frames * 1000.0 / nullif(p_duration_milliseconds, 0))
    ) as f (fact, name, delivered, part)
    join videos.tolerances as t on t.fact = f.fact
    where case f.fact when 'codec' then p_codec is not null when 'frame_rate' then p_frames is not null
      else f.part is not null end
  ) as m;
  differences := v_found.differences;
  quality := v_found.quality;
end;
$$;

-- supabase/schemas/videos/renewals.sql

-- How often a user's URLs are signed anew: what is watched a thousand times costs a thousand times its traffic.

create function videos.admit_renewals(p_user_id uuid, p_videos jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Videos, `{ job, paths }` each, as they may be shown. One whose URL has less than 10 minutes left is signed anew by the
-- caller, which counts against `signed_urls`; above that it has no URL, no paths, and `retry_after` says in how many seconds
-- it may have one. Those that come first are counted first. The operator is told of whoever meets the limit.
-- Locks: rate-limit row → alert.
declare
  v_videos jsonb := p_videos;
  v_soon constant timestamptz := core.now() + interval '10 minutes';
  v_refusal jsonb;
  v_place integer;
begin
  -- Most that are asked about are still being made.
  if not jsonb_path_exists(p_videos, '$[*].paths.video') then
    return p_videos;
  end if;
  for v_place in
    select (v.place - 1)::integer
    from jsonb_array_elements(p_videos) with ordinality as v (video, place)
    where v.video -> 'paths' ? 'video' and (
      v.video -> 'job' ->> 'video_url_expires_at' is null
      or (v.video -> 'job' ->> 'video_url_expires_at')::timestamptz < v_soon
    )
    order by v.place
  loop
    if v_refusal is null then
      v_refusal := (guard.take('{signed_urls}', p_user_id, null, 'video-url')).refusal;
    end if;
    if v_refusal is not null then
      v_videos := jsonb_set(v_videos, array[v_place::text], (v_videos -> v_place) || jsonb_build_object(
        'paths', '{}'::jsonb,
        'job', (v_videos -> v_place -> 'job') || jsonb_build_object(
          'video_url', null, 'thumbnail_url', null, 'video_url_expires_at', null,
          -- The operator may have it fail closed, which is over by itself.
          'retry_after', coalesce((v_refusal -> 'details' ->> 'retry_after')::integer, 60)
        )
      ));
    end if;
  end loop;
  if v_refusal is not null then
    perform ops.raise_alert('egress', u.reference::text, jsonb_build_object(
      'policy', 'signed_urls',
      'renewals', v_refusal -> 'limits' -> 0 -> 'current',
      -- What all their videos are once: each URL lets anybody load its file for an hour, as often as they like.
      'bytes', (
        select sum(a.bytes) from videos.jobs as j
        join videos.assets as a on a.job_id = j.id and a.deleted_at is null
        where j.user_id = p_user_id and j.deleted_at is null
      )
    ))
    from accounts.users as u
    where u.id = p_user_id;
  end if;
  return v_videos;
end;
$$;

-- supabase/schemas/videos/uploads.sql

-- Pictures that users bring. Their bytes go to Storage and never through a request of ours.

-- What a user may have, by what they are. The operator changes the numbers.
create table videos.tiers (
  tier text primary key check (tier in ('guest', 'member', 'subscriber')),
  -- All pictures of a user together, those that are still being uploaded by the size that was told.
  storage_bytes bigint not null check (storage_bytes >= 0),
  -- Begun and neither completed nor over, at the same time.
  pending_uploads integer not null check (pending_uploads > 0)
);
alter table videos.tiers enable row level security;
comment on table videos.tiers is 'What users of each tier may have; a change holds from the next request on.';

create type videos.upload_status as enum (
  'pending', -- its URL may be used; nothing trusts what is there
  'ready' -- looked at, cleaned, and copied to where its user cannot write
);

create table videos.uploads (
  id uuid primary key default core.new_id(),
  owner_id uuid not null,
  status videos.upload_status not null default 'pending',
  -- As told, and of what is ready as found. Of a copy nobody tells it before.
  content_type text check (content_type in ('image/jpeg', 'image/png', 'image/webp')),
  bytes bigint check (bytes between 1 and 10485760),
  -- As it is shown, after its orientation.
  width integer,
  height integer,
  -- In the private bucket `uploads`: all files of it are below this, the one that its user wrote as `incoming`.
  folder text not null unique,
  -- The cleaned copy. Its name is new with each try to complete it, so that none writes over another's.
  path text unique,
  created_at timestamptz not null,
  -- Until then its URL writes, whatever became of it.
  expires_at timestamptz not null,
  deleted_at timestamptz,
  -- The job whose `image_url` it is a copy of; null for what its user brought. No foreign key, as in videos.jobs.
  job_id uuid unique,
  -- Of its user's. One that is not there any more is none, as for jobs.
  project_id uuid,
  constraint uploads_told check (num_nulls(content_type, bytes) = 0 or (job_id is not null and status = 'pending')),
  constraint uploads_found check ((status = 'ready') = (path is not null and width is not null and height is not null))
);
alter table videos.uploads enable row level security;
create index uploads_owner on videos.uploads (owner_id, created_at desc, id desc);
create index uploads_project on videos.uploads (project_id, created_at desc, id desc) where project_id is not null;
comment on table videos.uploads is 'Pictures that users brought.';

-- How long a signed upload URL of Storage lives, which says so nowhere else.
create function videos.upload_url_lives()
returns interval
language sql
immutable
return interval '2 hours';

-- Whoever began to complete an upload while it was there is done by then, as each of their calls of Storage ends within 10
-- seconds.
create function videos.tidying_delay()
returns interval
language sql
immutable
return interval '5 minutes';

-- When nothing can be on its way to an upload any more.
create function videos.upload_closes_at(p_upload videos.uploads)
returns timestamptz
language sql
immutable
return (p_upload).expires_at + videos.tidying_delay();

-- Whether an upload is there for its user: theirs, not deleted, and not given up.
create function videos.is_shown(p_upload videos.uploads, p_now timestamptz)
returns boolean
language sql
immutable
return (p_upload).job_id is null and (p_upload).deleted_at is null and ((p_upload).status = 'ready' or (p_upload).expires_at > p_now);

create function videos.tier_of(p_user_id uuid)
returns text
language plpgsql
stable
set search_path = ''
as $$
-- A user's tier follows from their subscription and from how they signed in. Who is in a billing retry has not paid.
begin
  return case
    when purchases.subscription_of(p_user_id) ->> 'status' in ('active', 'in_grace') then 'subscriber'
    when coalesce((select u.is_anonymous from auth.users as u where u.id = p_user_id), true) then 'guest'
    else 'member'
  end;
end;
$$;

-- An upload as the API shows it.
create function videos.upload_json(p_upload videos.uploads)
returns jsonb
language sql
stable
return jsonb_build_object(
  'upload_id', (p_upload).id, 'status', (p_upload).status, 'content_type', (p_upload).content_type,
  'bytes', (p_upload).bytes, 'width', (p_upload).width, 'height', (p_upload).height,
  'project_id', case when (p_upload).project_id is not null then videos.shown_project((p_upload).project_id) end,
  'created_at', core.to_iso((p_upload).created_at)
);

create function videos.find_upload(p_user_id uuid, p_upload_id uuid, p_now timestamptz)
returns videos.uploads
language plpgsql
stable
set search_path = ''
as $$
-- That upload of that user, as long as it is there for them; else null.
declare
  v_upload videos.uploads;
begin
  select u.* into v_upload
  from videos.uploads as u
  where u.id = p_upload_id and u.owner_id = p_user_id and videos.is_shown(u, p_now);
  return v_upload;
end;
$$;

create function videos.begin_upload(
  p_user_id uuid, p_content_type text, p_bytes bigint, p_project_id uuid, out refusal jsonb, out upload videos.uploads
)
language plpgsql
volatile
set search_path = ''
as $$
-- Makes an upload, and the task that cleans up after its URL, where its user's tier has room for it and the project is theirs;
-- else `refusal`. The
-- caller has locked the account, so that what is counted here is exact. Locks: task.
declare
  v_now constant timestamptz := core.now();
  v_tier videos.tiers;
  v_used bigint;
  v_pending integer;
  v_id constant uuid := core.new_id();
begin
  if p_project_id is not null and not videos.has_project(p_user_id, p_project_id) then
    refusal := guard.refusal('resource/not-found');
    return;
  end if;
  select t.* into strict v_tier from videos.tiers as t where t.tier = videos.tier_of(p_user_id);
  select coalesce(sum(u.bytes), 0), count(*) filter (where u.status = 'pending') into v_used, v_pending
  from videos.uploads as u
  where u.owner_id = p_user_id and videos.is_shown(u, v_now);
  if v_pending >= v_tier.pending_uploads then
    refusal := guard.refusal('resource/wrong-state', '{"status": "pending"}');
    return;
  end if;
  if v_used + p_bytes > v_tier.storage_bytes then
    refusal := guard.refusal('upload/quota-exceeded', jsonb_build_object(
      'used_bytes', v_used, 'quota_bytes', v_tier.storage_bytes
    ));
    return;
  end if;
  insert into videos.uploads (id, owner_id, content_type, bytes, project_id, folder, created_at, expires_at)
  values (
    v_id, p_user_id, p_content_type, p_bytes, p_project_id,
    (select u.reference || '/' || v_id from accounts.users as u where u.id = p_user_id),
    v_now, v_now + videos.upload_url_lives()
  )
  returning * into upload;
  perform queue.add('tidy_upload', v_id, p_user_id, videos.upload_closes_at(upload));
end;
$$;

create function videos.uses_upload(p_user_id uuid, p_upload_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Whether a running job of that user is made from the upload. No running job is deleted, which is said for the index.
  select exists (
    select from videos.jobs as j
    where j.user_id = p_user_id and j.status in ('pending', 'processing') and j.deleted_at is null
      -- As their one picture, or among those of a model's own inputs.
      and (j.image_upload_id = p_upload_id or position(p_upload_id::text in j.settings::text) > 0)
  )
$$;

-- Until when a copy is needed at least: its job runs, and may go on beyond its bound. Null for one that is needed no more, and
-- for what a user brought.
create function videos.copy_needed_until(p_upload videos.uploads)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  select greatest(j.due_at, core.now()) from videos.jobs as j
  where j.id = (p_upload).job_id and j.completed_at is null
$$;

create function videos.untidy_files(p_upload videos.uploads)
returns text[]
language plpgsql
volatile
set search_path = ''
as $$
-- Paths of what storage has of an upload and nobody needs: all but the cleaned copy of one that is there for its user, or for
-- a job that runs.
declare
  v_folder constant text := (p_upload).folder || '/';
  v_kept constant text := case when videos.is_shown(p_upload, core.now()) or videos.copy_needed_until(p_upload) is not null
    then (p_upload).path end;
begin
  return array(
    select o.name from storage.objects as o
    where o.bucket_id = 'uploads' and o.name ^@ v_folder and o.name is distinct from v_kept
  );
end;
$$;

select core.keep_rows_out_of_logs('videos.uploads');

-- supabase/schemas/videos/sources.sql

-- What else a video is made from: another one of the same user's, and the pictures of a model's own inputs.

create function videos.refuse_sources(p_user_id uuid, p_source_job_id uuid, p_inputs jsonb, p_settings jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- Why a video cannot be made from these; null where it can. resource/not-found for what is another's, deleted or nowhere,
-- resource/wrong-state with its `status` for what is not ready. The caller has locked the account, so that nobody deletes
-- them meanwhile.
declare
  v_status text;
  v_upload_id uuid;
begin
  if p_source_job_id is not null then
    -- What the operator removed is shown to nobody, and nothing is made from it.
    select case when j.removed_at is null then j.status::text else 'removed' end into v_status
    from videos.jobs as j
    where j.id = p_source_job_id and j.user_id = p_user_id and j.deleted_at is null;
    if v_status is null then
      return guard.refusal('resource/not-found');
    elsif v_status <> 'completed' then
      return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_status));
    elsif videos.stored_path(p_source_job_id) is null then
      return guard.refusal('resource/not-found');
    end if;
  end if;
  for v_upload_id in select p.id from videos.pictures_in(p_inputs, p_settings) as p (id) loop
    v_status := (videos.find_upload(p_user_id, v_upload_id, core.now())).status;
    if v_status is null then
      return guard.refusal('resource/not-found');
    elsif v_status <> 'ready' then
      return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_status));
    end if;
  end loop;
  return null;
end;
$$;

-- Where the video of a job is in storage; null where it is not.
create function videos.stored_path(p_job_id uuid)
returns text
language sql
stable
set search_path = ''
as $$
  select a.path from videos.assets as a where a.job_id = p_job_id and a.kind = 'video' and a.deleted_at is null
$$;

create function videos.is_source(p_user_id uuid, p_job_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Whether a running job of that user is made from this one. No running job is deleted, which is said for the index.
  select exists (
    select from videos.jobs as j
    where j.user_id = p_user_id and j.status in ('pending', 'processing') and j.deleted_at is null
      and j.source_job_id = p_job_id
  )
$$;

create function videos.files_for(p_job videos.jobs, p_now timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- The files that a job is made from beside its picture, `{ source_path, picture_paths, files_seconds }`: the video in the bucket
-- of videos, pictures in that of uploads by the ids that stand among the settings, and how long a URL of them has to live. Null
-- for a job that needs none.
declare
  v_pictures jsonb;
begin
  if videos.inputs_in(p_job.settings) <> '{}' then
    select jsonb_object_agg(u.id, u.path) into v_pictures
    from videos.models as m
    cross join lateral videos.pictures_in(m.inputs, p_job.settings) as p (id)
    join videos.uploads as u on u.id = p.id
    where m.id = p_job.model_id;
  end if;
  if p_job.source_job_id is null and v_pictures is null then
    return null;
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    -- What was removed after the job was accepted is there still for a while, and under a legal hold for long.
    'source_path', (
      select videos.stored_path(j.id) from videos.jobs as j where j.id = p_job.source_job_id and j.removed_at is null
    ),
    'picture_paths', v_pictures,
    -- It starts by then, or never.
    'files_seconds', greatest(60, ceil(extract(epoch from p_job.due_at - p_now)))
  ));
end;
$$;

-- supabase/schemas/videos/image-copies.sql

-- Copies of what an `image_url` leads to. A worker fetches it once, before anybody judges it; what is judged and what a provider
-- gets is the copy, an upload of its job's. It is in no list and in no quota, and goes when its job has ended.

-- How long a picture whose host does not answer is asked for: about as long as its user looks at the screen.
create function videos.image_patience()
returns interval
language sql
immutable
return interval '2 minutes';

create function videos.begin_copy(p_job videos.jobs, p_now timestamptz)
returns videos.uploads
language plpgsql
volatile
set search_path = ''
as $$
-- Makes the upload that the copy of a job's picture is to be, and the task that tidies up after it. The job names it from now on.
-- The caller has locked the job. Locks: task.
declare
  v_id constant uuid := core.new_id();
  v_upload videos.uploads;
begin
  insert into videos.uploads (id, owner_id, folder, created_at, expires_at, job_id)
  values (
    v_id, p_job.user_id,
    (select u.reference || '/' || v_id from accounts.users as u where u.id = p_job.user_id),
    -- Nobody begins to fetch it after the bound.
    p_now, p_job.due_at, p_job.id
  )
  returning * into v_upload;
  update videos.jobs as j set image_upload_id = v_id where j.id = p_job.id;
  perform queue.add('tidy_upload', v_id, p_job.user_id, videos.upload_closes_at(v_upload), p_request_id => p_job.request_id);
  return v_upload;
end;
$$;

-- What a worker does to a job's picture before the job is claimed: signs a URL of the copy that lives until the job must have
-- started, `{ image_path, image_seconds }`; or fetches it, `{ image_url, image_folder, image_upload_id }`.
create function videos.image_to_do(p_job videos.jobs, p_upload videos.uploads, p_now timestamptz)
returns jsonb
language sql
immutable
return case
  when (p_upload).status = 'ready' then jsonb_build_object(
    'image_path', (p_upload).path, 'image_seconds', greatest(60, ceil(extract(epoch from (p_job).due_at - p_now)))
  )
  else jsonb_build_object(
    'image_url', (p_job).image_url, 'image_folder', (p_upload).folder, 'image_upload_id', (p_upload).id
  )
end;

create function videos.ask_for_image(p_job videos.jobs, p_now timestamptz)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- What videos.image_to_do says of a job that is made from a picture. The caller has locked the job. Locks: task.
declare
  v_upload videos.uploads;
begin
  if p_job.image_upload_id is null then
    v_upload := videos.begin_copy(p_job, p_now);
  else
    select u.* into v_upload from videos.uploads as u where u.id = p_job.image_upload_id;
  end if;
  return videos.image_to_do(p_job, v_upload, p_now);
end;
$$;

-- supabase/schemas/videos/providers.sql

create type videos.breaker_state as enum ('closed', 'open', 'half_open');

create table videos.providers (
  name text primary key check (name in ('fal', 'replicate', 'runway')),
  is_enabled boolean not null default true,
  -- Jobs with it at once; more wait in our queue, where they can still be cancelled. Providers start new accounts low.
  max_in_flight integer not null default 40 check (max_in_flight >= 0),
  -- US cents a day in UTC; null for no cap, which only the operator writes. What is stolen within a day, by whatever
  -- hole, is bounded by it before anybody has thought of it.
  daily_cap_cents bigint default 5000 check (daily_cap_cents >= 0),
  -- The breaker opens after so many failures in a row, lets one submission through after so many seconds, and closes
  -- after so many successes.
  failures_to_open integer not null default 5 check (failures_to_open > 0),
  open_seconds integer not null default 60 check (open_seconds > 0),
  successes_to_close integer not null default 2 check (successes_to_close > 0),
  breaker videos.breaker_state not null default 'closed',
  failures integer not null default 0,
  successes integer not null default 0,
  opened_at timestamptz,
  -- It asked to be left alone until then: others are asked meanwhile, for all jobs.
  busy_until timestamptz,
  -- Half open, one submission is on its way; until when it is waited for.
  probe_until timestamptz,
  -- Jobs in a row that it took and had not finished when their bound was over. So many open the breaker too, and then
  -- only a job that it finishes closes it: to take one proves nothing.
  unfinished integer not null default 0
);
alter table videos.providers enable row level security;
comment on table videos.providers is 'The providers: their limits, which the operator sets, and their circuit breakers.';

create table videos.spending (
  provider text not null references videos.providers,
  day date not null,
  cents numeric not null default 0 check (cents >= 0),
  primary key (provider, day)
);
alter table videos.spending enable row level security;
comment on table videos.spending is
  'What a day''s submissions cost: counted when they are claimed, given back when it is known that they are not billed.';

-- What a provider takes for a video, in US cents.
create function videos.cost_cents(p_offer videos.model_providers, p_model videos.models, p_settings jsonb)
returns numeric
language sql
immutable
return (p_offer).cost_cents * case (p_model).pricing_type
  when 'per_second' then (p_settings ->> 'duration_seconds')::numeric else 1
end * case when videos.inputs_in(p_settings) = '{}' then 1
  else videos.cost_factor(p_offer, (p_model).inputs, p_settings)
end;

create view videos.money_left with (security_invoker = true) as
select v.name as provider, v.daily_cap_cents - coalesce(s.cents, 0) as cents
from videos.providers as v
left join videos.spending as s on s.provider = v.name and s.day = (core.now() at time zone 'UTC')::date
where v.is_enabled;
comment on view videos.money_left is 'What each provider may still cost today; null where nothing caps it.';

create function videos.admit_submission(p_provider text, p_cost numeric)
returns date
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a provider one more job, if it may have one: counts its cost and, half open, takes its one place. Returns the
-- day on which the cost is counted; null where the provider gets no job. Locks: the provider's row, so that caps hold
-- under any number of claims at once.
declare
  v_provider videos.providers;
  v_now timestamptz;
begin
  select v.* into v_provider from videos.providers as v where v.name = p_provider for update;
  v_now := core.now();
  if not found
    -- Which a rule of the operator's may turn off.
    or not ops.is_enabled('providers.' || p_provider)
    or v_provider.busy_until > v_now
    or (v_provider.breaker = 'open'
      and v_provider.opened_at > v_now - make_interval(secs => v_provider.open_seconds))
    or (v_provider.breaker = 'half_open' and v_provider.probe_until > v_now)
    -- Of one that finishes nothing, one job at a time finds out whether it does again.
    or (v_provider.breaker <> 'closed' and v_provider.unfinished >= v_provider.failures_to_open and exists (
      select from videos.submissions as s
      join videos.jobs as j on j.id = s.job_id
      where s.provider = p_provider and s.state in ('sending', 'accepted', 'unknown') and j.completed_at is null
        and s.claimed_at > v_provider.opened_at
    ))
    or not exists (
      select from videos.money_left as m where m.provider = p_provider and coalesce(m.cents >= p_cost, true)
    )
    or v_provider.max_in_flight <= (
      select count(*)
      from videos.submissions as s
      join videos.jobs as j on j.id = s.job_id
      where s.provider = p_provider and s.state in ('sending', 'accepted', 'unknown') and j.completed_at is null
    )
  then
    return null;
  end if;

  if v_provider.breaker <> 'closed' then
    update videos.providers as v
    set breaker = 'half_open', successes = case v.breaker when 'open' then 0 else v.successes end,
        probe_until = v_now + make_interval(secs => v.open_seconds)
    where v.name = p_provider;
  end if;
  insert into videos.spending as s (provider, day, cents)
  values (p_provider, (v_now at time zone 'UTC')::date, p_cost)
  on conflict (provider, day) do update set cents = s.cents + excluded.cents;
  return (v_now at time zone 'UTC')::date;
end;
$$;

create function videos.note_bill(p_submission_id uuid, p_is_billed boolean)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a submission's cost back to the day on which it was counted, once it is known that the provider does not bill
-- it; counts it again, today, where it did after all. Once each: a second call changes nothing. Nobody calls it about
-- what may have been billed, which stays counted. The caller has locked the job. Locks: submission → provider → its
-- spending → ops.stat_sums.
declare
  v_submission videos.submissions;
  v_today constant date := (core.now() at time zone 'UTC')::date;
begin
  select s.* into v_submission from videos.submissions as s where s.id = p_submission_id for update;
  if p_is_billed = (v_submission.counted_on is not null) then
    return;
  end if;
  -- As admit_submission does: first the provider, then its spending.
  perform from videos.providers as v where v.name = v_submission.provider for update;
  if p_is_billed then
    insert into videos.spending as s (provider, day, cents)
    values (v_submission.provider, v_today, v_submission.cost_cents)
    on conflict (provider, day) do update set cents = s.cents + excluded.cents;
  else
    -- Not below zero, also where the operator has changed the day's sum.
    update videos.spending as s
    set cents = greatest(0, s.cents - v_submission.cost_cents)
    where s.provider = v_submission.provider and s.day = v_submission.counted_on;
  end if;
  update videos.submissions as s
  set counted_on = case when p_is_billed then v_today end
  where s.id = p_submission_id;
  perform ops.forget_stats(v_submission.claimed_at);
end;
$$;

create function videos.note_submission(p_submission videos.submissions, p_outcome jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What a submission's outcome tells about its provider. Only unavailability counts against it: no answer, or one that
-- proves it did not take the job; not a refusal of the request, and not being busy. What it did not take, or refused
-- before it made anything, is not billed. Who is busy, or names a time, is left alone until then. While all is well
-- nothing is written. Locks: submission → provider → its spending.
declare
  v_outcome constant text := p_outcome ->> 'outcome';
  v_is_busy constant boolean := coalesce((p_outcome ->> 'is_busy')::boolean, false);
  v_wait constant numeric := (p_outcome ->> 'retry_after_seconds')::numeric;
begin
  if v_outcome in ('not_accepted', 'refused') then
    perform videos.note_bill(p_submission.id, false);
  end if;
  if v_outcome = 'not_accepted' and (v_is_busy or v_wait > 0) then
    update videos.providers as v
    -- 5 s where it names no time; no longer than an hour, whatever it names.
    set busy_until = greatest(
          v.busy_until, core.now() + make_interval(secs => least(coalesce(v_wait, 5), 3600)::double precision)
        )
    where v.name = p_submission.provider;
  end if;
  if v_outcome = 'not_accepted' and v_is_busy then
    update videos.providers as v
    set probe_until = null
    where v.name = p_submission.provider and v.breaker = 'half_open';
  elsif v_outcome in ('not_accepted', 'unknown') then
    update videos.providers as v
    set failures = v.failures + 1,
        breaker = (case when v.breaker = 'half_open' or v.failures + 1 >= v.failures_to_open then 'open' else v.breaker
          end)::videos.breaker_state,
        opened_at = case when v.breaker = 'half_open' or v.failures + 1 >= v.failures_to_open then core.now()
          else v.opened_at end,
        probe_until = null
    where v.name = p_submission.provider and v.breaker <> 'open';
  else
    update videos.providers as v
    set failures = 0, successes = v.successes + 1, probe_until = null,
        breaker = (case when v.breaker = 'half_open' and v.successes + 1 < v.successes_to_close then 'half_open'
          else 'closed' end)::videos.breaker_state
    where v.name = p_submission.provider and v.unfinished < v.failures_to_open
      and (v.breaker = 'half_open' or v.failures > 0);
  end if;
end;
$$;

create function videos.note_unfinished(p_job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A job's bound is over while a provider has it, which counts against that provider: one that takes everything and
-- finishes nothing is as good as away. The caller has locked the job. Locks: provider.
begin
  update videos.providers as v
  set unfinished = v.unfinished + 1,
      breaker = (case when v.breaker <> 'closed' or v.unfinished + 1 >= v.failures_to_open then 'open' else 'closed'
        end)::videos.breaker_state,
      opened_at = case when v.breaker <> 'open' and (v.breaker = 'half_open' or v.unfinished + 1 >= v.failures_to_open)
        then core.now() else v.opened_at end,
      probe_until = null
  where v.name in (select s.provider from videos.submissions as s where s.job_id = p_job_id and s.state = 'accepted');
end;
$$;

create function videos.note_finished(p_provider text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A provider said how a job ended: it works. Where nothing but that had opened its breaker, jobs go there again, one
-- after the other first. While all is well nothing is written. Locks: provider.
begin
  update videos.providers as v
  set unfinished = 0, probe_until = null, successes = 0,
      breaker = (case when v.breaker <> 'closed' and v.unfinished >= v.failures_to_open then 'half_open' else v.breaker
        end)::videos.breaker_state
  where v.name = p_provider and v.unfinished > 0;
end;
$$;

-- What providers say of our account, where they say it.
create table videos.provider_accounts (
  provider text primary key references videos.providers,
  -- US cents; null where the provider does not say.
  balance_cents numeric,
  -- It takes no more jobs from us.
  is_locked boolean not null,
  asked_at timestamptz not null
);
alter table videos.provider_accounts enable row level security;
comment on table videos.provider_accounts is 'What is left at each provider, and whether it still works for us, as it says.';

-- A day's bill as the provider tells it, beside what we counted.
create table videos.provider_bills (
  provider text not null references videos.providers,
  -- In UTC.
  day date not null,
  billed_cents numeric not null check (billed_cents >= 0),
  counted_cents numeric not null check (counted_cents >= 0),
  asked_at timestamptz not null,
  primary key (provider, day)
);
alter table videos.provider_bills enable row level security;
comment on table videos.provider_bills is 'What providers billed for a day, and what its submissions cost by our count.';

create function videos.note_provider_account(
  p_provider text, p_balance_cents numeric, p_is_locked boolean, p_day date, p_billed_cents numeric
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Notes what a provider says of our account; null is what it does not say. A day that was noted before is noted anew: bills
-- are late. A day on which it gave back more than it took costs nothing. Locks: the provider's account → the bill.
declare
  v_now constant timestamptz := core.now();
begin
  insert into videos.provider_accounts as a (provider, balance_cents, is_locked, asked_at)
  values (p_provider, p_balance_cents, p_is_locked, v_now)
  on conflict (provider) do update
    set balance_cents = excluded.balance_cents, is_locked = excluded.is_locked, asked_at = excluded.asked_at;
  if p_billed_cents is not null then
    insert into videos.provider_bills as b (provider, day, billed_cents, counted_cents, asked_at)
    values (p_provider, p_day, greatest(0, p_billed_cents), coalesce((
      select s.cents from videos.spending as s where s.provider = p_provider and s.day = p_day
    ), 0), v_now)
    on conflict (provider, day) do update
      set billed_cents = excluded.billed_cents, counted_cents = excluded.counted_cents, asked_at = excluded.asked_at;
  end if;
end;
$$;

create function videos.ask_for_accounts()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `read_provider_accounts`: has a worker ask the providers. One task at a time, under a subject that
-- never changes. What a provider has not said for a day is true no more: it is forgotten, and the operator is told once that
-- nobody watches that account. Locks: the task → accounts → alerts.
declare
  v_silent videos.provider_accounts;
begin
  perform queue.add('read_provider_accounts', '00000000-0000-7000-8000-000000000022', null, core.now());
  for v_silent in
    delete from videos.provider_accounts as a where a.asked_at <= core.now() - interval '1 day' returning a.*
  loop
    perform ops.raise_alert('provider_account_unknown', v_silent.provider, jsonb_build_object(
      'asked_at', core.to_iso(v_silent.asked_at)
    ));
  end loop;
end;
$$;

create function videos.give_up_accounts(p_subject uuid, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Nobody asked the providers, in all tries: no dead letter is left, since the next task asks anew. What was said last stands,
-- with its time. Locks: the task.
begin
  perform queue.drop(p_subject, '{read_provider_accounts}');
end;
$$;

-- supabase/schemas/videos/offers.sql

-- Which provider can make what.

-- How long a prompt is in UTF-16 units: a character beyond the first 65,536 is two of them.
create function videos.prompt_units(p_prompt text)
returns integer
language sql
immutable
return char_length(p_prompt) + regexp_count(p_prompt, '[\U00010000-\U0010ffff]');

-- Whether a provider takes settings, defaults included, and an image or none, as far as its row says.
create function videos.takes_settings(p_offer videos.model_providers, p_settings jsonb, p_image_url text)
returns boolean
language sql
stable
return ((p_offer).takes = '{}' or (
  coalesce((p_offer).takes -> 'duration_seconds' @> (p_settings -> 'duration_seconds'), true)
  and coalesce((p_offer).takes -> 'resolution' @> (p_settings -> 'resolution'), true)
  and coalesce((p_offer).takes -> 'aspect_ratio' @> (p_settings -> 'aspect_ratio'), true)
  -- Not to_jsonb, which is not immutable: this function would not be inlined.
  and coalesce((p_offer).takes -> 'image' @> case when p_image_url is null then jsonb 'false' else 'true' end, true)
)) and (videos.inputs_in(p_settings) = '{}' or videos.takes_inputs(p_offer, p_settings));

-- Whether a provider takes a prompt of this length.
create function videos.takes_prompt(p_offer videos.model_providers, p_prompt text)
returns boolean
language sql
immutable
return (p_offer).prompt_max_units is null or (p_offer).prompt_max_units >= videos.prompt_units(p_prompt);

-- Those of p_providers, null being all, that may be asked for a job, now or later: enabled, able to make it, and none
-- that refused it.
create function videos.candidates(p_job videos.jobs, p_providers text[])
returns setof videos.model_providers
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select p.*
  from videos.model_providers as p
  join videos.providers as v on v.name = p.provider and v.is_enabled
  where p.model_id = p_job.model_id and (p_providers is null or p.provider = any (p_providers))
    and videos.takes_settings(p, p_job.settings, coalesce(p_job.image_url, p_job.image_upload_id::text)) and videos.takes_prompt(p, p_job.prompt)
    and not exists (
      select from videos.submissions as s
      where s.job_id = p_job.id and s.provider = p.provider and s.state = 'refused'
    );
end;
$$;

create function videos.is_offered(
  p_model videos.models, p_prompt text, p_settings jsonb, p_image_url text, p_providers text[]
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether one of p_providers, null being all, may be asked for a video today: it is enabled, takes the request, and has
-- money left for it. One after the other, since the first nearly always does.
declare
  v_found record;
  v_offer videos.model_providers;
begin
  for v_found in
    select p as offer, m.cents
    from videos.model_providers as p
    join videos.money_left as m on m.provider = p.provider
    where p.model_id = p_model.id
    order by p.preference
  loop
    v_offer := v_found.offer;
    -- One question after the other: most have an answer that costs nothing, and are then not even prepared.
    if p_providers is not null then
      continue when not coalesce(v_offer.provider = any (p_providers), false);
    end if;
    if v_offer.takes <> '{}' or videos.inputs_in(p_settings) <> '{}' then
      continue when not videos.takes_settings(v_offer, p_settings, p_image_url);
    end if;
    if v_offer.prompt_max_units is not null then
      continue when not videos.takes_prompt(v_offer, p_prompt);
    end if;
    if v_found.cents is not null then
      continue when v_found.cents < videos.cost_cents(v_offer, p_model, p_settings);
    end if;
    return true;
  end loop;
  return false;
end;
$$;

create function videos.least_cents(p_provider text)
returns numeric
language plpgsql
stable
set search_path = ''
as $$
-- What the cheapest video costs with a provider, in US cents: the shortest that it takes of each model that is offered, with
-- every input that makes it cheaper. Null where it makes none. Takes no lock.
declare
  v_offer record;
  v_factor numeric;
  v_cents numeric;
  v_least numeric;
begin
  for v_offer in
    select p.cost_cents, p.inputs, m.pricing_type, d.seconds
    from videos.model_providers as p
    join videos.models as m on m.id = p.model_id and m.is_available
    cross join lateral (
      select min(o.value::numeric) as seconds
      from jsonb_array_elements(m.options #> '{duration_seconds,values}') as o (value)
      where coalesce(p.takes -> 'duration_seconds' @> o.value, true)
    ) as d
    where p.provider = p_provider and d.seconds is not null
  loop
    v_cents := v_offer.cost_cents * case v_offer.pricing_type when 'per_second' then v_offer.seconds else 1 end;
    for v_factor in select (i.value ->> 'cost_factor')::numeric from jsonb_each(v_offer.inputs) as i loop
      v_cents := v_cents * least(v_factor, 1);
    end loop;
    v_least := least(v_least, v_cents);
  end loop;
  return v_least;
end;
$$;

-- How many seconds all that may be asked for a job want to be left alone; 0 where one does not.
create function videos.busy_seconds(p_job videos.jobs, p_providers text[])
returns numeric
language sql
stable
set search_path = ''
as $$
  select coalesce(min(greatest(0, extract(epoch from v.busy_until - core.now()))), 0)
  from (
    -- A provider that asked for no time has none.
    select coalesce(v.busy_until, core.now()) as busy_until
    from videos.candidates(p_job, p_providers) as c
    join videos.providers as v on v.name = c.provider
  ) as v
$$;

create function videos.unmakeable(p_model videos.models, p_prompt text, p_settings jsonb, p_image_url text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- What is wrong with a request that no provider of the model takes, as `[{ path, message }]`; empty where one does, and
-- where the model has no provider that is enabled.
declare
  v_offers integer;
  v_fitting integer;
  v_taking integer;
  v_units integer;
begin
  select count(*), count(*) filter (where f.fits), count(*) filter (where f.fits and f.takes_prompt),
    max(f.prompt_max_units) filter (where f.fits)
  into v_offers, v_fitting, v_taking, v_units
  from (
    select p.prompt_max_units, videos.takes_settings(p, p_settings, p_image_url) as fits,
      videos.takes_prompt(p, p_prompt) as takes_prompt
    from videos.model_providers as p
    join videos.providers as v on v.name = p.provider and v.is_enabled
    where p.model_id = p_model.id
  ) as f;
  return case
    when v_offers = 0 or v_taking > 0 then '[]'
    when v_fitting = 0 then '[{"path": "settings", "message": "This model does not make these settings together"}]'
    else jsonb_build_array(jsonb_build_object(
      'path', 'prompt', 'message', format('This model takes at most %s characters', v_units)
    ))
  end;
end;
$$;

create function videos.prompt_max_units(p_model_id uuid)
returns integer
language plpgsql
stable
set search_path = ''
as $$
-- The longest prompt that one of a model's providers takes, in UTF-16 units; null where that is no less than the API's.
begin
  return (
    select case when max(coalesce(p.prompt_max_units, 2000)) < 2000 then max(p.prompt_max_units) end
    from videos.model_providers as p
    join videos.providers as v on v.name = p.provider and v.is_enabled
    where p.model_id = p_model_id
  );
end;
$$;

create function videos.processors(p_model_id uuid, p_moderated_by text)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
-- Who may get a prompt and an image for a model, by name and in order: the providers that are enabled, and the service that
-- judges prompts, if one does.
begin
  return array(
    select p.provider
    from videos.model_providers as p
    join videos.providers as v on v.name = p.provider
    where p.model_id = p_model_id and v.is_enabled
    union
    select p_moderated_by where p_moderated_by is not null
    order by 1
  );
end;
$$;

-- A model as the catalogue shows it.
create function videos.model_json(p_model videos.models, p_moderated_by text default null)
returns jsonb
language sql
stable
return jsonb_build_object(
  'id', (p_model).id, 'name', (p_model).name, 'description', (p_model).description, 'category', (p_model).category,
  'thumbnail_url', (p_model).thumbnail_url, 'is_featured', (p_model).is_featured,
  'requires_image', (p_model).requires_image,
  'processed_by', to_jsonb(videos.processors((p_model).id, p_moderated_by)),
  'pricing', jsonb_build_object('type', (p_model).pricing_type, 'credits', (p_model).credits),
  'options', (p_model).options
    || jsonb_strip_nulls(jsonb_build_object('prompt_max_characters', videos.prompt_max_units((p_model).id))),
  'inputs', (p_model).inputs
);

-- A model as the operator sees it: who gets the prompt, `providers_json` says.
create function videos.record_json(p_model videos.models)
returns jsonb
language sql
stable
return videos.model_json(p_model) - 'processed_by' || jsonb_build_object('is_available', (p_model).is_available);

-- The providers of a model in the order in which they are asked, and whether they get jobs now.
create function videos.providers_json(p_model_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'provider', p.provider, 'is_enabled', v.is_enabled, 'breaker', v.breaker, 'cost_cents', p.cost_cents
  ) order by p.preference), '[]')
  from videos.model_providers as p
  join videos.providers as v on v.name = p.provider
  where p.model_id = p_model_id
$$;

-- How many models are offered that nobody can make now: of their providers none is among p_providers, null being all,
-- enabled, and without an open breaker.
create function videos.models_without_provider(p_providers text[])
returns integer
language sql
stable
set search_path = ''
as $$
  select count(*)::integer
  from videos.models as m
  where m.is_available and not exists (
    select from videos.model_providers as p
    join videos.providers as v on v.name = p.provider
    where p.model_id = m.id and v.is_enabled and v.breaker <> 'open'
      and (p_providers is null or p.provider = any (p_providers))
  )
$$;

-- supabase/schemas/videos/settlement.sql

create function videos.settle_video_job(
  p_job_id uuid, p_status videos.job_status, p_error_code text default null, p_error_details jsonb default '{}'
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Ends a job: captures its hold when it is completed, else releases it, in the same transaction. True when this
-- call ended it; a job that has ended stays as it is, and the call changes nothing. Its open tasks are deleted; where
-- an attempt to store its video may have left files, a `delete_files` task removes them.
-- A job of a closed account ends as cancelled, whatever p_status says.
-- Locks: account → job → lots → hits → tasks.
begin
  return videos.settle_locked_job(videos.lock_job(p_job_id), p_status, p_error_code, p_error_details);
end;
$$;

create function videos.settle_locked_job(
  p_job videos.jobs, p_status videos.job_status, p_error_code text default null, p_error_details jsonb default '{}',
  p_urls jsonb default '{}'
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- videos.settle_video_job for who has just locked the job, with its account. p_urls: `{ video_url, thumbnail_url,
-- video_url_expires_at }` of a completed one. Locks: lots → hits → tasks.
declare
  v_status videos.job_status;
  v_now timestamptz;
begin
  if p_job.completed_at is not null then
    return false;
  end if;
  v_status := case when videos.is_abandoned(p_job) then 'cancelled' else p_status end;
  v_now := core.now();

  if v_status = 'completed' then
    perform credits.capture(p_job.id);
    -- It is paid for. A job was accepted at the time of its hit.
    perform guard.give_back('uncaptured_jobs', p_job.user_id, p_job.created_at);
  else
    perform credits.release(p_job.id);
  end if;
  update videos.jobs as j
  set status = v_status,
      credits_used = case when v_status = 'completed' then j.credits_used else 0 end,
      error_code = case when v_status = 'failed' then p_error_code end,
      error_details = case when v_status = 'failed' then p_error_details end,
      completed_at = v_now,
      due_at = null,
      video_url = case when v_status = 'completed' then p_urls ->> 'video_url' end,
      thumbnail_url = case when v_status = 'completed' then p_urls ->> 'thumbnail_url' end,
      video_url_expires_at = case when v_status = 'completed' then (p_urls ->> 'video_url_expires_at')::timestamptz end
  where j.id = p_job.id;
  if v_status <> 'completed' and p_job.storing_at is not null then
    -- A worker that still stores it is done by then, or asks for it itself.
    perform videos.add_task('delete_files', p_job, greatest(v_now, queue.attempt_ends_at('store', p_job.id)));
  end if;
  perform queue.drop(p_job.id, '{submit,poll,cancel,store,fingerprint}');
  return true;
end;
$$;

create function videos.note_unbilled(p_job videos.jobs, p_submission_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The provider says that a submission of this job ended without a bill. Of one that succeeded, whenever that was said,
-- it is not believed. The caller has locked the job.
begin
  if p_job.storing_at is null and p_job.late_success_at is null then
    perform videos.note_bill(p_submission_id, false);
  end if;
end;
$$;

create function videos.apply_state(
  p_job videos.jobs, p_submission videos.submissions, p_state jsonb
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What a provider's word means for a job, and for the day's spending. The caller has locked account and job, has read the
-- submission after that, and proved that the word is about it. Idempotent, and indifferent to the order in which words arrive.
declare
  v_now constant timestamptz := core.now();
  v_state constant text := p_state ->> 'state';
  -- A provider that has just taken a request may not find it everywhere at once.
  v_may_be_missing constant interval := '2 minutes';
begin
  if v_state = 'unreachable' then
    return;
  end if;
  if (v_state = 'not_found') <> (p_submission.missing_since is not null) then
    update videos.submissions as s
    set missing_since = case v_state when 'not_found' then v_now end
    where s.id = p_submission.id;
  end if;
  if v_state in ('succeeded', 'failed') then
    perform videos.note_finished(p_submission.provider);
  end if;
  if v_state in ('succeeded', 'failed', 'cancelled') then
    update videos.submissions as s
    set state = 'ended', ended_at = v_now, cause = coalesce(p_state #>> '{failure,cause}', s.cause)
    where s.id = p_submission.id and s.state <> 'ended';
  end if;
  if v_state = 'succeeded' then
    if p_submission.counted_on is null then
      perform videos.note_bill(p_submission.id, true);
    end if;
  elsif (p_state ->> 'is_unbilled')::boolean then
    perform videos.note_unbilled(p_job, p_submission.id);
  end if;

  if p_job.completed_at is not null then
    if v_state = 'succeeded' and p_job.status <> 'completed' then
      update videos.jobs as j
      set late_success_at = v_now
      where j.id = p_job.id and j.late_success_at is null;
    end if;
    return;
  end if;
  -- From here on only storing decides.
  if p_job.storing_at is not null then
    return;
  end if;

  if v_state = 'running' then
    update videos.jobs as j
    set started_at = coalesce(j.started_at, v_now),
        -- Words may come in any order, and providers estimate: it never goes back, so that no tenth is told twice.
        percent = greatest((p_state ->> 'percent')::smallint, j.percent),
        due_at = case when j.started_at is null then v_now + m.finish_within else j.due_at end
    from videos.models as m
    where j.id = p_job.id and m.id = j.model_id;
  elsif v_state = 'succeeded' and videos.is_abandoned(p_job) then
    update videos.jobs as j set late_success_at = v_now where j.id = p_job.id;
    perform videos.settle_video_job(p_job.id, 'cancelled');
  elsif v_state = 'succeeded' then
    update videos.jobs as j
    set storing_at = v_now, due_at = null, started_at = coalesce(j.started_at, v_now)
    where j.id = p_job.id;
    perform queue.drop(p_job.id, '{poll,cancel}');
    perform videos.add_task('store', p_job, v_now, jsonb_build_object(
      'video_url', p_state -> 'video_url', 'thumbnail_url', p_state -> 'thumbnail_url'
    ));
  elsif v_state = 'failed' then
    perform videos.settle_video_job(
      p_job.id, 'failed', p_state #>> '{failure,code}', coalesce(p_state #> '{failure,details}', '{}')
    );
  elsif v_state = 'cancelled' then
    if p_job.due_at <= v_now then
      perform videos.note_unfinished(p_job.id);
      perform videos.settle_video_job(p_job.id, 'failed', core.error_code('provider/timed-out'));
    elsif p_job.cancel_requested_at is not null then
      perform videos.settle_video_job(p_job.id, 'cancelled');
    else
      -- Nobody here asked for it, so to the user it is the provider's failure.
      perform videos.settle_video_job(p_job.id, 'failed', core.error_code('provider/unavailable'));
    end if;
  elsif v_state = 'not_found' and p_submission.state = 'accepted'
    and (p_submission.missing_since <= v_now - v_may_be_missing or videos.is_abandoned(p_job))
  then
    -- It had the job and knows it no more, whenever it is asked: there will be no video. Of a closed account nobody
    -- waits for it.
    perform videos.settle_video_job(p_job.id, 'failed', core.error_code('provider/unavailable'));
  end if;
end;
$$;

create function videos.settle_overdue_job(p_job videos.jobs)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The end of a job whose bound is over; the caller has locked it. Locks: provider, and what settling takes.
begin
  if not videos.is_abandoned(p_job) then
    perform videos.note_unfinished(p_job.id);
  end if;
  perform videos.settle_video_job(p_job.id, 'failed', case
    when exists (
      select from videos.submissions as s
      where s.job_id = p_job.id and s.state in ('sending', 'accepted', 'unknown')
    ) then core.error_code('provider/timed-out')
    else core.error_code('provider/unavailable')
  end);
end;
$$;

create function videos.overdue_jobs(p_limit integer)
returns setof uuid
language plpgsql
stable
set search_path = ''
as $$
-- Jobs whose bound is over, the longest overdue first, up to p_limit. One whose `cancel` task is open waits for it, for 5
-- minutes.
declare
  -- Not in the query: a volatile function cannot be looked up in an index.
  v_now constant timestamptz := core.now();
begin
  return query
  select j.id
  from videos.jobs as j
  where j.completed_at is null and j.due_at <= v_now
    and (j.due_at <= v_now - interval '5 minutes' or not queue.has_open('cancel', j.id))
  order by j.due_at
  limit p_limit;
end;
$$;

create function videos.enforce_deadline(p_job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a `cancel` task for a job whose bound is over, and settles it where that task died or came to nothing for 5
-- minutes. A job that is not overdue stays as it is. Raises lock_not_available where somebody has the account.
-- Locks: account, not waited for → job, and what settling takes.
declare
  v_now timestamptz;
  v_job videos.jobs;
begin
  perform credits.try_account(j.user_id) from videos.jobs as j where j.id = p_job_id;
  v_job := videos.lock_job(p_job_id);
  v_now := core.now();
  if v_job.due_at is null or v_job.due_at > v_now then
    return;
  end if;
  if v_job.due_at <= v_now - interval '5 minutes' or exists (
    select from queue.tasks as t
    where t.kind = 'cancel' and t.subject = p_job_id and t.failed_at >= v_job.due_at
  ) then
    perform videos.settle_overdue_job(v_job);
  else
    perform videos.add_task('cancel', v_job, v_now);
  end if;
end;
$$;

-- What a `store` task that has no try left means: its job ends, and the credits go back.
create function videos.fail_unstored_job(p_job_id uuid, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  perform videos.settle_video_job(p_job_id, 'failed', core.error_code('storage/failed'));
  -- Nobody is at it any more.
  perform queue.hasten('delete_files', p_job_id);
end;
$$;

create function videos.refuse_result(p_job videos.jobs, p_task_id bigint, p_attempt integer, p_cause text)
returns videos.jobs
language plpgsql
volatile
set search_path = ''
as $$
-- What a provider made is not what was paid for: ends the job with provider/rejected and gives the credits back; what it cost
-- stays counted, since the provider bills it. What is in storage of it is removed. Returns the job as it is now. An attempt that
-- lost its lease ends nothing. The caller has locked the job. Locks: what settling takes → task.
declare
  v_job videos.jobs;
begin
  if p_job.completed_at is null and exists (
    select from queue.tasks as t where t.id = p_task_id and t.attempts = p_attempt
  ) then
    update videos.submissions as s set cause = p_cause where s.job_id = p_job.id and s.state = 'ended';
    perform videos.settle_locked_job(
      p_job, 'failed', core.error_code('provider/rejected'), '{"reason": "invalid_result"}'
    );
  end if;
  select j.* into v_job from videos.jobs as j where j.id = p_job.id;
  if v_job.completed_at is not null and v_job.status <> 'completed' then
    perform videos.add_task('delete_files', v_job, core.now());
  end if;
  return v_job;
end;
$$;

create function videos.erasable_at(p_user_id uuid)
returns timestamptz
language sql
volatile
set search_path = ''
as $$
  -- Whatever began before the account was closed, or before its last job ended, may write until its lease is over, and an
  -- upload's URL until it expires. A job that has not ended moves this time along.
  select greatest(u.closed_at, (
    select max(coalesce(j.completed_at, core.now()))
    from videos.jobs as j
    where j.user_id = p_user_id and j.deleted_at is null
  ), (
    select max(u.expires_at) from videos.uploads as u where u.owner_id = p_user_id
  )) + (select make_interval(secs => max(k.timeout_seconds)) from queue.kinds as k)
  from accounts.users as u
  where u.id = p_user_id and u.closed_at is not null
$$;

create function videos.abandon_jobs(p_user_id uuid, p_now timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Ends the jobs of an account that has just been closed: at once those that are pending or storing; the others get a
-- `cancel` task. The caller has locked the account. A second call finds them asked. Locks: jobs → lots → tasks.
declare
  v_job videos.jobs;
begin
  for v_job in
    select j.* from videos.jobs as j
    where j.user_id = p_user_id and j.deleted_at is null and j.completed_at is null
    order by j.id
    for update
  loop
    update videos.jobs as j
    set cancel_requested_at = coalesce(j.cancel_requested_at, p_now)
    where j.id = v_job.id;
    if v_job.status = 'pending' or v_job.storing_at is not null then
      perform videos.settle_video_job(v_job.id, 'cancelled');
    else
      -- A request that is still on its way has no id to cancel; its answer brings the task forward.
      perform videos.add_task('cancel', v_job, coalesce(videos.sending_until(v_job.id), p_now));
    end if;
  end loop;
end;
$$;

-- supabase/schemas/videos/removal.sql

-- What the operator removes: hidden at once; its file is fingerprinted, then deleted.

create function videos.reportable(p_job_id uuid)
returns videos.jobs
language plpgsql
stable
set search_path = ''
as $$
-- The job of such a video: completed, and not deleted by its user; else null. Of one that was removed there may be more to say.
declare
  v_job videos.jobs;
begin
  select j.* into v_job from videos.jobs as j where j.id = p_job_id and j.status = 'completed' and j.deleted_at is null;
  return v_job;
end;
$$;

create function videos.remove_job(p_job videos.jobs)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Hides a video that the caller has locked with its account: its user sees the job, why it was removed, and no URL. What was to
-- be made from it and is not sent yet ends, and its credits go back. A second call changes nothing. Locks: jobs → lots → tasks.
declare
  v_id uuid;
begin
  if p_job.removed_at is not null then
    return;
  end if;
  update videos.jobs as j
  set removed_at = core.now(), video_url = null, video_url_expires_at = null, thumbnail_url = null
  where j.id = p_job.id;
  for v_id in
    select j.id from videos.jobs as j
    where j.user_id = p_job.user_id and j.status = 'pending' and j.deleted_at is null and j.source_job_id = p_job.id
    order by j.id
    for update
  loop
    perform videos.settle_video_job(
      v_id, 'failed', core.error_code('video/removed'),
      jsonb_build_object('reason', (safety.removal_error(p_job.id)) #> '{details,reason}', 'appeal', 'none')
    );
  end loop;
  if exists (select from videos.assets as a where a.job_id = p_job.id and a.deleted_at is null) then
    perform videos.add_task('fingerprint', p_job, core.now());
  end if;
end;
$$;

create function videos.restore_job(p_job videos.jobs)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Shows a removed video again, that the caller has locked: whether its file is there still, and no worker may have begun to
-- delete it. Locks: tasks.
begin
  if not exists (
    select from videos.assets as a where a.job_id = p_job.id and a.kind = 'video' and a.deleted_at is null
  ) or queue.has_begun('delete_files', p_job.id) then
    return false;
  end if;
  perform queue.drop(p_job.id, case
    when p_job.deleted_at is null then '{fingerprint,delete_files}' else '{fingerprint}' end::text[]);
  if p_job.deleted_at is not null then
    -- Its user deleted it while it was removed: the fingerprint would have made this.
    perform videos.add_task('delete_files', p_job, core.now());
  end if;
  update videos.jobs as j set removed_at = null where j.id = p_job.id;
  return true;
end;
$$;

create function videos.complete_stored(p_job videos.jobs, p_assets jsonb, p_urls jsonb, p_quality smallint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Writes the assets of a job that the caller has locked, captures the hold and completes the job. p_assets and p_urls are as
-- in api.record_stored, p_quality as in videos.judge. Locks: lots → task.
begin
  insert into videos.assets (
    job_id, owner_id, kind, path, bytes, content_type, duration_milliseconds, width, height, quality, created_at
  )
  select p_job.id, p_job.user_id, a.kind, a.path, a.bytes, a.content_type, a.duration_milliseconds, a.width, a.height,
    case a.kind when 'video' then p_quality end, core.now()
  from jsonb_to_recordset(p_assets) as a (
    kind videos.asset_kind, path text, bytes bigint, content_type text,
    duration_milliseconds integer, width integer, height integer
  );
  perform videos.settle_locked_job(p_job, 'completed', p_urls => p_urls);
end;
$$;

create function videos.apply_fingerprint(p_job videos.jobs, p_payload jsonb, p_sha256 text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What the bytes of a video mean, for a job that the caller has locked. Of one that is removed they are remembered, and its
-- files deleted. One that was just stored is completed, or, where those very bytes were removed before, fails, and the
-- credits go back. Of a job that ended meanwhile, what is in storage is deleted. Locks: lots → tasks.
declare
  v_ground safety.ground;
begin
  if p_job.removed_at is not null then
    if p_sha256 is not null then
      perform safety.remember_file(p_job.id, p_sha256, a.bytes, a.duration_milliseconds)
      from videos.assets as a
      where a.job_id = p_job.id and a.kind = 'video';
    end if;
    perform videos.add_task('delete_files', p_job, core.now());
  elsif p_job.completed_at is null then
    v_ground := safety.ground_of_file(p_sha256);
    if v_ground is null then
      perform videos.complete_stored(
        p_job, p_payload -> 'assets', p_payload -> 'urls', (p_payload -> 'quality')::smallint
      );
    else
      perform videos.settle_locked_job(
        p_job, 'failed', core.error_code('video/removed'), jsonb_build_object('reason', v_ground, 'appeal', 'none')
      );
    end if;
  elsif p_job.status <> 'completed' then
    perform videos.add_task('delete_files', p_job, core.now());
  end if;
end;
$$;

-- What a `fingerprint` task that has no try left means. What is removed goes, known or not; nothing is completed unseen.
create function videos.give_up_fingerprint(p_job_id uuid, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job constant videos.jobs := videos.lock_job(p_job_id);
begin
  if v_job.removed_at is null then
    perform videos.fail_unstored_job(p_job_id, p_cause);
    return;
  end if;
  perform videos.add_task('delete_files', v_job, core.now());
  perform ops.raise_alert('fingerprint', p_job_id::text, '{"lost": "the same bytes will not be known again"}');
end;
$$;

create function videos.deletion_facts(p_job_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- What the handler of `delete_files` needs: videos.task_facts, and `is_held` where a legal hold keeps the files.
begin
  return videos.task_facts(p_job_id) || (
    select jsonb_build_object('is_held', safety.is_held(j.user_id)) from videos.jobs as j where j.id = p_job_id
  );
end;
$$;

-- supabase/schemas/videos/moderation.sql

-- A text folded so that one spelling stands for all that look like it: without case, accents, the dot of an i, width and
-- invisible characters, and in Latin letters where Cyrillic and Greek ones look like them.
create function videos.folded(p_text text)
returns text
language sql
immutable
return case
  -- ASCII, as nearly all prompts in English are.
  when octet_length(p_text) = char_length(p_text) then lower(p_text collate pg_catalog.pg_c_utf8)
  else translate(
    lower(
      -- Decomposed, so that accents are characters of their own. They go, and so does whatever is not seen.
      regexp_replace(
        normalize(p_text, nfkd),
        '[\u00AD\u0300-\u036F\u0483-\u0489\u061C\u064B-\u065F\u0670\u115F\u1160\u17B4\u17B5\u180B-\u180F\u1AB0-\u1AFF'
          '\u1DC0-\u1DFF\u200B-\u200F\u202A-\u202E\u2060-\u206F\u20D0-\u20FF\u3164\uFE00-\uFE0F\uFE20-\uFE2F\uFEFF'
          '\U000E0000-\U000E01EF]+', '', 'g'
      ) collate pg_catalog.pg_c_utf8
    ),
    'ıøłđаеорсухіјѕѵԁɡαορυνικτ', 'ioldaeopcyxijsvdgaopuvikt'
  )
end;

create function videos.words_of(p_text text)
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
-- The words of a text, folded.
begin
  return regexp_split_to_array(videos.folded(p_text) collate pg_catalog.pg_c_utf8, '[^[:alnum:]]+');
end;
$$;

create table videos.moderation_terms (
  id bigint generated always as identity primary key,
  -- Whose words these are, for whoever keeps the lists. A prompt does not tell its language, so all are asked.
  language text not null default 'all' check (language in ('all', 'en', 'tr', 'es')),
  -- Words that all stand in the prompt, in any order; `kid|child*` is one word: kid, or any that begins with child.
  pattern text not null unique check (char_length(btrim(pattern)) between 1 and 1000),
  -- `flag` lets the job pass and notes the reason in videos.jobs.flag: the trial of a new term. `allow` is a phrase, its
  -- words one after the other: where it stands they mean nothing to the other terms. "The naked eye" is naked nowhere.
  action text not null default 'refuse' check (action in ('refuse', 'flag', 'allow')),
  -- For the operator; the user only learns that it is against the policy.
  reason text not null
);
alter table videos.moderation_terms enable row level security;
comment on table videos.moderation_terms is
  'What a prompt must not say. The operator edits the rows, and they hold from the next prompt on.';

create table videos.moderation_words (
  term_id bigint not null references videos.moderation_terms on delete cascade,
  -- Which word of its pattern it stands for, and of how many.
  place integer not null,
  places integer not null,
  action text not null,
  word text not null,
  is_prefix boolean not null,
  -- What finds it, however many there are and whatever they have in common: the word, or a beginning of words.
  key text not null generated always as (case when is_prefix then word || '*' else word end) stored,
  primary key (term_id, place, word, is_prefix)
);
alter table videos.moderation_words enable row level security;
create index moderation_words_key on videos.moderation_words (key);
comment on table videos.moderation_words is 'moderation_terms, word by word; a trigger keeps it.';

create function videos.index_moderation_term()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
-- Writes the words of a term anew. Raises check_violation for a pattern that is not one.
declare
  v_places constant text[] := regexp_split_to_array(btrim(new.pattern), '\s+');
  v_alternative text;
  v_is_prefix boolean;
  v_words text[];
begin
  delete from videos.moderation_words as w where w.term_id = new.id;
  for v_place in 1 .. cardinality(v_places) loop
    foreach v_alternative in array string_to_array(v_places[v_place], '|') loop
      v_is_prefix := right(v_alternative, 1) = '*';
      v_words := videos.words_of(rtrim(v_alternative, '*'));
      if cardinality(v_words) <> 1 or v_words[1] = '' then
        raise check_violation using
          message = format('"%s" is not one word', v_alternative),
          hint = 'A pattern is words, such as: kid|child* naked|nude';
      elsif v_is_prefix and char_length(v_words[1]) < 3 then
        raise check_violation using
          message = format('"%s" begins too many words', v_alternative), hint = 'Write three letters or more before a *.';
      elsif v_is_prefix and char_length(v_words[1]) > 30 then
        -- So many beginnings of a word are looked up.
        raise check_violation using
          message = format('"%s" is too long', v_alternative), hint = 'Write thirty letters or less before a *.';
      end if;
      insert into videos.moderation_words (term_id, place, places, action, word, is_prefix)
      values (new.id, v_place, cardinality(v_places), new.action, v_words[1], v_is_prefix)
      on conflict do nothing;
    end loop;
  end loop;
  return null;
end;
$$;

create trigger index_moderation_term after insert or update on videos.moderation_terms
  for each row execute function videos.index_moderation_term();

-- What lets most prompts pass without a look at their words.
create table videos.moderation_filters (
  action text primary key,
  -- A regular expression that finds a word's beginning in whatever a term with that action matches, and in little else.
  pattern text not null
);
alter table videos.moderation_filters enable row level security;
comment on table videos.moderation_filters is 'moderation_words as one pattern an action; a trigger keeps it.';

create function videos.filter_moderation_words()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
-- Writes the patterns anew, once a statement. Locks: moderation_filters, so that two who edit terms at once know of each
-- other's.
begin
  lock table videos.moderation_filters in share row exclusive mode;
  delete from videos.moderation_filters where true;
  insert into videos.moderation_filters (action, pattern)
  select w.action, format('(^|[^[:alnum:]])(%s)', string_agg(distinct left(w.word, 3), '|'))
  from (
    -- A term matches only with all its words, so one of them will do: that with the fewest spellings lets most pass.
    select w.*, rank() over (partition by w.term_id order by s.spellings, w.place desc) as choice
    from videos.moderation_words as w
    join (
      select w.term_id, w.place, count(*) as spellings from videos.moderation_words as w group by w.term_id, w.place
    ) as s on s.term_id = w.term_id and s.place = w.place
  ) as w
  where w.choice = 1
  group by w.action;
  return null;
end;
$$;

-- After index_moderation_term, which is for each row.
create trigger filter_moderation_words after insert or update or delete or truncate on videos.moderation_terms
  for each statement execute function videos.filter_moderation_words();

-- What finds the terms' words among these, by the place of each: the word, and all its beginnings.
create function videos.keys_of(p_words text[])
returns table (place bigint, key text)
language sql
immutable
begin atomic
  select w.place, k.key
  from unnest(p_words) with ordinality as w (word, place)
  cross join lateral (
    select w.word as key
    union all
    select left(w.word, n) || '*' from generate_series(3, least(30, char_length(w.word))) as n
  ) as k;
end;

create function videos.matching_terms(p_words text[], p_action text)
returns bigint[]
language plpgsql
stable
set search_path = ''
as $$
-- The terms with that action whose words are all among these.
begin
  return array(
    select w.term_id
    from (select distinct k.key from videos.keys_of(p_words) as k) as s
    join videos.moderation_words as w on w.key = s.key
    where w.action = p_action
    group by w.term_id, w.places
    having count(distinct w.place) = w.places
  );
end;
$$;

create function videos.without_allowed(p_words text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
-- Words, without those that stand in an allowed phrase.
declare
  -- Those that can stand there at all.
  v_phrases constant bigint[] := videos.matching_terms(p_words, 'allow');
begin
  return array(
    with phrases as (
      select s.place - w.place + 1 as first_place, w.places
      from videos.moderation_words as w
      join videos.keys_of(p_words) as s on s.key = w.key
      where w.term_id = any (v_phrases)
      group by s.place - w.place + 1, w.term_id, w.places
      having count(distinct w.place) = w.places
    )
    select w.word
    from unnest(p_words) with ordinality as w (word, place)
    where not exists (
      select from phrases as p where w.place between p.first_place and p.first_place + p.places - 1
    )
    order by w.place
  );
end;
$$;

create function videos.find_moderation_term(p_prompt text, p_action text)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
-- A term with that action that the prompt matches, or null. What it costs grows with the prompt, hardly with the terms.
declare
  v_pattern text;
  v_words text[];
  v_term_id bigint;
begin
  select f.pattern into v_pattern from videos.moderation_filters as f where f.action = p_action;
  if not found or videos.folded(p_prompt) collate pg_catalog.pg_c_utf8 !~ v_pattern then
    return null;
  end if;
  -- Few prompts come so far.
  v_words := videos.words_of(p_prompt);
  v_term_id := (videos.matching_terms(v_words, p_action))[1];
  -- No phrase goes on beyond a comma or a full stop: a letter that no prompt has stands there.
  if v_term_id is not null then
    v_words := videos.words_of(regexp_replace(p_prompt, '[.,;:!?()¡¿…]+', ' ǁ ', 'g'));
    v_term_id := (videos.matching_terms(videos.without_allowed(v_words), p_action))[1];
  end if;
  return v_term_id;
end;
$$;

-- supabase/schemas/videos/acceptance.sql

create function videos.accept_video(
  p_user_id uuid, p_network text, p_request_id text, p_model_id uuid, p_prompt text, p_settings jsonb,
  p_image_url text, p_providers text[], p_client_reference text, p_moderated_by text, p_project_id uuid, p_image_upload_id uuid,
  p_source_job_id uuid, out outcome jsonb, out limits text
)
language plpgsql
volatile
set search_path = ''
as $$
-- Accepts a video or says why not, in the order of what it costs to find out. Nothing is written before the last
-- refusal but the counted attempt, and what has expired. `outcome` is a refusal, or `data`: `{ job_id, status, credits_used,
-- credits_remaining, created_at }`; `limits` are as in guard.taken. Locks: rate-limit rows → account → lots → project.
declare
  v_taken guard.taken;
  v_account credits.accounts;
  v_seen record;
  v_model videos.models;
  v_settings jsonb;
  v_fields jsonb := '[]';
  v_price bigint;
  v_job_id uuid;
  v_now timestamptz;
  -- What models and providers are asked about is whether there is a picture, wherever it is.
  v_image constant text := coalesce(p_image_url, p_image_upload_id::text);
  v_upload videos.uploads;
  v_has_inputs constant boolean := videos.inputs_in(p_settings) <> '{}';
  v_said text := p_prompt;
begin
  v_taken := guard.take('{generation_attempts,generation_attempts_network}', p_user_id, p_network, 'generate-video');
  limits := v_taken.limits;
  if v_taken.refusal is not null then
    outcome := v_taken.refusal - 'limits';
    return;
  end if;

  -- All that is only read, in one statement. The account was locked before, so that it also tells what became of its
  -- user while this waited.
  v_account := credits.lock_account(p_user_id);
  select m as model, not accounts.is_out(u) and not u.is_banned as is_active,
    (select f.is_enabled from ops.feature_flags as f where f.key = 'generation') as is_enabled,
    (select f.is_enabled from ops.feature_flags as f where f.key = 'processing_consent') as asks_consent, u.accepted_processors,
    (select f.pattern from videos.moderation_filters as f where f.action = 'refuse') as pattern
  into v_seen
  from accounts.users as u
  left join videos.models as m on m.id = p_model_id and m.is_available
  where u.id = p_user_id;
  v_model := v_seen.model;

  if not v_seen.is_active then
    -- Who is answered says the language of every outcome.
    outcome := (accounts.admit(p_user_id)).refusal - 'language';
    return;
  end if;
  if not v_seen.is_enabled then
    outcome := guard.refusal('feature/switched-off', '{"feature": "generation"}');
    return;
  end if;
  if v_has_inputs then
    v_said := videos.said(v_model.inputs, p_prompt, p_settings);
  end if;
  if videos.folded(v_said) ~ v_seen.pattern and videos.find_moderation_term(v_said, 'refuse') is not null then
    outcome := guard.refusal('prompt/refused', '{"reason": "policy"}');
    return;
  end if;
  if p_project_id is not null and not videos.has_project(p_user_id, p_project_id) then
    outcome := guard.refusal('resource/not-found');
    return;
  end if;
  if v_model.id is null then
    outcome := guard.refusal('model/not-available', jsonb_build_object('model_id', p_model_id));
    return;
  end if;
  if v_seen.asks_consent and not videos.processors(v_model.id, p_moderated_by) <@ v_seen.accepted_processors then
    outcome := guard.refusal(
      'consent/missing', jsonb_build_object('processors', videos.processors(v_model.id, p_moderated_by))
    );
    return;
  end if;
  v_settings := v_model.defaults || p_settings;
  -- Most ask for nothing but the defaults, which fit.
  if p_settings <> '{}' or v_image is not null or v_model.requires_image then
    v_fields := videos.unfitting(v_model, p_settings, v_image);
  end if;
  if (v_model.category = 'video_to_video') <> (p_source_job_id is not null) then
    v_fields := v_fields || jsonb_build_object('path', 'source_job_id', 'message', case
      when p_source_job_id is null then 'This model needs a video' else 'This model takes no video' end);
  end if;
  if v_fields = '[]' and not videos.is_offered(v_model, p_prompt, v_settings, v_image, p_providers) then
    v_fields := videos.unmakeable(v_model, p_prompt, v_settings, v_image);
    if v_fields = '[]' then
      outcome := guard.refusal('feature/switched-off', '{"feature": "generation"}');
      return;
    end if;
  end if;
  if v_fields <> '[]' then
    outcome := guard.refusal('request/malformed', jsonb_build_object('fields', v_fields));
    return;
  end if;
  if p_image_upload_id is not null then
    -- With the account locked, so that nobody deletes it meanwhile.
    v_upload := videos.find_upload(p_user_id, p_image_upload_id, core.now());
    if v_upload.id is null then
      outcome := guard.refusal('resource/not-found');
      return;
    elsif v_upload.status <> 'ready' then
      outcome := guard.refusal('resource/wrong-state', jsonb_build_object('status', v_upload.status));
      return;
    end if;
  end if;
  if p_source_job_id is not null or v_has_inputs then
    outcome := videos.refuse_sources(p_user_id, p_source_job_id, v_model.inputs, p_settings);
    if outcome is not null then
      return;
    end if;
  end if;
  v_price := videos.price(v_model, v_settings);
  if v_account.balance < v_price then
    outcome := guard.refusal(
      'payment/insufficient-credits', jsonb_build_object('required', v_price, 'available', v_account.balance)
    );
    return;
  end if;
  -- Last, with the account locked and the balance known: what is counted here is accepted.
  v_taken := guard.take('{uncaptured_jobs,video_generation}', p_user_id, p_network, 'generate-video');
  limits := concat_ws(',', v_taken.limits, limits);
  if v_taken.refusal is not null then
    outcome := v_taken.refusal - 'limits';
    return;
  end if;
  -- What guards money and was not counted, as its row is missing, is broken.
  if array_position(v_taken.hits, null) is not null then
    outcome := guard.refusal('database/unavailable');
    return;
  end if;

  v_job_id := core.new_id();
  -- By this time settle_video_job gives the hit back.
  v_now := v_taken.hits[1];
  perform credits.place_hold(v_account, v_price, v_job_id);
  insert into videos.jobs (
    id, user_id, model_id, model_name, prompt, settings, image_url, credits_used, request_id, created_at, due_at,
    client_reference, project_id, image_upload_id, source_job_id
  )
  values (
    v_job_id, p_user_id, v_model.id, v_model.name, p_prompt, v_settings, p_image_url, v_price, p_request_id, v_now,
    v_now + v_model.start_within, p_client_reference, p_project_id, p_image_upload_id, p_source_job_id
  );
  if p_project_id is not null then
    perform videos.count_in_project(p_project_id, 1);
  end if;
  -- The function submits at once; the worker only if that did not happen within 2 seconds.
  perform queue.add('submit', v_job_id, p_user_id, v_now + interval '2 seconds', p_request_id => p_request_id);
  outcome := format(
    '{"data":{"job_id":"%s","status":"pending","credits_used":%s,"credits_remaining":%s,"created_at":"%s"}}',
    v_job_id, v_price, v_account.balance - v_price, core.to_iso(v_now)
  );
end;
$$;

-- supabase/schemas/videos/bulk.sql

create function videos.refusal_of_all(p_refusal jsonb, p_index integer, p_held bigint)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
-- What accept_video said against an item, as the answer to a request that has it among others: where in it the fault is,
-- and of credits what the items before it take as well, since none of them is held.
declare
  v_details jsonb := p_refusal -> 'details';
begin
  if v_details ? 'fields' then
    v_details := jsonb_set(v_details, '{fields}', (
      select jsonb_agg(f.field || jsonb_build_object('path', format('items[%s].%s', p_index, f.field ->> 'path')))
      from jsonb_array_elements(v_details -> 'fields') as f (field)
    ));
  end if;
  if v_details ? 'required' then
    v_details := v_details || jsonb_build_object(
      'required', (v_details ->> 'required')::bigint + p_held, 'available', (v_details ->> 'available')::bigint + p_held
    );
  end if;
  return p_refusal || jsonb_build_object('details', v_details);
end;
$$;

create function videos.is_about_caller(p_refusal jsonb)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether what accept_video said holds for whatever else the caller may ask for now, and tells nothing about the video.
begin
  return p_refusal ->> 'error' in (
      core.error_code('auth/unauthenticated'), core.error_code('auth/suspended'), core.error_code('database/unavailable')
    )
    or p_refusal ->> 'error' = core.error_code('feature/switched-off') and not ops.is_enabled('generation');
end;
$$;

create function videos.accept_videos(
  p_user_id uuid, p_network text, p_request_id text, p_mode text, p_items jsonb, p_providers text[],
  p_moderated_by text
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Accepts several videos, each as accept_video does, in their order. In the mode `all` every one or none: the first
-- refusal undoes what was accepted before it, and has the `index` of its item among its details. In the mode `any` each by
-- itself; only what is about the caller, or the limit that the first item meets, refuses the whole, so that the same key may
-- be used again. Every item counts in the limits, as an attempt also where it was undone; but where the attempts are too
-- many, none does. `data`: `{ results, credits_used, credits_remaining }`, results being `{ index, job_id, credits_used }` or
-- `{ index, error: { code, details } }`. Locks: those of accept_video.
declare
  v_most integer;
  v_item record;
  v_accepted record;
  v_outcome jsonb;
  v_refusal jsonb;
  v_taken guard.taken;
  v_results jsonb := '[]';
  v_used bigint := 0;
  v_remaining bigint;
  -- By their policies, which are then in the order of accept_video: jsonb sorts keys by their length.
  v_limits jsonb := '{}';
begin
  if p_mode not in ('all', 'any') then
    raise exception 'there is no mode %', p_mode using errcode = 'invalid_parameter_value';
  end if;
  -- Of more, not all could ever be accepted.
  select p.admits into v_most from guard.policies as p where p.name = 'video_generation';
  if jsonb_array_length(p_items) > v_most then
    v_taken := guard.take(
      '{generation_attempts,generation_attempts_network}', p_user_id, p_network, 'generate-video'
    );
    return coalesce(v_taken.refusal, guard.refusal('request/malformed', jsonb_build_object('fields', jsonb_build_array(
      jsonb_build_object('path', 'items', 'message', format('Must have at most %s items', v_most))
    )), guard.limits_json(v_taken.limits)));
  end if;

  begin
    for v_item in
      select (i.number - 1)::integer as index, r.*
      from jsonb_array_elements(p_items) with ordinality as i (item, number)
      cross join lateral jsonb_to_record(i.item) as r (
        model_id uuid, prompt text, settings jsonb, image_url text, client_reference text, project_id uuid,
        image_upload_id uuid, source_job_id uuid
      )
      order by i.number
    loop
      v_accepted := videos.accept_video(
        p_user_id, p_network, p_request_id, v_item.model_id, v_item.prompt, coalesce(v_item.settings, '{}'),
        v_item.image_url, p_providers, v_item.client_reference, p_moderated_by, v_item.project_id,
        v_item.image_upload_id, v_item.source_job_id
      );
      v_outcome := v_accepted.outcome;
      if v_outcome ? 'data' then
        v_used := v_used + (v_outcome #>> '{data,credits_used}')::bigint;
        v_remaining := (v_outcome #>> '{data,credits_remaining}')::bigint;
        v_results := v_results || jsonb_build_object(
          'index', v_item.index, 'job_id', v_outcome #> '{data,job_id}', 'credits_used', v_outcome #> '{data,credits_used}'
        );
      else
        v_refusal := videos.refusal_of_all(v_outcome, v_item.index, case p_mode when 'all' then v_used else 0 end)
          || jsonb_build_object('limits', guard.limits_json(v_accepted.limits));
        if p_mode = 'all' then
          if not videos.is_about_caller(v_refusal) then
            v_refusal := jsonb_set(v_refusal, '{details,index}', to_jsonb(v_item.index));
          end if;
          -- Undoes what the items before it came to.
          raise exception 'refused';
        elsif v_item.index = 0 and (
          videos.is_about_caller(v_refusal) or v_refusal ->> 'error' = core.error_code('limit/rate-exceeded')
        ) then
          return v_refusal;
        end if;
        v_results := v_results || jsonb_build_object(
          'index', v_item.index,
          'error', jsonb_build_object('code', v_refusal -> 'error', 'details', v_refusal -> 'details')
        );
        v_refusal := null;
      end if;
      v_limits := v_limits || (
        select coalesce(jsonb_object_agg(l.state ->> 'policy', l.state), '{}')
        from jsonb_array_elements(guard.limits_json(v_accepted.limits)) as l (state)
      );
    end loop;
  exception
    when raise_exception then
      if v_refusal is null then
        raise;
      end if;
  end;

  if v_refusal is not null then
    -- It is undone, and was tried all the same.
    if coalesce(v_refusal #>> '{details,policy}', '') not like 'generation_attempts%' then
      v_limits := '[]';
      for v_number in 1 .. jsonb_array_length(p_items) loop
        v_taken := guard.take(
          '{generation_attempts,generation_attempts_network}', p_user_id, p_network, 'generate-video'
        );
        exit when v_taken.refusal is not null;
        v_limits := guard.limits_json(v_taken.limits);
      end loop;
      v_refusal := v_refusal || jsonb_build_object('limits', v_limits);
    end if;
    return v_refusal;
  end if;
  return guard.answer(
    jsonb_build_object(
      'results', v_results, 'credits_used', v_used,
      'credits_remaining', coalesce(v_remaining, (credits.lock_account(p_user_id)).balance)
    ),
    (select jsonb_agg(l.state) from jsonb_each(v_limits) as l (policy, state))
  );
end;
$$;

-- supabase/schemas/videos/telling.sql

-- What there is to tell of a job. By triggers: however it comes about, it is told in the transaction in which it becomes true.

-- Where a job is, for whoever was told so.
create function videos.progress_event(p_job videos.jobs)
returns jsonb
language sql
stable
return jsonb_build_object('job_id', (p_job).id, 'stage', videos.job_stage(p_job), 'percent', (p_job).percent);

-- An ended job as the API shows it, without what the user wrote and what opens its files: of the settings those of the size
-- alone, since a model's own inputs may be texts, as a negative prompt. The error has no message: that has a language.
create function videos.end_event(p_job videos.jobs)
returns jsonb
language sql
stable
return (videos.job_json(p_job) - '{prompt,video_url,video_url_expires_at,thumbnail_url}'::text[])
  || jsonb_build_object('settings', (
    select coalesce(jsonb_object_agg(s.key, s.value), '{}')
    from jsonb_each((p_job).settings) as s
    where s.key in ('duration_seconds', 'resolution', 'aspect_ratio')
  ));

create function videos.tell_job()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Tells that a job has ended, or else that a provider has begun it, or has come a tenth further.
declare
  v_metadata constant jsonb := jsonb_build_object('request_id', new.request_id);
begin
  if new.status >= 'completed' then
    if old.status < 'completed' then
      perform events.publish('video.' || new.status, new.user_id, videos.end_event(new), v_metadata);
    end if;
  elsif old.started_at is null and new.started_at is not null then
    perform events.publish('video.started', new.user_id, videos.progress_event(new), v_metadata);
  elsif new.percent / 10 > coalesce(old.percent, 0) / 10 then
    perform events.publish('video.progressed', new.user_id, videos.progress_event(new), v_metadata);
  end if;
  return null;
end;
$$;

create trigger tell after update of status, started_at, percent on videos.jobs
  for each row when ((old.status, old.started_at, old.percent) is distinct from (new.status, new.started_at, new.percent))
  execute function videos.tell_job();

create function videos.tell_submission()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Tells that a provider took a job, if that has not ended meanwhile.
begin
  perform events.publish(
    'video.submitted', j.user_id, videos.progress_event(j), jsonb_build_object('request_id', j.request_id)
  )
  from videos.jobs as j
  where j.id = new.job_id and j.completed_at is null;
  return null;
end;
$$;

create trigger tell after update of state on videos.submissions
  for each row when (new.state = 'accepted' and old.state <> 'accepted') execute function videos.tell_submission();

create function videos.untell_job(p_job videos.jobs)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What was told of a job that its user has deleted: it goes from their inbox, and what they wrote from its events. The caller has
-- locked the account. A second call changes nothing. Locks: events → deliveries → tasks, notifications.
declare
  v_about constant jsonb := jsonb_build_object('job_id', p_job.id);
begin
  perform events.forget(p_job.user_id, v_about, '{client_reference}');
  perform notify.forget(p_job.user_id, v_about);
end;
$$;

-- A provider is away while its breaker is not closed, and one that the operator does not use is not: that is written down where
-- it happens.
create function videos.tell_breaker()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.breaker = 'closed' or not new.is_enabled then
    perform ops.end_incident('provider ' || new.name, core.now());
  else
    perform ops.begin_incident('provider ' || new.name, case
      when new.unfinished >= new.failures_to_open then format('%s jobs in a row were not finished', new.unfinished)
      else format('%s failures in a row', new.failures)
    end);
  end if;
  return null;
end;
$$;

create trigger tell_breaker after update of breaker, is_enabled on videos.providers
  for each row when ((old.breaker, old.is_enabled) is distinct from (new.breaker, new.is_enabled)) execute function videos.tell_breaker();

-- supabase/schemas/accounts/admission.sql

-- Whether an account is closed or merged into another, and so acts no more.
create function accounts.is_out(p_user accounts.users)
returns boolean
language sql
immutable
return (p_user).closed_at is not null or (p_user).merged_into is not null;

create function accounts.admit(
  p_user_id uuid, p_suspended boolean default false, p_session_id uuid default null,
  out refusal jsonb, out language text, out is_new boolean
)
language plpgsql
volatile
set search_path = ''
as $$
-- Asks whether a caller may act, and makes their row and account at the first call. `refusal` is null, or what
-- to return (auth/unauthenticated for a closed or merged account, and where the session of the caller's token has ended;
-- auth/suspended for a suspended account), in the user's language; `language` is that, if any; `is_new` is true for the one
-- call that made the row. A tombstone is never revived. With p_suspended whoever is suspended may act, too; the suspension has ended
-- their sessions, so none is asked for. Without p_session_id no session is asked: by whoever asks again.
declare
  v_is_out boolean;
  v_is_banned boolean;
begin
  is_new := false;
  loop
    if p_session_id is null then
      select accounts.is_out(u), u.is_banned, u.language
      into v_is_out, v_is_banned, language
      from accounts.users as u
      where u.id = p_user_id;
    else
      -- The session in the same statement. To be ready to look for one costs as much as all the rest, whether it is looked
      -- for or not.
      select accounts.is_out(u) or not u.is_banned and not exists (
          select from auth.sessions as s where s.id = p_session_id and s.user_id = p_user_id
        ),
        u.is_banned, u.language
      into v_is_out, v_is_banned, language
      from accounts.users as u
      where u.id = p_user_id;
    end if;
    exit when found;
    if p_session_id is not null and not accounts.is_session(p_user_id, p_session_id) then
      refusal := guard.refusal('auth/unauthenticated');
      return;
    end if;
    insert into accounts.users (id, created_at) values (p_user_id, core.now()) on conflict do nothing;
    is_new := found;
    perform credits.open_account(p_user_id);
  end loop;
  if v_is_out then
    refusal := guard.refusal('auth/unauthenticated', p_language => language);
  elsif v_is_banned and not p_suspended then
    refusal := guard.refusal('auth/suspended', p_language => language);
  end if;
end;
$$;

create function accounts.heir_of(p_user_id uuid)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
-- Who a user is by now: the one whom they were merged into, at once or by way of others, or themselves.
begin
  return (
    with recursive heirs as (
      select u.id, u.merged_into, 0 as steps from accounts.users as u where u.id = p_user_id
      union all
      select u.id, u.merged_into, h.steps + 1 from heirs as h join accounts.users as u on u.id = h.merged_into
    )
    select h.id from heirs as h order by h.steps desc limit 1
  );
end;
$$;

create function accounts.hold_user(p_user_id uuid)
returns accounts.users
language plpgsql
volatile
set search_path = ''
as $$
-- Who a user is by now, as accounts.heir_of has it, whom nobody merges, closes or suspends before this transaction ends;
-- null where there is none. Locks: the users' rows, shared.
declare
  v_user accounts.users;
  v_id uuid := p_user_id;
begin
  loop
    select u.* into v_user from accounts.users as u where u.id = v_id for share;
    exit when v_user.merged_into is null;
    v_id := v_user.merged_into;
  end loop;
  return v_user;
end;
$$;

create function accounts.with_guests(p_user_id uuid)
returns uuid[]
language sql
stable
set search_path = ''
as $$
  -- A user, and all whom they were before: the guests that were merged into them, at once or by way of others.
  with recursive guests as (
    select p_user_id as id
    union all
    select u.id from guests as g join accounts.users as u on u.merged_into = g.id
  )
  select array_agg(g.id) from guests as g
$$;

create function accounts.set_admin(p_user_id uuid, p_is_admin boolean)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether this call changed what the user is. Locks: the user's row.
begin
  update accounts.users as u set is_admin = p_is_admin where u.id = p_user_id and u.is_admin <> p_is_admin;
  return found;
end;
$$;

create function accounts.set_banned(p_user_id uuid, p_is_banned boolean)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether this call changed what the user is. Locks: the user's row.
begin
  update accounts.users as u set is_banned = p_is_banned where u.id = p_user_id and u.is_banned <> p_is_banned;
  return found;
end;
$$;

create function accounts.lock(
  p_user_id uuid, p_suspended boolean default false, out refusal jsonb, out language text, out account credits.accounts
)
language plpgsql
volatile
set search_path = ''
as $$
-- Locks the account of a caller who was admitted, and asks again, as accounts.admit: it may have been closed, or its
-- user suspended, while this waited. `account` is as credits.lock_account has it. Locks: account → expired lots.
begin
  account := credits.lock_account(p_user_id);
  select a.refusal, a.language into refusal, language from accounts.admit(p_user_id, p_suspended) as a;
end;
$$;

create function accounts.lock_all(p_user_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Locks the accounts of those who have one, for a caller who has none locked: guests first, as a merge does, and of guests
-- the older one. A second call changes nothing. Locks: accounts → expired lots.
begin
  perform credits.lock_account(o.id)
  from (
    select u.id
    from accounts.users as u
    left join auth.users as a on a.id = u.id
    where u.id = any (p_user_ids)
    order by coalesce(a.is_anonymous, false) desc, u.created_at, u.id
  ) as o;
end;
$$;

create function accounts.end_sessions(p_user_id uuid, p_but_session_id uuid default null)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Ends all sessions of a user, but one where it is named, with their refresh tokens, and returns how many there were. A
-- second call finds none.
-- Locks: the user's rows of auth.sessions.
declare
  v_ended integer;
begin
  delete from auth.sessions as s where s.user_id = p_user_id and s.id is distinct from p_but_session_id;
  get diagnostics v_ended = row_count;
  return v_ended;
end;
$$;

-- Whether it is a session of that user's, and has not ended.
create function accounts.is_session(p_user_id uuid, p_session_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (select from auth.sessions as s where s.id = p_session_id and s.user_id = p_user_id)
$$;

create function accounts.sessions_json(p_user_id uuid, p_session_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- The sessions of a user, as the API shows them; p_session_id is the current one.
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', s.id, 'created_at', core.to_iso(s.created_at), 'last_used_at', core.to_iso(u.last_used_at),
    'is_current', s.id = p_session_id
  ) order by u.last_used_at desc, s.id), '[]')
  from auth.sessions as s
  -- Auth writes it without a time zone.
  cross join lateral (select coalesce(s.refreshed_at at time zone 'utc', s.created_at) as last_used_at) as u
  where s.user_id = p_user_id
$$;

create function accounts.end_session(p_user_id uuid, p_session_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Ends one session of a user, with its refresh tokens: whether it was there. Locks: its row of auth.sessions.
begin
  delete from auth.sessions as s where s.id = p_session_id and s.user_id = p_user_id;
  return found;
end;
$$;

create function accounts.find(p_user_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether there is such a user. Whoever has signed up and called nothing yet gets their row and account here.
begin
  if exists (select from accounts.users as u where u.id = p_user_id) then
    return true;
  end if;
  if not exists (select from auth.users as a where a.id = p_user_id) then
    return false;
  end if;
  perform accounts.admit(p_user_id);
  return true;
end;
$$;

-- A user as the API shows them; whether they are a guest, only their token says.
create function accounts.profile_json(p_user accounts.users, p_credits_remaining bigint)
returns jsonb
language sql
stable
return jsonb_build_object(
  'user_id', (p_user).id, 'display_name', (p_user).display_name, 'language', (p_user).language,
  'theme_preference', (p_user).theme_preference, 'credits_remaining', p_credits_remaining,
  'app_account_token', (p_user).app_account_token, 'shares_consumption', (p_user).shares_consumption,
  'accepted_processors', to_jsonb((p_user).accepted_processors),
  'notification_preferences', notify.preferences_json((p_user).notification_preferences),
  'created_at', core.to_iso((p_user).created_at)
);

-- supabase/schemas/accounts/erasure.sql

create table accounts.erasures (
  user_id uuid primary key,
  closed_at timestamptz not null,
  erased_at timestamptz not null,
  -- How many of each kind.
  erased jsonb not null,
  -- When the rule `closed_accounts` has deleted the jobs, too.
  swept_at timestamptz
);
alter table accounts.erasures enable row level security;
create index erasures_remaining on accounts.erasures (erased_at) where swept_at is null;
comment on table accounts.erasures is 'The proof that what a closed account left behind was erased; kept for good.';

-- Which rows of a table are a person's. What stands here is erased, exported and merged; a table that is not here is
-- about nobody, and says so in accounts.privacy_classes.
create table accounts.personal_tables (
  relation text primary key check (relation ~ '^[a-z_]+\.[a-z_]+$'),
  -- A condition of the row `t`, in which $1 is an array of users' ids.
  rows_of text not null,
  -- The column that names whose the row is, of a table whose rows move when a guest is merged.
  owner_column text check (owner_column ~ '^[a-z_]+$')
);
alter table accounts.personal_tables enable row level security;
comment on table accounts.personal_tables is 'Tables with rows of persons. The migrations'' to write: their conditions are run.';

create type accounts.privacy_class as enum (
  'kept', -- stays as it is
  'blanked', -- the row stays, without it
  'erased' -- the row goes
);
create type accounts.on_merge as enum (
  'moves', -- to the account that a guest is merged into
  'stays' -- with the guest's tombstone
);

create table accounts.privacy_classes (
  relation text not null,
  -- `*`: every column of a table that is about nobody.
  column_name text not null,
  class accounts.privacy_class not null,
  -- What a blanked column holds instead.
  blank_to text,
  on_merge accounts.on_merge not null,
  reason text not null,
  -- Why an export for the user is without it; null: it tells it. What nobody thought of is told: it is the user's.
  withheld text,
  primary key (relation, column_name),
  check (blank_to is null or class = 'blanked')
);
alter table accounts.privacy_classes enable row level security;
comment on table accounts.privacy_classes is 'What becomes of each column that can hold a person''s data, and why.';

create function accounts.apply_privacy(p_relation text, p_condition text, p_ids uuid[])
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Erases or blanks, as the classes say, those rows `t` of a table for which the condition holds, in which $1 is p_ids;
-- and returns how many. A table of which everything is kept stays as it is. A second call finds what the first left.
-- Locks: those rows.
declare
  v_erases boolean;
  v_blanks text;
  v_rows integer := 0;
begin
  select bool_or(c.class = 'erased'),
    string_agg(format('%I = %L', c.column_name, c.blank_to), ', ') filter (where c.class = 'blanked')
  into v_erases, v_blanks
  from accounts.privacy_classes as c
  where c.relation = p_relation;
  if v_erases then
    execute format('delete from %s as t where %s', p_relation, p_condition) using p_ids;
    get diagnostics v_rows = row_count;
  elsif v_blanks is not null then
    execute format('update %s as t set %s where %s', p_relation, v_blanks, p_condition) using p_ids;
    get diagnostics v_rows = row_count;
  end if;
  return v_rows;
end;
$$;

create function accounts.erase(p_user_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Applies the classes to every table with rows of persons, and deletes the user of Auth, with identities, factors and
-- sessions; and the same of every guest who was merged into them. Returns how many rows of each table were erased or blanked. Locks: those rows, by table.
declare
  v_ids constant uuid[] := accounts.with_guests(p_user_id);
  v_table accounts.personal_tables;
  v_rows integer;
  v_erased jsonb := '{}';
begin
  for v_table in select t.* from accounts.personal_tables as t order by t.relation loop
    v_rows := accounts.apply_privacy(v_table.relation, v_table.rows_of, v_ids);
    if v_rows > 0 then
      v_erased := v_erased || jsonb_build_object(v_table.relation, v_rows);
    end if;
  end loop;
  delete from auth.users as u where u.id = any (v_ids);
  get diagnostics v_rows = row_count;
  return v_erased || jsonb_build_object('auth.users', v_rows);
end;
$$;

create function accounts.erasure_json(p_user accounts.users)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- How far the erasure of a closed account is: `{ waits_for, erased_at }`; null of one that is open. It waits for the end of a
-- `legal_hold`, for its running `jobs`, for the `uploads` whose URLs still write and for who may still be storing, or for
-- the `worker`; null once it is erased.
declare
  v_erased_at constant timestamptz := (select r.erased_at from accounts.erasures as r where r.user_id = p_user.id);
begin
  if p_user.closed_at is null then
    return null;
  end if;
  return jsonb_build_object('erased_at', core.to_iso(v_erased_at), 'waits_for', case
    when v_erased_at is not null then null
    when safety.is_held(p_user.id) then 'legal_hold'
    when exists (
      select from videos.jobs as j
      where j.user_id = p_user.id and j.status in ('pending', 'processing') and j.deleted_at is null
    ) then 'jobs'
    when videos.erasable_at(p_user.id) > core.now() then 'uploads'
    else 'worker'
  end);
end;
$$;

create function accounts.sweep_closed(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `closed_accounts`: has the bare jobs of accounts deleted that were erased, and returns of how many accounts.
-- Locks: proofs of erasure that nobody else has locked → jobs.
declare
  v_user_ids uuid[];
begin
  select coalesce(array_agg(d.user_id), '{}') into v_user_ids
  from (
    select r.user_id from accounts.erasures as r
    where r.swept_at is null and r.erased_at <= p_before
    order by r.erased_at
    limit p_batch
    for update skip locked
  ) as d;
  perform videos.delete_jobs(v_user_ids);
  update accounts.erasures as r set swept_at = core.now() where r.user_id = any (v_user_ids);
  return cardinality(v_user_ids);
end;
$$;

-- supabase/schemas/accounts/closing.sql

create function accounts.close(p_user_id uuid)
returns timestamptz
language plpgsql
volatile
set search_path = ''
as $$
-- Closes an account, and returns when. Jobs that are pending or storing end as cancelled; those that a provider has, or
-- may have, get a `cancel` task, and end so whatever comes. What credits are left, and what comes back later, is
-- forfeited. The sessions end. Of the user a tombstone stays; what else there is of them, an `erase_account` task
-- erases. Null where there is no such account, or it is closed or merged already, which is asked before any lock: a second call
-- changes nothing. Locks: account → user → jobs → lots → sessions.
declare
  v_now timestamptz;
begin
  if not exists (select from accounts.users as u where u.id = p_user_id and u.closed_at is null and u.merged_into is null) then
    return null;
  end if;
  -- From here on no job of theirs is accepted, and none ends but here.
  perform credits.lock_account(p_user_id);
  v_now := core.now();
  perform safety.keep_profile(u) from accounts.users as u where u.id = p_user_id and u.closed_at is null;
  update accounts.users as u
  set closed_at = v_now, display_name = null, language = null, theme_preference = 'system', is_admin = false,
      shares_consumption = false, accepted_processors = '{}', notification_preferences = '{}'
  where u.id = p_user_id and u.closed_at is null and u.merged_into is null;
  if not found then
    return null;
  end if;
  perform videos.abandon_jobs(p_user_id, v_now);
  perform credits.close_account(p_user_id);
  perform accounts.end_sessions(p_user_id);
  perform queue.add('erase_account', p_user_id, p_user_id, videos.erasable_at(p_user_id));
  -- Nobody's row: it outlives what is erased.
  perform events.publish(
    'account.closed', null, jsonb_build_object('user_id', p_user_id, 'closed_at', core.to_iso(v_now))
  );
  return v_now;
end;
$$;

create function accounts.close_deleted()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
-- Whoever deletes a user in Auth closes the account with it. With the owner's rights, for Auth's own role has none
-- here. Nothing happens for whom only Auth knows, nor for a closed account, whose user the erasure deletes, nor for a
-- guest who became somebody else.
begin
  perform accounts.close(old.id);
  return old;
end;
$$;

-- Before, not after: Auth's sessions then still stand, and whoever closes the account at the same time, and ends them
-- while it is locked, waits for nothing that waits for the account.
create trigger close_account before delete on auth.users
  for each row execute function accounts.close_deleted();

-- supabase/schemas/accounts/apple-revocation.sql

-- Taking back a person's consent to Sign in with Apple, when their account is closed.

create function accounts.revoke_apple_sign_in(p_user_id uuid, p_authorization_code text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Has Apple told, by a `revoke_apple_sign_in` task, that a person has left; the code is the app's, and good for 5 minutes.
-- The task has no owner: an account is erased within the hour, and Apple may be away for a day. It holds the code, then what
-- Apple gave for it, and nothing once it is done. A second code before the first was used takes its place. Locks: the task.
begin
  perform queue.add(
    'revoke_apple_sign_in', p_user_id, null, core.now(), jsonb_build_object('authorization_code', p_authorization_code)
  );
end;
$$;

create function accounts.note_unrevoked(p_user_id uuid, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells the operator that a person's Sign in with Apple was not revoked, and will not be. Locks: the alert.
begin
  perform ops.raise_alert(
    'apple_sign_in_not_revoked', p_user_id::text, jsonb_build_object('cause', left(p_cause, 200))
  );
end;
$$;

create function accounts.note_revoked(p_user_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A person's Sign in with Apple is revoked: nothing is left to try, and nothing for the operator to know. Locks: task → alert.
begin
  perform queue.drop(p_user_id, '{revoke_apple_sign_in}');
  perform ops.withdraw_alert('apple_sign_in_not_revoked', p_user_id::text);
end;
$$;

create function accounts.give_up_revocation(p_user_id uuid, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A `revoke_apple_sign_in` task has no try left: the operator is told, and what it held is gone with it. A second call
-- tells once more. Locks: task → alert.
begin
  perform queue.drop(p_user_id, '{revoke_apple_sign_in}');
  perform accounts.note_unrevoked(p_user_id, 'Apple could not be reached in all tries');
end;
$$;

-- supabase/schemas/accounts/merging.sql

-- A guest becomes somebody who has an account already.

create table accounts.merges (
  guest_id uuid primary key,
  heir_id uuid not null,
  credits_moved bigint not null,
  jobs_moved integer not null,
  -- What the heir had after it.
  credits_remaining bigint not null,
  merged_at timestamptz not null
);
alter table accounts.merges enable row level security;
create index merges_heir on accounts.merges (heir_id);
comment on table accounts.merges is 'Which guests became whom, and what came with them; kept for good.';

-- A merge as the API shows it.
create function accounts.merge_json(p_merge accounts.merges)
returns jsonb
language sql
stable
return jsonb_build_object(
  'user_id', (p_merge).heir_id, 'merged_user_id', (p_merge).guest_id, 'credits_moved', (p_merge).credits_moved,
  'jobs_moved', (p_merge).jobs_moved, 'credits_remaining', (p_merge).credits_remaining
);

-- What is said of every token that is no guest's, or not any more: one thing, so that nobody learns which.
create function accounts.refuse_guest_token(p_limits jsonb, p_language text)
returns jsonb
language sql
stable
return guard.refusal('request/malformed', jsonb_build_object('fields', jsonb_build_array(jsonb_build_object(
  'path', 'guest_token', 'message', 'Must be the access token of a guest whose session is alive, at most 5 minutes old'
))), p_limits, p_language);

create function accounts.move_rows(p_guest_id uuid, p_heir_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives the rows of a guest to their heir, in every table of which they move. A second call finds none.
-- Locks: those rows, by table.
declare
  v_table accounts.personal_tables;
begin
  for v_table in
    select t.* from accounts.personal_tables as t
    where t.owner_column is not null
      and exists (
        select from accounts.privacy_classes as c where c.relation = t.relation and c.on_merge = 'moves'
      )
    -- Jobs last: what belongs to them is found by way of them.
    order by t.relation = 'videos.jobs', t.relation
  loop
    execute format(
      'update %s as t set %I = $2 where %s', v_table.relation, v_table.owner_column, v_table.rows_of
    ) using array[p_guest_id], p_heir_id;
  end loop;
end;
$$;

create function accounts.merge(p_guest_id uuid, p_heir_id uuid, p_is_recovery boolean default false)
returns accounts.merges
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a guest a part of their heir, for good: credits, jobs, files and keys change hands, the guest's sessions end, the
-- heir is told, and of the guest a tombstone stays that names the heir. p_is_recovery: it was found again without its token. Nothing is forfeited or erased. The caller has locked both accounts,
-- as accounts.lock_all does, and knows that both are open. Raises serialization_failure for a guest who is suspended at this moment:
-- the caller tries the whole again.
-- Locks: both accounts → users → lots → keys → jobs and what belongs to them, tasks → sessions.
declare
  v_posted jsonb;
  v_merge accounts.merges;
  v_now constant timestamptz := core.now();
begin
  v_posted := credits.merge(p_guest_id, p_heir_id);
  update accounts.users as u set merged_into = p_heir_id where u.id = p_guest_id and not u.is_banned;
  if not found then
    raise exception 'the guest was suspended meanwhile' using errcode = 'serialization_failure';
  end if;
  insert into accounts.merges (guest_id, heir_id, credits_moved, jobs_moved, credits_remaining, merged_at)
  values (
    p_guest_id, p_heir_id, (v_posted ->> 'moved')::bigint, videos.count_jobs(p_guest_id),
    (v_posted ->> 'credits_remaining')::bigint, v_now
  )
  returning * into v_merge;
  perform guard.pass_keys(p_guest_id, p_heir_id);
  perform accounts.move_rows(p_guest_id, p_heir_id);
  perform accounts.end_sessions(p_guest_id);
  perform events.publish(
    'account.merged', p_heir_id, accounts.merge_json(v_merge) || jsonb_build_object('is_recovery', p_is_recovery)
  );
  return v_merge;
end;
$$;

create function accounts.not_recoverable(p_guest_id uuid, p_heir_id uuid)
returns text
language plpgsql
volatile
set search_path = ''
as $$
-- Why a guest whose session is lost cannot be found again by another guest; null where they can. The caller has locked both
-- accounts. Locks: the guest's row in Auth, not waited for.
declare
  v_guest accounts.users;
  v_is_anonymous boolean;
begin
  select u.* into strict v_guest from accounts.users as u where u.id = p_guest_id;
  select a.is_anonymous into v_is_anonymous from auth.users as a where a.id = p_guest_id for share nowait;
  return case
    when v_guest.closed_at is not null then 'closed'
    when v_guest.is_banned then 'suspended'
    when not coalesce(v_is_anonymous, false)
      or not coalesce((select a.is_anonymous from auth.users as a where a.id = p_heir_id), true) then 'not_guest'
    -- Another device of that Apple Account may be using it. An app that is opened refreshes its session.
    when exists (
      select from auth.sessions as s
      where s.user_id = p_guest_id
        and coalesce(s.refreshed_at at time zone 'utc', s.created_at) > core.now() - interval '7 days'
    ) then 'in_use'
  end;
end;
$$;

-- supabase/schemas/accounts/exports.sql

-- Taking along: a file of all that is kept of a person, for that person.

create table accounts.exports (
  id uuid primary key default core.new_id(),
  user_id uuid not null,
  requested_at timestamptz not null,
  -- When its file was in storage; null until then, and where it never will be.
  made_at timestamptz,
  bytes bigint check (bytes > 0),
  failed_at timestamptz,
  -- When it goes, file and all; null while it is being made.
  expires_at timestamptz,
  -- When a `delete_export` task was made.
  deleting_at timestamptz,
  -- What the policy `exports` counted, to be given back where it fails.
  hit timestamptz,
  constraint exports_end check ((made_at is null) = (bytes is null) and (expires_at is null) = (made_at is null and failed_at is null))
);
alter table accounts.exports enable row level security;
create index exports_user on accounts.exports (user_id, requested_at);
create index exports_expiry on accounts.exports (expires_at) where deleting_at is null;
comment on table accounts.exports is 'Files of all that is kept of a person, which they asked for.';

-- Where its file is in storage: below the reference of whoever asked, so that their erasure finds it.
create function accounts.export_path(p_export accounts.exports)
returns text
language sql
stable
set search_path = ''
as $$
  select u.reference || '/exports/' || p_export.id || '.json' from accounts.users as u where u.id = p_export.user_id
$$;

create function accounts.export_json(p_user_id uuid)
returns jsonb
language sql
volatile
set search_path = ''
as $$
  -- The latest export of a user, with the path of its file in the place of the URL that the API shows; null without one, and
  -- once it has expired.
  select jsonb_build_object(
    'status', case when e.made_at is not null then 'ready' when e.failed_at is not null then 'failed' else 'pending' end,
    'requested_at', core.to_iso(e.requested_at),
    'path', case when e.made_at is not null then accounts.export_path(e) end,
    'bytes', e.bytes, 'expires_at', core.to_iso(e.expires_at)
  )
  from (
    select x.* from accounts.exports as x where x.user_id = p_user_id order by x.requested_at desc, x.id desc limit 1
  ) as e
  where e.deleting_at is null and (e.expires_at is null or e.expires_at > core.now())
$$;

create function accounts.exported_tables()
returns setof text
language sql
stable
set search_path = ''
as $$
  -- The tables with rows of persons of which an export tells a column, in the order of the file.
  select t.relation
  from accounts.personal_tables as t
  where exists (
    select from accounts.privacy_classes as c where c.relation = t.relation and c.withheld is null
  )
  order by t.relation
$$;

create function accounts.export_page(p_user_id uuid, p_relation text, p_after jsonb, p_limit integer)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- The next rows of a table that are the user's, or were a guest's who became them, by primary key: `{ text, next }`, the
-- text being objects of JSON with commas between them, without the columns that accounts.privacy_classes withholds. `next`
-- is what to give as p_after for the rows that follow, null where there is none. Takes no lock.
declare
  v_rows_of text;
  v_withheld text[];
  v_keys text;
  v_key_values text;
  v_bounds text;
  v_page jsonb;
begin
  select t.rows_of into strict v_rows_of from accounts.personal_tables as t where t.relation = p_relation;
  select coalesce(array_agg(c.column_name), '{}') into v_withheld
  from accounts.privacy_classes as c
  where c.relation = p_relation and c.withheld is not null;
  select string_agg(format('t.%I', a.attname), ', ' order by k.place),
    string_agg(format('t.%I::text', a.attname), ', ' order by k.place),
    string_agg(format('($2 ->> %s)::%s', k.place - 1, format_type(a.atttypid, a.atttypmod)), ', ' order by k.place)
  into v_keys, v_key_values, v_bounds
  from pg_catalog.pg_index as i
  cross join lateral unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
  join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
  where i.indrelid = p_relation::regclass and i.indisprimary;
  execute format(
    'select jsonb_build_object(
       ''text'', coalesce(string_agg((to_jsonb(p.t) - $4)::text, e'',\n'' order by p.place), ''''),
       ''next'', (array_agg(p.key order by p.place desc) filter (where p.place = $3))[1]
     )
     from (
       select t, jsonb_build_array(%1$s) as key, row_number() over (order by %2$s) as place
       from %3$s as t
       where (%4$s) and ($2 is null or (%2$s) > (%5$s))
       order by %2$s
       limit $3
     ) as p',
    v_key_values, v_keys, p_relation, v_rows_of, v_bounds
  ) into v_page using accounts.with_guests(p_user_id), p_after, p_limit, v_withheld;
  return v_page;
end;
$$;

create function accounts.fail_export(p_export_id uuid, p_cause text default null)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- No try is left to make an export, or nobody is there for it: its user may ask for another at once. A second call, and one
-- for an export that is made, changes nothing. Locks: export → rate-limit row → task.
declare
  v_export accounts.exports;
  v_now constant timestamptz := core.now();
begin
  update accounts.exports as e set failed_at = v_now, expires_at = v_now + interval '1 day'
  where e.id = p_export_id and e.made_at is null and e.failed_at is null
  returning e.* into v_export;
  if found and v_export.hit is not null then
    perform guard.give_back('exports', v_export.user_id, v_export.hit);
  end if;
  perform queue.drop(p_export_id, '{export_account}');
end;
$$;

create function accounts.sweep_exports(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `exports`: has a worker remove the files of those that have expired, and returns of how many. A second call finds
-- none. Locks: exports that nobody else has locked → tasks.
declare
  v_export accounts.exports;
  v_swept integer := 0;
begin
  for v_export in
    select e.* from accounts.exports as e
    where e.expires_at <= p_before and e.deleting_at is null
    limit p_batch
    for update skip locked
  loop
    update accounts.exports as e set deleting_at = core.now() where e.id = v_export.id;
    perform queue.add('delete_export', v_export.id, v_export.user_id, core.now());
    v_swept := v_swept + 1;
  end loop;
  return v_swept;
end;
$$;

-- supabase/schemas/accounts/identities.sql

-- What Apple itself says about the identities of users: that its user consents no longer, or is no more.

create type accounts.identity_effect as enum (
  'unlinked', -- its user has the identity no longer
  'closed', -- nor an account
  'noted', -- only that it was told
  'outdated', -- its user has signed in with it since
  'nobody' -- no account is meant
);

create table accounts.identity_notifications (
  -- Apple's: the same each time that it is sent.
  notification_id text primary key check (char_length(notification_id) between 1 and 255),
  -- Apple's own words, also those that nobody here knows yet.
  type text not null check (char_length(type) between 1 and 100),
  -- Whom Apple means: their number in our apps.
  subject text check (char_length(subject) between 1 and 255),
  event_at timestamptz not null,
  received_at timestamptz not null,
  -- Who that is here; null for nobody.
  user_id uuid,
  effect accounts.identity_effect not null
);
alter table accounts.identity_notifications enable row level security;
create index identity_notifications_subject on accounts.identity_notifications (subject) where effect = 'unlinked';
create index identity_notifications_user on accounts.identity_notifications (user_id) where user_id is not null;
create index identity_notifications_of_nobody on accounts.identity_notifications (received_at) where user_id is null;
comment on table accounts.identity_notifications is 'What Apple told of identities, each notification once, and what was done.';

create function accounts.signs_in_without(p_user_id uuid, p_identity_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Whether a user can sign in by something else than that identity.
  select exists (select from auth.identities as i where i.user_id = p_user_id and i.id is distinct from p_identity_id)
    or exists (
      select from auth.users as a where a.id = p_user_id and (a.encrypted_password <> '' or a.phone <> '')
    )
$$;

create function accounts.unlink(p_identity_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes an identity from its user, as Auth itself does, with the address that came by it. Whoever cannot sign in without is
-- a guest again: their sessions live, their credits stay, and they can link, merge or be found again as any guest. A second
-- call changes nothing. The caller has locked the user's row in Auth. Locks: the identity.
declare
  v_identity auth.identities;
  v_left record;
begin
  delete from auth.identities as i where i.id = p_identity_id returning i.* into v_identity;
  if not found then
    return;
  end if;
  select not accounts.signs_in_without(v_identity.user_id, null) as is_guest,
    -- The first stays the first.
    case when count(*) = 0 then '{}' else jsonb_build_object(
      'provider', (array_agg(i.provider order by i.created_at, i.id))[1],
      'providers', jsonb_agg(i.provider order by i.created_at, i.id)
    ) end as providers,
    -- An address that has become another user's stays theirs.
    (array_agg(i.email order by i.created_at, i.id) filter (where i.email <> '' and not exists (
      select from auth.users as o where o.email = i.email and o.id <> i.user_id
    )))[1] as email
  into v_left
  from auth.identities as i
  where i.user_id = v_identity.user_id;
  update auth.users as a
  set is_anonymous = v_left.is_guest,
      raw_user_meta_data = case when v_left.is_guest then '{}' else a.raw_user_meta_data end,
      raw_app_meta_data = coalesce(a.raw_app_meta_data, '{}') - array['provider', 'providers'] || v_left.providers,
      updated_at = core.now()
  where a.id = v_identity.user_id;
  update auth.users as a
  set email = v_left.email, email_confirmed_at = case when v_left.email is not null then a.email_confirmed_at end
  where a.id = v_identity.user_id and lower(a.email) = lower(v_identity.email);
end;
$$;

create function accounts.heed_identity_notification(p_type text, p_subject text, p_event_at timestamptz)
returns table (user_id uuid, effect accounts.identity_effect)
language plpgsql
volatile
set search_path = ''
as $$
-- Does what Apple tells of an identity. `consent-revoked` unlinks it, unless its user has signed in with it since, which is
-- consent anew. `account-delete` unlinks it from whoever has another way in, and closes the account of whoever has none;
-- also of whom it was taken from before, since the two come in any order. Else nothing is done. A second call finds nobody, or
-- an account that is closed. Raises lock_not_available or serialization_failure where somebody changes the user at this moment: the
-- caller tries the whole again. Locks: account → the user's row in Auth, not waited for → the identity, or as accounts.close.
declare
  v_identity record;
  v_account credits.accounts;
begin
  select i.id, i.user_id, greatest(i.created_at, i.last_sign_in_at) as used_at into v_identity
  from auth.identities as i
  where i.provider = 'apple' and i.provider_id = p_subject;
  user_id := coalesce(v_identity.user_id, (
    select n.user_id from accounts.identity_notifications as n
    where n.subject = p_subject and n.effect = 'unlinked'
    order by n.event_at desc, n.received_at desc
    limit 1
  ));
  effect := 'noted';
  if user_id is null or not accounts.find(user_id) then
    effect := 'nobody';
    user_id := null;
  elsif p_type in ('consent-revoked', 'account-delete') then
    -- First the account: who deletes the user in Auth, or merges them, has it as well.
    v_account := credits.lock_account(user_id);
    perform from auth.users as a where a.id = user_id for update nowait;
    if exists (select from auth.identities as i where i.provider = 'apple' and i.provider_id = p_subject)
      is distinct from (v_identity.id is not null)
      or accounts.heir_of(user_id) <> user_id
    then
      raise exception 'the identity has changed hands meanwhile' using errcode = 'serialization_failure';
    end if;
    if p_type = 'consent-revoked' then
      effect := case
        when v_identity.id is null then 'nobody'
        -- Clocks differ; and to end a consent that was given again is the lesser harm.
        when v_identity.used_at > p_event_at + interval '1 minute' then 'outdated'
        else 'unlinked'
      end;
    elsif accounts.signs_in_without(user_id, v_identity.id) then
      effect := case when v_identity.id is null then 'nobody' else 'unlinked' end;
    elsif accounts.close(user_id) is not null then
      effect := 'closed';
    end if;
    if effect = 'unlinked' then
      perform accounts.unlink(v_identity.id);
    end if;
  end if;
  return next;
end;
$$;

select core.keep_rows_out_of_logs('accounts.identity_notifications');

-- supabase/schemas/accounts/channels.sql

-- What a user hears over Realtime: one private channel, `user:<user id>`, on which nobody but the database may send.

-- Its name.
create function accounts.channel_of(p_user_id uuid)
returns text
language sql
immutable
return 'user:' || p_user_id::text;

create function accounts.is_active(p_user_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether a user is neither suspended, closed nor merged. Who has called nothing yet has no row, and is. Not in SQL, which
-- would be planned anew at each event.
begin
  return not exists (
    select from accounts.users as u where u.id = p_user_id and (u.is_banned or accounts.is_out(u))
  );
end;
$$;

create function accounts.may_listen(p_topic text)
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  -- Whether the caller, by the claims of their token, may hear what is sent on the channel with this topic: their own, while
  -- their session lives and they are active. For the policy below, as whose role it is asked; Realtime asks when a channel is
  -- joined, and at each new token. Takes no lock; a second call asks again.
  select p_topic = accounts.channel_of(auth.uid())
    and accounts.is_session(auth.uid(), (auth.jwt() ->> 'session_id')::uuid) and accounts.is_active(auth.uid())
$$;

-- Who may not use a schema cannot name what is in it. There is nothing else in this one that `authenticated` may use.
grant execute on function accounts.may_listen(text) to authenticated;
grant usage on schema accounts to authenticated;

-- Receiving is a select, sending an insert, for which there is no policy. Of presence, which is another extension, nobody hears.
-- Realtime makes its table when it first begins to serve a project: where it is not there, nothing else is to fail, `health`
-- says so, and docs/deploying.md has this statement.
do $$
begin
  if to_regclass('realtime.messages') is null then
    raise warning 'Realtime has no table of messages yet: until the policy listen_to_own_channel is made, nobody hears anything';
  else
    execute 'create policy listen_to_own_channel on realtime.messages for select to authenticated
      using (extension = ''broadcast'' and (select accounts.may_listen(realtime.topic())))';
  end if;
end;
$$;

-- supabase/schemas/devices/devices.sql

-- devices: who was granted a device's credits, and what bounds it. In this order: devices.sql, limits.sql,
-- app-transactions.sql.

create schema devices;

create table devices.grants (
  user_id uuid primary key,
  granted_at timestamptz not null
);
alter table devices.grants enable row level security;
comment on table devices.grants is 'Who got a device''s credits.';

create table devices.lanes (
  -- As devices.network_of has it.
  network text primary key,
  holder uuid not null,
  leased_until timestamptz not null
);
alter table devices.lanes enable row level security;
comment on table devices.lanes is 'One device check of a network at a time is in its critical section.';

-- Written before a device's bit is set, and gone when the bit is known not to be. What is left is good for the grant.
create table devices.intents (
  -- The check that it belongs to, by the holder of the lane that it was made in.
  lane uuid primary key,
  -- Null once the account is erased: the row then only counts.
  user_id uuid,
  network text not null,
  -- Between these times it is good for a later check of its account in its network, too, since its own check may have
  -- died. Its own check needs it no longer by then.
  good_from timestamptz not null,
  good_until timestamptz not null,
  granted_at timestamptz
);
alter table devices.intents enable row level security;
create index intents_open on devices.intents (user_id) where granted_at is null;
-- For the counts of a network and of all.
create index intents_network on devices.intents (network, good_until);
create index intents_good_until on devices.intents (good_until);
comment on table devices.intents is 'Checks that meant to set a device''s bit; the limits of grants count them.';

-- supabase/schemas/devices/limits.sql

-- The network that grants are counted under: an IPv4 address, or the /48 of an IPv6 network, which is what a provider
-- gives a customer who asks. Who has none shares one with all who have none.
create function devices.network_of(p_network text)
returns text
language sql
immutable
return case
  when p_network is null then 'unknown'
  when p_network like '%:%' then network(set_masklen(p_network::inet, 48))::text
  else p_network
end;

create function devices.admit_intent(
  p_network text, p_is_proved boolean, out reason text, out retry_after integer, out limits jsonb
)
language plpgsql
volatile
set search_path = ''
as $$
-- Whether one more intent is admitted by `device_grants`, in its network, and by `device_grants_global`, over all.
-- `reason` and `retry_after`, in seconds, are null where it is. A policy without a row is broken, and admits nothing.
-- Grants count for the window from when they were made; an intent that may still become one counts until then. So no
-- window has one grant too many: the last of its intents saw all the others. `limits` are the network's alone; what
-- happens elsewhere is nobody's to see. Who has proved their Apple Account (p_is_proved) is bounded by that, and not by the
-- network, whose address a carrier may give to thousands. Locks: the policies' rows, until the transaction ends.
declare
  -- An intent counts a little longer than it is good, so that one that is just being granted is not overlooked.
  v_margin constant interval := interval '1 minute';
  v_policy guard.policies;
  v_now timestamptz;
  -- When each that counts will count no more, the soonest first.
  v_ends timestamptz[];
  v_used integer;
  v_policies integer := 0;
begin
  limits := '[]';
  for v_policy in
    select p.* from guard.policies as p
    where p.name in ('device_grants', 'device_grants_global') and p.counts = 'grants'
    order by p.name
    for no key update
  loop
    v_policies := v_policies + 1;
    continue when p_is_proved and v_policy.scope = 'network';
    v_now := core.now();
    select coalesce(array_agg(c.ends_at order by c.ends_at), '{}') into v_ends
    from (
      select coalesce(i.granted_at + v_policy.window_length, i.good_until + v_margin) as ends_at
      from (
        -- Apart, so that each is found by its index.
        select n.granted_at, n.good_until from devices.intents as n
        where v_policy.scope = 'network' and n.network = p_network
          and n.good_until > v_now - v_policy.window_length - v_margin
        union all
        select g.granted_at, g.good_until from devices.intents as g
        where v_policy.scope = 'global' and g.good_until > v_now - v_policy.window_length - v_margin
      ) as i
    ) as c
    where c.ends_at > v_now;
    v_used := cardinality(v_ends);
    if v_used >= v_policy.admits then
      reason := 'network_limit';
      -- There is room when the soonest ends, or a later one where the operator lowered the limit.
      retry_after := greatest(
        retry_after, ceil(date_part('epoch', v_ends[v_used - v_policy.admits + 1] - v_now))::integer
      );
    else
      v_ends := v_ends || v_now + v_policy.window_length;
      v_used := v_used + 1;
    end if;
    if v_policy.name = 'device_grants' then
      limits := jsonb_build_array(jsonb_build_object(
        'policy', v_policy.name, 'allowed', reason is null, 'current', v_used, 'limit', v_policy.admits,
        'window', v_policy.window_seconds, 'remaining', greatest(0, v_policy.admits - v_used),
        'reset', coalesce(retry_after, ceil(date_part('epoch', v_ends[1] - v_now))::integer)
      ));
    end if;
  end loop;
  if v_policies < 2 then
    raise warning 'a policy of device grants is missing';
    reason := 'busy';
    -- Only the operator can mend it. An account checks ten times an hour: whoever comes every six minutes is admitted.
    retry_after := 360;
  end if;
end;
$$;

-- supabase/schemas/devices/app-transactions.sql

-- Which guest an Apple Account was, so that a guest whose session is lost is found again.

create table devices.app_transactions (
  environment text not null check (environment in ('production', 'sandbox')),
  -- Apple's; the same for one Apple Account in this app, on each of its devices.
  app_transaction_id text not null check (char_length(app_transaction_id) between 1 and 40),
  -- The first guest who came with it, or whom they became; null once they are erased.
  user_id uuid,
  noted_at timestamptz not null,
  -- When a guest was found by it last.
  recovered_at timestamptz,
  -- When a device's credits were granted to somebody who came with it: once, whatever devices and networks take part.
  granted_at timestamptz,
  primary key (environment, app_transaction_id)
);
alter table devices.app_transactions enable row level security;
create index app_transactions_user on devices.app_transactions (user_id) where user_id is not null;
comment on table devices.app_transactions is 'Whom an Apple Account was first seen as, by StoreKit''s AppTransaction.';

create function devices.note_app_transaction(p_user_id uuid, p_app_transaction jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Notes that a user came with a verified `{ environment, app_transaction_id }`. Whoever was first stays, but one whose account
-- is closed or erased gives way. A second call changes nothing. Locks: its row.
begin
  insert into devices.app_transactions as t (environment, app_transaction_id, user_id, noted_at)
  values (
    p_app_transaction ->> 'environment', p_app_transaction ->> 'app_transaction_id', p_user_id, core.now()
  )
  on conflict (environment, app_transaction_id) do update
    set user_id = excluded.user_id, noted_at = excluded.noted_at
    where t.user_id is null or exists (
      select from accounts.users as u where u.id = t.user_id and u.closed_at is not null
    );
end;
$$;

create function devices.find_guest(p_app_transaction jsonb)
returns devices.app_transactions
language plpgsql
stable
set search_path = ''
as $$
-- Whom an Apple Account was first seen as; null for one that nobody came with.
declare
  v_row devices.app_transactions;
begin
  select t.* into v_row
  from devices.app_transactions as t
  where t.environment = p_app_transaction ->> 'environment'
    and t.app_transaction_id = p_app_transaction ->> 'app_transaction_id';
  return v_row;
end;
$$;

create function devices.users_of_app_transaction(p_app_transaction_id text)
returns setof uuid
language sql
stable
set search_path = ''
as $$
  -- Who came with an Apple Account, in whichever environment.
  select t.user_id from devices.app_transactions as t
  where t.environment in ('production', 'sandbox') and t.app_transaction_id = p_app_transaction_id and t.user_id is not null
$$;

-- Whether credits were granted for an app transaction already; false for none.
create function devices.is_granted(p_app_transaction jsonb)
returns boolean
language sql
stable
set search_path = ''
as $$
  select (devices.find_guest(p_app_transaction)).granted_at is not null
$$;

create function devices.claim_grant(p_app_transaction jsonb)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Takes the one grant of an app transaction, for the caller to make: false where it was taken. Locks: its row.
begin
  update devices.app_transactions as t set granted_at = core.now()
  where t.environment = p_app_transaction ->> 'environment'
    and t.app_transaction_id = p_app_transaction ->> 'app_transaction_id' and t.granted_at is null;
  return found;
end;
$$;

create function devices.note_recovery(p_found devices.app_transactions)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A guest was found by it. Locks: its row.
begin
  update devices.app_transactions as t set recovered_at = core.now()
  where t.environment = p_found.environment and t.app_transaction_id = p_found.app_transaction_id;
end;
$$;

select core.keep_rows_out_of_logs('devices.app_transactions');

-- supabase/schemas/ops/flags.sql

-- ops: the operator's room. In this order: flags.sql, evaluation.sql, errors.sql, alerts.sql, metric-types.sql, metrics.sql,
-- retention.sql, admins.sql, flag-changes.sql, credits.sql, safety.sql, views.sql, trace.sql, alert-metrics.sql,
-- alert-rules.sql, alert-actions.sql, incidents.sql, alert-changes.sql, purchases.sql, metric-views.sql, stats.sql, reports.sql,
-- upkeep.sql, exposures.sql, users.sql, jobs.sql, search.sql.

create schema ops;

create type ops.flag_type as enum ('boolean', 'string', 'number', 'object');

create table ops.feature_flags (
  -- In a URL, and hashed: imurmurhash, which flagd's library uses, knows no other characters.
  key text primary key check (key ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
  -- What is disabled has its off variant for everybody, whatever the rules say.
  is_enabled boolean not null default true,
  -- One that the backend asks itself, for everybody at once: on or off, without rules.
  is_switch boolean not null default false,
  -- Whom a split gives which variant is counted, once a user and variant.
  is_experiment boolean not null default false,
  -- Counts the changes; who changes a flag by hand need not think of it. Ours begin with 1: 0 was made by hand.
  version integer not null default 0,
  type ops.flag_type not null default 'boolean',
  -- The values by their names, all of the type.
  variants jsonb not null default '{"on": true, "off": false}',
  -- Whoever no rule is about.
  default_variant text not null default 'on',
  -- While it is disabled; null: whatever the app's code has as its default.
  off_variant text default 'off',
  -- In order, the first that fits decides; null for none. ops.flag_faults says what a rule may be.
  rules jsonb,
  description text check (char_length(description) between 1 and 500)
);
alter table ops.feature_flags enable row level security;
comment on table ops.feature_flags is
  'Feature flags, the backend''s own switches among them: what such a one switches off answers ERR_6004 with its key as `feature`.';

-- Whether a flag is not disabled; one that nobody named is not.
create function ops.is_enabled(p_feature text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce((select f.is_enabled from ops.feature_flags as f where f.key = p_feature), true);
end;
$$;

-- supabase/schemas/ops/evaluation.sql

-- A 32-bit word of some bytes, as MurmurHash3 scrambles it. A rotation stands here as what it is, a product modulo 2^32 - 1, which
-- names the number once; and constants as signed numbers, so that no product leaves a bigint.
create function ops.murmur3_word(p_bytes bytea, p_place integer)
returns bigint
language sql
immutable
return ((((
    get_byte(p_bytes, p_place) | (get_byte(p_bytes, p_place + 1) << 8)
      | (get_byte(p_bytes, p_place + 2) << 16) | (get_byte(p_bytes, p_place + 3) << 24)
  )::bigint * -862048943 & 4294967295) << 15) - 1) % 4294967295 + 1;

-- A hash with such a word mixed in.
create function ops.murmur3_mixed(p_hash bigint, p_bytes bytea, p_place integer)
returns bigint
language sql
immutable
return (
  (((p_hash # (ops.murmur3_word(p_bytes, p_place) * 461845907 & 4294967295)) << 13) - 1) % 4294967295 + 1
) * 5 + 3864292196 & 4294967295;

create function ops.murmur3(p_text text)
returns bigint
language plpgsql
immutable
set search_path = ''
as $$
-- MurmurHash3 (x86, 32 bits, seed 0) of a text in ASCII, from 0 to 2^32 - 1: flagd's own, so that both put a user into the same bucket.
declare
  -- The last word is filled up with zeros, and one of zeros changes nothing.
  v_bytes constant bytea := convert_to(p_text, 'UTF8') || '\x000000';
  v_length constant integer := length(v_bytes) - 3;
  v_hash bigint := 0;
  v_place integer := 0;
begin
  -- A user's id alone has nine words. Each statement costs as much as two words do.
  if v_length >= 32 then
    v_hash := ops.murmur3_mixed(ops.murmur3_mixed(ops.murmur3_mixed(ops.murmur3_mixed(
      ops.murmur3_mixed(ops.murmur3_mixed(ops.murmur3_mixed(ops.murmur3_mixed(
        v_hash, v_bytes, 0), v_bytes, 4), v_bytes, 8), v_bytes, 12), v_bytes, 16), v_bytes, 20), v_bytes, 24), v_bytes, 28);
    v_place := 32;
  end if;
  for v_word in v_place .. v_length - 4 by 4 loop
    v_hash := ops.murmur3_mixed(v_hash, v_bytes, v_word);
  end loop;
  v_hash := v_hash # (
    case v_length & 3 when 0 then 0 else ops.murmur3_word(v_bytes, v_length & -4) * 461845907 & 4294967295 end
  ) # v_length;
  v_hash := (v_hash # (v_hash >> 16)) * -2048144789 & 4294967295;
  v_hash := (v_hash # (v_hash >> 13)) * -1028477387 & 4294967295;
  return v_hash # (v_hash >> 16);
end;
$$;

create function ops.version_parts(p_version text)
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
-- A semantic version's major, minor and patch number, and what stands before its release; null where it is none. As flagd reads
-- them: with or without a `v` before it, and `1.2` is `1.2.0`. Numbers of up to nine digits.
declare
  -- Without its build. What is captured in a form as long as this one costs thirty times as much as whether it fits.
  v_plain constant text := split_part(ltrim(p_version, 'vV'), '+', 1);
  v_numbers constant text := split_part(v_plain, '-', 1);
begin
  if p_version ~ (
    '^[vV]?(?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){2}'
      '(?:-(?:0|[1-9][0-9]{0,8}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9][0-9]{0,8}|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?'
      '(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$'
  ) then
    return array[
      split_part(v_numbers, '.', 1), split_part(v_numbers, '.', 2), split_part(v_numbers, '.', 3),
      nullif(substr(v_plain, char_length(v_numbers) + 2), '')
    ];
  elsif p_version ~ '^[vV]?[0-9]{1,9}(?:\.[0-9]{1,9})?$' then
    return array[split_part(v_plain, '.', 1), coalesce(nullif(split_part(v_plain, '.', 2), ''), '0'), '0', null];
  end if;
  return null;
end;
$$;

create function ops.compare_versions(p_one text[], p_other text[])
returns integer
language plpgsql
immutable
set search_path = ''
as $$
-- -1, 0 or 1, as the first of two versions (ops.version_parts) comes before, with or after the other: semver.org, rule 11.
declare
  v_ones text[];
  v_others text[];
  v_one text;
  v_other text;
begin
  for v_index in 1 .. 3 loop
    if p_one[v_index]::integer <> p_other[v_index]::integer then
      return sign(p_one[v_index]::integer - p_other[v_index]::integer);
    end if;
  end loop;
  if p_one[4] is null or p_other[4] is null then
    -- What is not released yet comes before its release.
    return (p_one[4] is null)::integer - (p_other[4] is null)::integer;
  end if;
  v_ones := string_to_array(p_one[4], '.');
  v_others := string_to_array(p_other[4], '.');
  for v_index in 1 .. greatest(cardinality(v_ones), cardinality(v_others)) loop
    v_one := v_ones[v_index];
    v_other := v_others[v_index];
    if v_one is null or v_other is null then
      return (v_other is null)::integer - (v_one is null)::integer;
    end if;
    continue when v_one = v_other;
    if v_one ~ '^[0-9]+$' and v_other ~ '^[0-9]+$' then
      return sign(v_one::integer - v_other::integer);
    elsif v_one ~ '^[0-9]+$' or v_other ~ '^[0-9]+$' then
      -- Numbers come before words.
      return case when v_one ~ '^[0-9]+$' then -1 else 1 end;
    end if;
    return case when v_one < v_other collate "C" then -1 else 1 end;
  end loop;
  return 0;
end;
$$;

create function ops.fits_version(p_version text, p_comparison text)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
-- Whether a version is as a comparison such as `>=1.2.0` says; null where either is no version. `^` is the same major number,
-- `~` the same minor number, too.
declare
  v_operator constant text := (regexp_match(p_comparison, '^(?:=|!=|<=?|>=?|\^|~)'))[1];
  v_version constant text[] := ops.version_parts(p_version);
  v_bound constant text[] := ops.version_parts(btrim(substr(p_comparison, char_length(v_operator) + 1)));
begin
  if v_version[1] is null or v_bound[1] is null then
    return null;
  end if;
  return case v_operator
    when '=' then ops.compare_versions(v_version, v_bound) = 0
    when '!=' then ops.compare_versions(v_version, v_bound) <> 0
    when '<' then ops.compare_versions(v_version, v_bound) < 0
    when '<=' then ops.compare_versions(v_version, v_bound) <= 0
    when '>' then ops.compare_versions(v_version, v_bound) > 0
    when '>=' then ops.compare_versions(v_version, v_bound) >= 0
    when '^' then v_version[1]::integer = v_bound[1]::integer
    when '~' then v_version[1]::integer = v_bound[1]::integer and v_version[2]::integer = v_bound[2]::integer
  end;
end;
$$;

-- What a flag is for somebody: the value, null where it is for the app's code to say; which variant; why, in the words of OpenFeature
-- (STATIC, TARGETING_MATCH, SPLIT, DEFAULT, DISABLED, ERROR); and of an ERROR, what went wrong.
create type ops.evaluation as (value jsonb, variant text, reason text, detail text);

create function ops.evaluate(p_flag ops.feature_flags, p_user_id uuid, p_context jsonb)
returns ops.evaluation
language plpgsql
stable
set search_path = ''
as $$
-- What a flag is for a user, and for what their app says of itself: `app_version`, `platform` and `locale` of the context, of which
-- nothing is believed that a right stands on. A rule whose condition asks for what is not there does not fit; one that cannot be
-- evaluated ends it, with the default variant and the reason ERROR. Takes no lock.
declare
  v_rules constant jsonb := p_flag.rules;
  v_rule jsonb;
  v_split jsonb;
  v_fits boolean;
  v_version text;
  v_total bigint := 0;
  v_bucket bigint;
  v_variant text;
begin
  if not p_flag.is_enabled then
    return (p_flag.variants -> p_flag.off_variant, p_flag.off_variant, 'DISABLED', null)::ops.evaluation;
  elsif v_rules is null then
    return (p_flag.variants -> p_flag.default_variant, p_flag.default_variant, 'STATIC', null)::ops.evaluation;
  end if;
  <<rules>>
  for v_index in 0 .. jsonb_array_length(v_rules) - 1 loop
    v_rule := v_rules -> v_index;
    continue when v_rule ? 'users' and (v_rule -> 'users' ? p_user_id::text) is not true
      or v_rule ? 'platforms' and (v_rule -> 'platforms' ? (p_context ->> 'platform')) is not true
      or v_rule ? 'locales' and (v_rule -> 'locales' ? (p_context ->> 'locale')) is not true;
    if v_rule ? 'from' or v_rule ? 'until' then
      continue when core.now() < (v_rule ->> 'from')::timestamptz or core.now() >= (v_rule ->> 'until')::timestamptz;
    end if;
    if v_rule ? 'app_versions' then
      v_version := p_context ->> 'app_version';
      continue when v_version is null;
      for v_place in 0 .. jsonb_array_length(v_rule -> 'app_versions') - 1 loop
        v_fits := ops.fits_version(v_version, v_rule -> 'app_versions' ->> v_place);
        if v_fits is null then
          return (
            p_flag.variants -> p_flag.default_variant, p_flag.default_variant, 'ERROR',
            format('rules[%s]: app_version is no semantic version', v_index)
          )::ops.evaluation;
        end if;
        continue rules when not v_fits;
      end loop;
    end if;

    v_variant := v_rule ->> 'variant';
    if v_variant is not null then
      return (p_flag.variants -> v_variant, v_variant, 'TARGETING_MATCH', null)::ops.evaluation;
    elsif p_user_id is null then
      return (
        p_flag.variants -> p_flag.default_variant, p_flag.default_variant, 'ERROR',
        format('rules[%s]: a split needs a user', v_index)
      )::ops.evaluation;
    end if;
    v_split := v_rule -> 'split';
    for v_place in 0 .. jsonb_array_length(v_split) - 1 loop
      v_total := v_total + (v_split -> v_place -> 'weight')::bigint;
    end loop;
    v_bucket := (ops.murmur3(p_flag.key || p_user_id) * v_total) >> 32;
    for v_place in 0 .. jsonb_array_length(v_split) - 1 loop
      v_bucket := v_bucket - (v_split -> v_place -> 'weight')::bigint;
      if v_bucket < 0 then
        v_variant := v_split -> v_place ->> 'variant';
        return (p_flag.variants -> v_variant, v_variant, 'SPLIT', null)::ops.evaluation;
      end if;
    end loop;
  end loop;
  return (p_flag.variants -> p_flag.default_variant, p_flag.default_variant, 'DEFAULT', null)::ops.evaluation;
end;
$$;

create function ops.flag(p_key text, p_user_id uuid, p_context jsonb default '{}')
returns ops.evaluation
language plpgsql
stable
set search_path = ''
as $$
-- What a flag is for a user (ops.evaluate), for a procedure that decides by it; one that there is not has no value, and the reason
-- ERROR. It counts no exposure: whoever acts on an experiment calls ops.count_exposure. Takes no lock.
declare
  v_flag ops.feature_flags;
begin
  select f.* into v_flag from ops.feature_flags as f where f.key = p_key;
  if not found then
    return (null, null, 'ERROR', 'there is no such flag')::ops.evaluation;
  elsif v_flag.is_enabled and v_flag.rules is null then
    -- As ops.evaluate has it, for two thirds of the price.
    return (v_flag.variants -> v_flag.default_variant, v_flag.default_variant, 'STATIC', null)::ops.evaluation;
  end if;
  return ops.evaluate(v_flag, p_user_id, p_context);
end;
$$;

-- supabase/schemas/ops/errors.sql

create table ops.error_log (
  minute timestamptz not null,
  code text not null check (code ~ '^ERR_[56]\d{3}$'),
  -- The endpoint, or `tick`.
  endpoint text not null,
  -- Which of the minute's rows of this code and endpoint.
  place smallint not null,
  occurred_at timestamptz not null,
  severity text not null generated always as (core.error_severity(code)) stored,
  user_id uuid,
  request_id text,
  -- Redacted by whoever recorded it.
  context jsonb not null,
  -- The errors that this row stands for: its own, and those that had no row of their own.
  count integer not null check (count > 0),
  primary key (minute, code, endpoint, place)
);
alter table ops.error_log enable row level security;
create index error_log_request on ops.error_log (request_id);
comment on table ops.error_log is 'ERR_5xxx and ERR_6xxx of requests, of the work after them, and of scheduled tasks.';

create function ops.record_error(
  p_code text, p_endpoint text, p_user_id uuid, p_request_id text, p_context jsonb, p_count integer default 1
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Records that something went wrong, so many times. Of one code and endpoint 5 a minute have rows of their own; the
-- others add to the count of one of them, so that a day of nothing but errors writes some 20 MB and not the disk full.
-- `data`: `{ recorded: "whole" | "counted" }`. A second call records a second error. Locks: the row that it counts in.
declare
  v_now constant timestamptz := core.now();
  v_minute constant timestamptz := date_trunc('minute', v_now);
  v_rows constant integer := 5;
  -- Any of them, so that a flood does not wait for one row.
  v_place constant integer := 1 + floor(random() * v_rows);
begin
  for v_free in 1 .. v_rows loop
    insert into ops.error_log (minute, code, endpoint, place, occurred_at, user_id, request_id, context, count)
    values (
      v_minute, p_code, p_endpoint, v_free, v_now, p_user_id, p_request_id,
      -- A stack with its causes is shorter.
      case when length(p_context::text) <= 8000 then p_context
        else jsonb_build_object('cut', left(p_context::text, 4000)) end,
      p_count
    )
    on conflict do nothing;
    if found then
      return guard.answer('{"recorded": "whole"}');
    end if;
  end loop;
  update ops.error_log as e
  set count = e.count + p_count
  where e.minute = v_minute and e.code = p_code and e.endpoint = p_endpoint and e.place = v_place;
  return guard.answer('{"recorded": "counted"}');
end;
$$;

-- A row of the log, for an admin.
create function ops.error_json(p_error ops.error_log)
returns jsonb
language sql
stable
return jsonb_build_object(
  'minute', core.to_iso((p_error).minute), 'at', core.to_iso((p_error).occurred_at), 'code', (p_error).code,
  'severity', (p_error).severity, 'endpoint', (p_error).endpoint, 'place', (p_error).place,
  'message', coalesce((p_error).context #>> '{error,message}', (p_error).context ->> 'error'), 'context', (p_error).context,
  'count', (p_error).count, 'user_id', (p_error).user_id, 'request_id', (p_error).request_id
);

-- supabase/schemas/ops/alerts.sql

-- What only the operator can mend: what somebody met (ops.raise_alert), and what a rule measured (alert-rules.sql).

create type ops.alert_level as enum ('warning', 'critical');

create table ops.alerts (
  id uuid primary key default core.new_id(),
  -- What is wrong, and with what: `result_host`, `fal cdn.example.com`. What a rule measured has the rule's name.
  rule text not null check (rule ~ '^[a-z][a-z0-9_]{0,49}$'),
  subject text not null check (char_length(subject) between 1 and 300),
  details jsonb not null,
  -- How often it was met, or measured.
  count integer not null default 1,
  raised_at timestamptz not null,
  last_at timestamptz not null,
  level ops.alert_level not null default 'warning',
  -- What a rule measured last, and the bound that it crossed; null of what was met.
  metric text,
  value numeric,
  threshold numeric,
  -- From then on nothing more is told of it until it is over.
  acknowledged_at timestamptz,
  resolved_at timestamptz,
  constraint alerts_measured check (num_nonnulls(metric, value, threshold) in (0, 3))
);
alter table ops.alerts enable row level security;
create index alerts_rule on ops.alerts (rule, subject, last_at);
create index alerts_raised on ops.alerts (raised_at desc, id desc);
create index alerts_open_raised on ops.alerts (raised_at desc, id desc) where resolved_at is null;
create unique index alerts_open on ops.alerts (rule, subject) where resolved_at is null;
comment on table ops.alerts is 'What only the operator can mend, from when it was met first until it was over.';

create table ops.alert_changes (
  id uuid primary key default core.new_id(),
  alert_id uuid not null references ops.alerts on delete cascade,
  state text not null check (state in ('warning', 'critical', 'acknowledged', 'ok')),
  value numeric,
  changed_at timestamptz not null
);
alter table ops.alert_changes enable row level security;
create index alert_changes_alert on ops.alert_changes (alert_id, changed_at);
comment on table ops.alert_changes is 'Each change of an alert: ok → warning → critical → ok, and that an admin knows of it.';

create function ops.note_alert(p_alert ops.alerts, p_state text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Writes down a change of an alert and tells it; of one that is acknowledged nothing is told until it is over. A second
-- call writes a second change. Locks: nothing that anybody waits for.
begin
  insert into ops.alert_changes (alert_id, state, value, changed_at)
  values (p_alert.id, p_state, p_alert.value, core.now());
  if p_state in ('warning', 'critical') and p_alert.acknowledged_at is not null then
    return;
  end if;
  perform events.publish(
    case p_state when 'ok' then 'alert.resolved' when 'acknowledged' then 'alert.acknowledged' else 'alert.raised' end, null,
    jsonb_build_object(
      'alert_id', p_alert.id, 'rule', p_alert.rule, 'subject', p_alert.subject, 'level', p_alert.level,
      'metric', p_alert.metric, 'value', p_alert.value, 'threshold', p_alert.threshold
    )
  );
end;
$$;

create function ops.raise_alert(p_rule text, p_subject text, p_details jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells the operator what was met. What was met within the last hour is the same alert, which counts on; after an hour
-- without it, it is over, and a new one. Called last in a transaction. Locks: the alert, by its rule and subject.
declare
  v_now constant timestamptz := core.now();
  -- Whoever cannot say of what, or nothing more, is heard all the same: what it is at must not fail by it.
  v_subject constant text := left(coalesce(nullif(p_subject, ''), 'unknown'), 300);
  v_details constant jsonb := coalesce(p_details, '{}');
  v_alert ops.alerts;
begin
  -- Two that meet it first are one alert. Of two numbers, as in ops.take_credits; 3 is alerts.
  perform pg_advisory_xact_lock(3, hashtext(p_rule || ' ' || v_subject));
  update ops.alerts as a
  set count = a.count + 1, last_at = v_now, details = v_details
  where a.rule = p_rule and a.subject = v_subject and a.resolved_at is null and a.last_at > v_now - interval '1 hour';
  if not found then
    perform ops.resolve_alert(p_rule, v_subject);
    insert into ops.alerts (rule, subject, details, raised_at, last_at)
    values (p_rule, v_subject, v_details, v_now, v_now)
    returning * into v_alert;
    perform ops.note_alert(v_alert, 'warning');
  end if;
end;
$$;

create function ops.resolve_alert(p_rule text, p_subject text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- What was wrong is over, which is told. False, and nothing changes, where no such alert is open. Locks: the alert.
declare
  v_alert ops.alerts;
begin
  update ops.alerts as a
  set resolved_at = core.now()
  where a.rule = p_rule and a.subject = left(p_subject, 300) and a.resolved_at is null
  returning * into v_alert;
  if v_alert.id is null then
    return false;
  end if;
  perform ops.note_alert(v_alert, 'ok');
  return true;
end;
$$;

create function ops.withdraw_alert(p_rule text, p_subject text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes back what the operator was told, since it turned out not to be so. Called last in a transaction. Locks: the alerts.
begin
  perform ops.resolve_alert(p_rule, p_subject);
  delete from ops.alerts as a where a.rule = p_rule and a.subject = left(p_subject, 300);
end;
$$;

create function ops.acknowledge_alert(p_alert_id uuid, p_is_acknowledged boolean)
returns ops.alerts
language plpgsql
volatile
set search_path = ''
as $$
-- Somebody knows of an alert, or does not after all: the alert as it was before; null where it is not open. What changes
-- nothing is not written down. Locks: the alert.
declare
  v_before ops.alerts;
  v_after ops.alerts;
begin
  select a.* into v_before from ops.alerts as a where a.id = p_alert_id and a.resolved_at is null for update;
  if found and p_is_acknowledged <> (v_before.acknowledged_at is not null) then
    update ops.alerts as a
    set acknowledged_at = case when p_is_acknowledged then core.now() end
    where a.id = p_alert_id
    returning * into v_after;
    perform ops.note_alert(v_after, case when p_is_acknowledged then 'acknowledged' else v_after.level::text end);
  end if;
  return v_before;
end;
$$;

create view ops.open_alerts with (security_invoker = true) as
select a.rule, a.subject, a.level, a.details, a.count, a.raised_at, a.last_at, a.metric, a.value, a.threshold, a.acknowledged_at, a.id
from ops.alerts as a
where a.resolved_at is null and (a.metric is not null or a.last_at > now() - interval '1 hour');
comment on view ops.open_alerts is
  'What waits for the operator: what was met within the last hour, and what a rule measures too much of.';

-- supabase/schemas/ops/metric-types.sql

-- Made from the catalogue in supabase/functions/_shared/ops/metric-catalogue.ts, the folders of supabase/functions, the
-- registry of errors and supabase/schemas/api by `deno task generate`.

-- What an isolate counts: its name, what it is, the values that each label may have (a list, or the name of one in
-- ops.metric_sets), and the bounds of its buckets, null where it has none.
create type ops.metric_type as (name text, help text, labels jsonb, bounds double precision[]);

-- Every metric that an isolate counts.
create function ops.metric_types()
returns ops.metric_type[]
language sql
immutable
return array[
  row('requests', 'Requests that were answered', '{"endpoint":"@endpoints","status":"@statuses","code":"@codes"}', null)::ops.metric_type,
  row('request_seconds', 'Time from a request to its answer', '{"endpoint":"@endpoints"}', '{0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30}')::ops.metric_type,
  row('limit_refusals', 'Requests that a rate limit refused', '{"policy":"@policies"}', null)::ops.metric_type,
  row('data_api_calls', 'Calls of the stored procedures through the Data API', '{"procedure":"@procedures","outcome":["ok","refused","busy","failed","unanswered"]}', null)::ops.metric_type,
  row('data_api_seconds', 'Time of a call of a stored procedure', '{"procedure":"@procedures"}', '{0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30}')::ops.metric_type,
  row('provider_calls', 'Exchanges with services outside, each try by itself', '{"provider":["fal","replicate","runway","openai","apple_device_check","apple_id","app_store"],"operation":["submit","poll","cancel","judge","ask","webhook_keys"],"outcome":["ok","refused","busy","failed","unanswered"]}', null)::ops.metric_type,
  row('provider_seconds', 'Time of an exchange with a service outside', '{"provider":["fal","replicate","runway","openai","apple_device_check","apple_id","app_store"],"operation":["submit","poll","cancel","judge","ask","webhook_keys"]}', '{0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30}')::ops.metric_type,
  row('retries', 'Exchanges that were repeated because the one before did not help', '{"service":["data_api","fal","replicate","runway","openai","apple_device_check","apple_id","app_store"]}', null)::ops.metric_type,
  row('cold_starts', 'Isolates that answered their first request', '{"endpoint":"@endpoints"}', null)::ops.metric_type,
  row('memory_bytes', 'Memory of an isolate, whenever it told its counts', '{"endpoint":"@endpoints"}', '{33554432,67108864,100663296,134217728,167772160,201326592,234881024,268435456}')::ops.metric_type
];

-- The closed sets that several labels share.
create function ops.metric_sets()
returns jsonb
language sql
immutable
return '{
  "@endpoints": [
    "admin-adjust-credits", "admin-alerts", "admin-errors", "admin-flags", "admin-jobs", "admin-limits",
    "admin-models", "admin-products", "admin-queue", "admin-refund-credits", "admin-reports", "admin-search",
    "admin-stats", "admin-users", "admin-webhook-deliveries", "admin-webhooks", "app-store-notifications", "appeals",
    "apple-identity-notifications", "cancel-video", "credits", "delete-video-job", "device-check", "flags",
    "generate-video", "generate-videos", "health", "merge-guest", "metrics", "models", "notifications",
    "process-jobs", "products", "projects", "provider-webhook", "purchases", "push-tokens", "recover-guest",
    "reports", "sessions", "takedown-notices", "uploads", "user-export", "user-profile", "video-jobs", "video-status"
  ],
  "@statuses": [
    "200", "201", "202", "204", "304", "400", "401", "402", "403", "404", "405", "409", "410", "413", "415", "422",
    "429", "500", "502", "503", "504"
  ],
  "@codes": [
    "none", "ERR_4001", "ERR_4002", "ERR_4003", "ERR_4004", "ERR_4005", "ERR_4006", "ERR_4007", "ERR_4008",
    "ERR_4009", "ERR_4010", "ERR_4011", "ERR_4012", "ERR_4013", "ERR_4014", "ERR_4015", "ERR_4016", "ERR_4017",
    "ERR_4018", "ERR_4019", "ERR_4020", "ERR_4021", "ERR_4022", "ERR_5001", "ERR_5002", "ERR_5003", "ERR_6001",
    "ERR_6002", "ERR_6003", "ERR_6004"
  ],
  "@procedures": [
    "admin_adjust_credits", "admin_errors", "admin_refund_credits", "admin_search", "admin_stats",
    "app_store_notifications", "appeals", "apple_identity_notifications", "begin_device_check", "cancel_video",
    "claim_submission", "claim_tasks", "credits", "delete_admin_webhooks", "delete_projects", "delete_push_tokens",
    "delete_sessions", "delete_uploads", "delete_user_profile", "delete_video_job", "deliver_inbox",
    "enter_device_lane", "erase_account", "finish_apple_revocation", "finish_consumption", "finish_export",
    "finish_export_deletion", "finish_notification_history", "finish_push", "finish_webhook_delivery", "flags",
    "generate_video", "generate_videos", "get_admin_alerts", "get_admin_flags", "get_admin_jobs", "get_admin_limits",
    "get_admin_models", "get_admin_products", "get_admin_queue", "get_admin_reports", "get_admin_users",
    "get_admin_webhook_deliveries", "get_admin_webhooks", "get_notifications", "get_projects", "get_purchases",
    "get_sessions", "get_uploads", "get_user_profile", "grant_device_credits", "health", "keep_apple_token",
    "keep_signed_urls", "leave_device_lane", "load_consumption", "load_erasure", "load_export", "load_export_page",
    "load_notification_history", "load_upload", "load_upload_files", "merge_guest", "metrics", "models",
    "patch_admin_alerts", "patch_admin_flags", "patch_admin_limits", "patch_admin_models", "patch_admin_products",
    "patch_admin_reports", "patch_admin_webhooks", "patch_notifications", "patch_projects", "patch_uploads",
    "patch_user_profile", "post_admin_jobs", "post_admin_products", "post_admin_queue", "post_admin_users",
    "post_admin_webhook_deliveries", "post_admin_webhooks", "post_projects", "post_purchases", "post_push_tokens",
    "post_uploads", "products", "provider_webhook", "record_cancel", "record_device_intent", "record_error",
    "record_files_deleted", "record_fingerprint", "record_image", "record_metrics", "record_notification_history",
    "record_poll", "record_provider_accounts", "record_stored", "record_submission", "record_unusable_result",
    "record_upload_tidied", "recover_guest", "renew_tasks", "reports", "retry_task", "takedown_notices",
    "user_export", "video_jobs", "video_status"
  ],
  "@policies": [
    "video_generation", "uncaptured_jobs", "generation_attempts", "generation_attempts_network", "device_check",
    "device_check_network", "device_grants", "device_grants_global", "signed_urls", "reads", "writes", "exports",
    "takedown_notices", "takedown_notices_network", "replays", "admin", "admin_credits", "purchases",
    "sandbox_credits", "sandbox_credits_global", "unauthenticated"
  ]
}'::jsonb;

-- supabase/schemas/ops/metrics.sql

-- What only the functions know: how many requests, how long, whom they asked. Counted in the isolates, told in rows that
-- nobody updates, and folded into points. It is best effort: no bill, and no alert about money, stands on it.

-- Emptied by a crash, as an isolate's own memory is. Without an index: it is written often and read as a whole.
create unlogged table ops.metric_rows (
  recorded_at timestamptz not null,
  name text not null,
  labels jsonb not null,
  count bigint not null,
  sum double precision not null,
  buckets bigint[] not null
);
alter table ops.metric_rows enable row level security;
comment on table ops.metric_rows is 'What isolates have told and ops.fold_metrics has not folded yet.';

create table ops.metric_points (
  -- What a point stands for: a minute, an hour or a day in UTC, or all that ever was.
  step text not null check (step in ('minute', 'hour', 'day', 'total')),
  -- When it begins; -infinity for a total.
  at timestamptz not null,
  name text not null,
  labels jsonb not null,
  -- How often; for a histogram, of how many.
  count bigint not null,
  -- Of what was measured; 0 for what is only counted.
  sum double precision not null,
  -- How many of them lie in each bucket, not cumulated; {} for what is only counted.
  buckets bigint[] not null,
  primary key (step, at, name, labels)
) with (fillfactor = 70);
alter table ops.metric_points enable row level security;
-- A series over its time.
create index metric_points_name on ops.metric_points (name, step, at);
comment on table ops.metric_points is
  'What isolates counted, by minute (2 days), hour (90 days), day (2 years), and ever. A database that is restored goes on.';

create view ops.metric_minutes with (security_invoker = true) as
select p.at as minute, p.name, p.labels, p.count, p.sum, p.buckets from ops.metric_points as p where p.step = 'minute';
comment on view ops.metric_minutes is 'What isolates counted in each minute of the last 2 days.';

create view ops.metric_hours with (security_invoker = true) as
select p.at as hour, p.name, p.labels, p.count, p.sum, p.buckets from ops.metric_points as p where p.step = 'hour';
comment on view ops.metric_hours is 'What isolates counted in each hour of the last 90 days.';

create view ops.metric_days with (security_invoker = true) as
select p.at as day, p.name, p.labels, p.count, p.sum, p.buckets from ops.metric_points as p where p.step = 'day';
comment on view ops.metric_days is 'What isolates counted in each day, in UTC, of the last 2 years.';

create function ops.closed_labels(p_type ops.metric_type, p_labels jsonb)
returns jsonb
language sql
stable
set search_path = ''
as $$
-- The labels of a metric, each with a value of its set: what is not of it is `other`. What is no label of it is left out.
select coalesce(jsonb_object_agg(l.label, case
  when coalesce(ops.metric_sets() -> (l.allowed #>> '{}'), l.allowed) ? (p_labels ->> l.label) then p_labels ->> l.label
  else 'other'
end), '{}')
from jsonb_each((p_type).labels) as l (label, allowed)
$$;

create function ops.record_metrics(p_rows jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Notes what an isolate counted: `[{ name, labels, count, sum?, buckets? }]`, up to 1,000 of them, under the database's
-- own time. A metric that this database does not know, or that is not of its form, is left out: a function may be newer.
-- `data`: `{ recorded }`. A second call counts a second time. Locks: nothing; no row that another call writes.
declare
  v_now constant timestamptz := core.now();
  v_recorded integer;
begin
  insert into ops.metric_rows (recorded_at, name, labels, count, sum, buckets)
  select v_now, t.name, ops.closed_labels(t, r.labels), r.count, coalesce(r.sum, 0), coalesce(r.buckets, '{}')
  from jsonb_to_recordset(case when jsonb_typeof(p_rows) = 'array' then p_rows else '[]' end)
    as r (name text, labels jsonb, count bigint, sum double precision, buckets bigint[])
  join unnest(ops.metric_types()) as t on t.name = r.name
  where r.count > 0
    and coalesce(r.sum, 0) >= 0 and coalesce(r.sum, 0) < 'infinity'
    and cardinality(coalesce(r.buckets, '{}')) = coalesce(cardinality(t.bounds) + 1, 0)
    and 0 <= all (coalesce(r.buckets, '{}'))
  limit 1000;
  get diagnostics v_recorded = row_count;
  return guard.answer(jsonb_build_object('recorded', v_recorded));
end;
$$;

create function ops.fold_metrics()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `fold_metrics`: adds what isolates have told to the points of its minute, hour and day, and to what
-- ever was, and returns how many rows there were. It takes some at a time and ends well before its time limit, so that what
-- has piled up is less after each run; the rest is for the next. A second call finds none of them. Locks: the rows, past
-- those that another call has → the points; of two at once, which the tick does not have, one may be undone.
declare
  v_batch constant integer := 5000;
  v_until constant timestamptz := clock_timestamp() + interval '1 second';
  v_folded integer;
  v_all integer := 0;
begin
  loop
    with taken as (
      delete from ops.metric_rows as d
      where d.ctid = any (array(select r.ctid from ops.metric_rows as r limit v_batch for update skip locked))
      returning date_trunc('minute', d.recorded_at, 'UTC') as minute, d.name, d.labels, d.count, d.sum, d.buckets
    ),
    -- Of a minute there are many rows and few series: the longer steps are made of these.
    minutes as (
      select t.minute, t.name, t.labels, sum(t.count) as count, sum(t.sum) as sum, count(*) as rows
      from taken as t
      group by t.minute, t.name, t.labels
    ),
    minute_cells as (
      select t.minute, t.name, t.labels, b.place, sum(b.count) as count
      from taken as t
      cross join unnest(t.buckets) with ordinality as b (count, place)
      group by t.minute, t.name, t.labels, b.place
    ),
    sums as (
      select s.step, s.at, m.name, m.labels, sum(m.count)::bigint as count, sum(m.sum) as sum
      from minutes as m
      cross join lateral (values ('minute', m.minute), ('hour', date_trunc('hour', m.minute, 'UTC')),
        ('day', date_trunc('day', m.minute, 'UTC')), ('total', '-infinity')) as s (step, at)
      group by s.step, s.at, m.name, m.labels
    ),
    cells as (
      select s.step, s.at, c.name, c.labels, c.place, sum(c.count)::bigint as count
      from minute_cells as c
      cross join lateral (values ('minute', c.minute), ('hour', date_trunc('hour', c.minute, 'UTC')),
        ('day', date_trunc('day', c.minute, 'UTC')), ('total', '-infinity')) as s (step, at)
      group by s.step, s.at, c.name, c.labels, c.place
    ),
    histograms as (
      select c.step, c.at, c.name, c.labels, array_agg(c.count order by c.place) as buckets
      from cells as c
      group by c.step, c.at, c.name, c.labels
    ),
    folded as (
      insert into ops.metric_points as p (step, at, name, labels, count, sum, buckets)
      select s.step, s.at, s.name, s.labels, s.count, s.sum, coalesce(h.buckets, '{}')
      from sums as s
      left join histograms as h using (step, at, name, labels)
      order by s.step, s.at, s.name, s.labels
      on conflict (step, at, name, labels) do update
        set count = p.count + excluded.count, sum = p.sum + excluded.sum,
            buckets = array(
              select coalesce(b.old, 0) + coalesce(b.new, 0)
              from unnest(p.buckets, excluded.buckets) with ordinality as b (old, new, place)
              order by b.place
            )
    )
    select coalesce(sum(m.rows), 0) into v_folded from minutes as m;
    v_all := v_all + v_folded;
    exit when v_folded < v_batch or clock_timestamp() > v_until;
  end loop;
  return v_all;
end;
$$;

-- supabase/schemas/ops/retention.sql

create table ops.retention_rules (
  name text primary key check (name ~ '^[a-z_]{1,50}$'),
  -- What goes, and from when its time counts.
  what text not null,
  keep interval not null check (keep >= interval '0'),
  -- How many rows a run takes at most, so that it holds its locks for a fraction of a second.
  batch integer not null check (batch between 1 and 100000),
  every interval not null check (every >= interval '1 minute'),
  swept_at timestamptz not null default '-infinity',
  -- What to do: delete rows of a table by a column, where the condition holds of the row `t`; or call a function of the
  -- time and the batch, which returns how many. These four are the migrations' to write, as they are run.
  relation text check (relation ~ '^[a-z_]+\.[a-z_]+$'),
  time_column text,
  condition text,
  procedure text check (procedure ~ '^[a-z_]+\.[a-z_]+$'),
  constraint a_table_with_its_time_or_a_procedure check (
    (relation is null) = (time_column is null) and (relation is null) <> (procedure is null)
    and (condition is null or relation is not null)
  )
);
alter table ops.retention_rules enable row level security;
comment on table ops.retention_rules is 'How long things are kept; a change takes effect with the next run.';

create function ops.sweep_rule(p_rule ops.retention_rules)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Takes away what is older than a rule says, up to its batch, and returns how much; past rows that somebody has locked,
-- which are for the next run. A table that the platform does not have holds nothing.
declare
  v_before constant timestamptz := core.now() - p_rule.keep;
  v_relation constant regclass := to_regclass(p_rule.relation);
  v_swept integer := 0;
begin
  if p_rule.procedure is not null then
    execute format('select %s($1, $2)', p_rule.procedure) into v_swept using v_before, p_rule.batch;
  elsif v_relation is not null then
    -- By their places, which are read at once: a join might read the whole table.
    execute format(
      'delete from %1$s as d where d.ctid = any (array(
         select t.ctid from %1$s as t where t.%2$I <= $1 and (%3$s) limit $2 for update skip locked
       ))',
      v_relation, p_rule.time_column, coalesce(p_rule.condition, 'true')
    ) using v_before, p_rule.batch;
    get diagnostics v_swept = row_count;
  end if;
  return v_swept;
end;
$$;

create function ops.due_rules(p_limit integer)
returns setof text
language sql
volatile
set search_path = ''
as $$
  -- The rules whose interval is over, up to p_limit, those first for which it was over first.
  select r.name from ops.retention_rules as r
  where r.swept_at <= core.now() - r.every
  order by r.swept_at + r.every, r.name
  limit p_limit
$$;

create function ops.sweep(p_rule text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Runs a rule that is due, and notes how much it took away; then it is due no more, unless there may be more than its batch.
-- Locks: the rule → what it takes away.
declare
  v_rule ops.retention_rules;
  v_swept integer;
begin
  update ops.retention_rules as r set swept_at = core.now()
  where r.name = p_rule and r.swept_at <= core.now() - r.every
  returning r.* into v_rule;
  if found then
    v_swept := ops.sweep_rule(v_rule);
    if v_swept >= v_rule.batch then
      update ops.retention_rules as r set swept_at = core.now() - r.every where r.name = p_rule;
    end if;
    if v_swept > 0 then
      insert into ops.swept as s (day, rule, rows)
      values (date_trunc('day', core.now(), 'UTC'), p_rule, v_swept)
      on conflict (day, rule) do update set rows = s.rows + excluded.rows;
    end if;
  end if;
end;
$$;

create function ops.prove_ledger()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Proves the ledger from the last proof on, and returns how many violations there are. The error log counts them anew
-- each time until they are mended, the first few with what they are. Locks: nothing that a posting needs.
declare
  v_violation credits.violation;
  v_found integer := 0;
begin
  for v_violation in select r.* from credits.reconcile() as r loop
    perform ops.record_error(core.error_code('internal/error'), 'tick', null, null, jsonb_build_object(
      'task', 'prove_ledger', 'violation', v_violation.violation, 'subject', v_violation.subject,
      'details', v_violation.details
    ));
    v_found := v_found + 1;
  end loop;
  return v_found;
end;
$$;

-- supabase/schemas/ops/admins.sql

create type ops.admin_action as enum (
  'make_admin', 'remove_admin', 'refund_credits', 'adjust_credits', 'enable_model', 'disable_model', 'ban', 'unban',
  'keep_video', 'remove_video', 'grant_appeal', 'reject_appeal', 'refund_removal', 'hold', 'lift_hold',
  'create_webhook', 'change_webhook', 'rotate_webhook_secret', 'delete_webhook',
  'switch_flag', 'change_limit', 'change_rule', 'acknowledge_alert', 'change_flag',
  'create_product', 'change_product', 'replay_task', 'read_prompt'
);

-- The one place for free text about users: the ledger has none.
create table ops.admin_actions (
  id uuid primary key default core.new_id(),
  action ops.admin_action not null,
  -- Null where it was done by hand in the dashboard.
  admin_id uuid,
  -- To whom or what it was done: a user, a model, or what `subject` names: `flag generation`, `policy reads`.
  user_id uuid,
  model_id uuid,
  subject text check (char_length(subject) between 1 and 300),
  -- What was changed: `{ before, after }`, of what no secret and nothing about a person is in.
  details jsonb,
  -- Credits, signed, and the transfer of the ledger that moved them.
  amount bigint check (amount <> 0),
  transfer_id uuid,
  -- The job that a refund is for, whose video was decided about, or whose prompt was read.
  job_id uuid,
  reason text not null check (char_length(reason) between 3 and 500),
  request_id text,
  created_at timestamptz not null,
  check ((action in ('refund_credits', 'refund_removal', 'adjust_credits')) = (amount is not null) and (amount is null) = (transfer_id is null)),
  check ((action in ('enable_model', 'disable_model')) = (model_id is not null)),
  check (num_nonnulls(user_id, model_id, subject) = 1),
  check (job_id is null or action in (
    'refund_credits', 'refund_removal', 'keep_video', 'remove_video', 'grant_appeal', 'reject_appeal', 'read_prompt'
  ))
);
alter table ops.admin_actions enable row level security;
create index admin_actions_user on ops.admin_actions (user_id, created_at desc, id desc) where user_id is not null;
-- What an admin has given within a day, without reading the rows.
create index admin_actions_given on ops.admin_actions (admin_id, created_at) include (amount) where amount > 0;
-- A job is refunded once.
create unique index admin_actions_job on ops.admin_actions (job_id) where action = 'refund_credits' and job_id is not null;
create index admin_actions_decided on ops.admin_actions (job_id) where job_id is not null;
comment on table ops.admin_actions is 'Everything that admins did, each in the transaction that did it. Only added to.';

-- What an admin did stays as it was written.
create function ops.keep_admin_actions()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception '% of ops.admin_actions is forbidden, for the owner too', lower(tg_op)
    using errcode = 'insufficient_privilege';
end;
$$;

create trigger append_only before update or delete or truncate on ops.admin_actions
  for each statement execute function ops.keep_admin_actions();

create function ops.make_admin(p_user_id uuid)
returns text
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_is_anonymous boolean;
  v_refusal jsonb;
begin
  select a.is_anonymous into v_is_anonymous from auth.users as a where a.id = p_user_id;
  if not found then
    raise exception 'there is no user %', p_user_id using errcode = 'no_data_found';
  end if;
  if v_is_anonymous then
    raise exception 'user % is a guest', p_user_id
      using errcode = 'invalid_parameter_value', hint = 'An admin signs in, with an e-mail address for example.';
  end if;
  -- Makes the row of whoever has called nothing yet.
  select a.refusal into v_refusal from accounts.admit(p_user_id) as a;
  if v_refusal is not null then
    raise exception 'the account of user % is closed or suspended', p_user_id using errcode = 'invalid_parameter_value';
  end if;

  if not accounts.set_admin(p_user_id, true) then
    return format('%s is an admin already', p_user_id);
  end if;
  insert into ops.admin_actions (action, user_id, reason, created_at)
  values ('make_admin', p_user_id, format('by %s in the database', session_user), core.now());
  return format('%s is an admin now', p_user_id);
end;
$$;
comment on function ops.make_admin(uuid) is
  'Makes a user an admin, and says so: select ops.make_admin(''<user id>''). No endpoint does it. A second call changes
nothing. Raises no_data_found for a user whom Auth does not know, invalid_parameter_value for a guest, and for an
account that is closed or suspended. Locks: the user''s row.';

create function ops.remove_admin(p_user_id uuid)
returns text
language plpgsql
volatile
set search_path = ''
as $$
begin
  if not accounts.set_admin(p_user_id, false) then
    return format('%s is no admin', p_user_id);
  end if;
  insert into ops.admin_actions (action, user_id, reason, created_at)
  values ('remove_admin', p_user_id, format('by %s in the database', session_user), core.now());
  return format('%s is no admin any more', p_user_id);
end;
$$;
comment on function ops.remove_admin(uuid) is
  'Makes an admin a user like any other, from their next request on, and says so: select ops.remove_admin(''<user id>'').
A second call changes nothing. Locks: the user''s row.';

create function ops.suspend(p_user_id uuid, p_reason text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Suspends a user, or whom they became, by nobody's hand but our own, and ends their sessions; an admin, or whose account is
-- closed, stays as they are. A second call changes nothing. Locks: user → sessions.
declare
  v_user_id uuid := p_user_id;
begin
  loop
    -- Whoever is merging them at this moment has it.
    perform from accounts.users as u where u.id = v_user_id for no key update;
    exit when accounts.heir_of(v_user_id) is not distinct from v_user_id;
    v_user_id := accounts.heir_of(v_user_id);
  end loop;
  if exists (select from accounts.users as u where u.id = v_user_id and not u.is_admin and u.closed_at is null)
    and accounts.set_banned(v_user_id, true)
  then
    insert into ops.admin_actions (action, user_id, reason, created_at) values ('ban', v_user_id, p_reason, core.now());
    perform accounts.end_sessions(v_user_id);
  end if;
end;
$$;

create function ops.admit_admin(
  p_admin_id uuid, p_session_id uuid default null, out refusal jsonb, out language text
)
language plpgsql
volatile
set search_path = ''
as $$
-- accounts.admit for those who act as admins: auth/forbidden for whoever is none, asked anew at every call.
begin
  select a.refusal, a.language into refusal, language from accounts.admit(p_admin_id, p_session_id => p_session_id) as a;
  if refusal is null and not exists (select from accounts.users as u where u.id = p_admin_id and u.is_admin) then
    refusal := guard.refusal('auth/forbidden', p_language => language);
  end if;
end;
$$;

create function ops.enter_admin(
  p_admin_id uuid, p_endpoint text, p_session_id uuid default null, out refusal jsonb, out limits jsonb, out language text
)
language plpgsql
volatile
set search_path = ''
as $$
-- guard.enter for those who act as admins, with their own policy. Whoever then waits for another lock asks
-- ops.admit_admin again. Locks: rate-limit row.
declare
  v_taken guard.taken;
begin
  select a.refusal, a.language into refusal, language from ops.admit_admin(p_admin_id, p_session_id) as a;
  if refusal is null then
    v_taken := guard.take('{admin}', p_admin_id, null, p_endpoint);
    refusal := guard.in_language(v_taken.refusal, language);
    limits := guard.limits_json(v_taken.limits);
  end if;
end;
$$;

create function ops.take_credits(p_admin_id uuid, p_amount bigint)
returns guard.taken
language plpgsql
volatile
set search_path = ''
as $$
-- Asks whether an admin may give so many credits now, as guard.take asks. What was given is
-- summed from ops.admin_actions, where the caller writes its own row before the transaction ends: then no window
-- exceeds the limit. `reset` is exact: when so much has left the window that the amount fits; what never fits may be
-- asked again after a whole window. Locks: the admin, until the transaction ends; nobody who has that lock waits for
-- another.
declare
  v_policy guard.policies;
  v_now timestamptz;
  v_given bigint;
  v_missing bigint;
  v_is_admitted boolean;
  v_reset interval;
  v_limit jsonb;
  v_taken guard.taken;
begin
  -- Of two numbers: those of one are the idempotency keys'. 1 is this limit; that two admins share one, they can bear.
  perform pg_advisory_xact_lock(1, hashtext(p_admin_id::text));
  select p.* into strict v_policy from guard.policies as p where p.name = 'admin_credits';
  v_now := core.now();
  select coalesce(sum(a.amount), 0) into v_given
  from ops.admin_actions as a
  where a.admin_id = p_admin_id and a.amount > 0 and a.created_at > v_now - v_policy.window_length;

  v_missing := v_given + p_amount - v_policy.admits;
  v_is_admitted := v_missing <= 0;
  select min(g.created_at) + v_policy.window_length - v_now into v_reset
  from (
    select a.created_at, sum(a.amount) over (order by a.created_at, a.id) as amount
    from ops.admin_actions as a
    where a.admin_id = p_admin_id and a.amount > 0 and a.created_at > v_now - v_policy.window_length
  ) as g
  where g.amount >= v_missing;
  if v_is_admitted then
    v_given := v_given + p_amount;
  end if;
  v_limit := jsonb_build_object(
    'policy', v_policy.name,
    'allowed', v_is_admitted,
    'current', v_given,
    'limit', v_policy.admits,
    'window', v_policy.window_seconds,
    'remaining', greatest(0, v_policy.admits - v_given),
    'reset', greatest(1, ceil(extract(epoch from coalesce(v_reset, v_policy.window_length)))::integer)
  );
  v_taken.limits := v_limit;
  if not v_is_admitted then
    v_taken.refusal := guard.refusal(
      'limit/rate-exceeded', jsonb_build_object('policy', v_policy.name, 'retry_after', v_limit -> 'reset'),
      jsonb_build_array(v_limit)
    );
  end if;
  return v_taken;
exception
  -- As in guard.take: the caller tries the whole again.
  when deadlock_detected or serialization_failure then
    raise;
  when others then
    raise warning 'the limit of credits is broken: %', sqlerrm;
    v_taken.limits := null;
    v_taken.refusal := guard.refusal('database/unavailable');
    return v_taken;
end;
$$;
create index admin_actions_request on ops.admin_actions (request_id) where request_id is not null;

select core.keep_rows_out_of_logs('ops.admin_actions');

-- supabase/schemas/ops/flag-changes.sql

-- A flag as the operator sees it.
create function ops.flag_json(p_flag ops.feature_flags)
returns jsonb
language sql
stable
return jsonb_build_object(
  'key', (p_flag).key, 'type', (p_flag).type, 'is_enabled', (p_flag).is_enabled, 'is_switch', (p_flag).is_switch,
  'is_experiment', (p_flag).is_experiment, 'variants', (p_flag).variants, 'default_variant', (p_flag).default_variant,
  'off_variant', (p_flag).off_variant, 'rules', coalesce((p_flag).rules, '[]'), 'description', (p_flag).description,
  'version', (p_flag).version
);

-- Whether a value is a list of so many texts, each of this form.
create function ops.are_texts(p_value jsonb, p_form text, p_most integer)
returns boolean
language sql
immutable
return jsonb_typeof(p_value) = 'array' and jsonb_array_length(p_value) between 1 and p_most and not exists (
  select from jsonb_array_elements(p_value) as e (item)
  where jsonb_typeof(e.item) <> 'string' or e.item #>> '{}' !~ p_form
);

create function ops.rule_faults(p_rule jsonb, p_variants jsonb, p_is_last boolean)
returns setof text
language plpgsql
stable
set search_path = ''
as $$
-- What is wrong with a rule, each as `member: what`.
declare
  v_conditions constant text[] := '{users,platforms,locales,app_versions,from,until}';
  v_name text;
begin
  if jsonb_typeof(p_rule) <> 'object' then
    return next ': must be an object';
    return;
  end if;
  for v_name in select k.name from jsonb_object_keys(p_rule) as k (name) where k.name <> all (v_conditions || '{variant,split}') loop
    return next v_name || ': is unknown';
  end loop;
  if p_rule ? 'users' and not ops.are_texts(p_rule -> 'users', '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$', 1000) then
    return next 'users: must be 1 to 1000 ids of users';
  end if;
  foreach v_name in array '{platforms,locales}'::text[] loop
    if p_rule ? v_name and not ops.are_texts(p_rule -> v_name, '^.{1,100}$', 100) then
      return next v_name || ': must be 1 to 100 texts';
    end if;
  end loop;
  if p_rule ? 'app_versions' and (
    not ops.are_texts(p_rule -> 'app_versions', '^(=|!=|<=?|>=?|\^|~) *[^ =<>~^]{1,100}$', 10) or exists (
      select from jsonb_array_elements_text(p_rule -> 'app_versions') as c (comparison)
      where ops.fits_version('1.0.0', c.comparison) is null
    )
  ) then
    return next 'app_versions: must be 1 to 10 comparisons with semantic versions, such as ">=1.2.0"';
  end if;
  foreach v_name in array '{from,until}'::text[] loop
    -- In one form, so that reading it depends on no setting, and no finer than flagd has it.
    if p_rule ? v_name and (
      p_rule ->> v_name !~ '^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,3})?Z$' or not pg_input_is_valid(p_rule ->> v_name, 'timestamptz')
    ) is not false then
      return next v_name || ': must be a time in UTC, such as "2027-01-01T00:00:00Z"';
    end if;
  end loop;

  if (p_rule ? 'variant') = (p_rule ? 'split') then
    return next ': must have either a variant or a split';
  end if;
  if p_rule ? 'variant' and not coalesce(p_variants ? (p_rule ->> 'variant'), false) then
    return next 'variant: is none of the flag''s';
  end if;
  if p_rule ? 'split' and (
    jsonb_typeof(p_rule -> 'split') <> 'array' or jsonb_array_length(p_rule -> 'split') not between 1 and 20 or exists (
      select from jsonb_array_elements(p_rule -> 'split') as e (part)
      where jsonb_typeof(e.part) <> 'object'
        or (p_variants ? (e.part ->> 'variant')) is not true
        or (e.part ->> 'weight' ~ '^\d{1,6}$' and jsonb_typeof(e.part -> 'weight') = 'number') is not true
        or e.part - '{variant,weight}'::text[] <> '{}'
    )
  ) then
    return next 'split: must be 1 to 20 of the flag''s variants, each with a whole weight up to 999999';
  elsif p_rule ? 'split' and (select sum((e.part ->> 'weight')::bigint) from jsonb_array_elements(p_rule -> 'split') as e (part)) = 0 then
    return next 'split: must weigh something';
  end if;
  if not p_is_last and not p_rule ?| v_conditions then
    return next ': fits everybody, so that no rule after it is reached';
  end if;
end;
$$;

create function ops.flag_faults(p_flag ops.feature_flags)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- What is wrong with a flag, as the API tells it: `[{ path, message }]`, empty for nothing.
declare
  v_faults text[] := '{}';
  v_variants constant jsonb := (p_flag).variants;
begin
  if jsonb_typeof(v_variants) <> 'object' or v_variants = '{}' then
    return '[{"path": "variants", "message": "Must name at least one value"}]';
  end if;
  select v_faults || coalesce(array_agg(format('variants.%s: must be of the type %s', v.name, (p_flag).type)), '{}') into v_faults
  from jsonb_each(v_variants) as v (name, value)
  where jsonb_typeof(v.value) <> (p_flag).type::text or v.name !~ '^[A-Za-z0-9._-]{1,100}$';
  if not v_variants ? (p_flag).default_variant then
    v_faults := v_faults || 'default_variant: is none of the flag''s variants'::text;
  end if;
  if not v_variants ? coalesce((p_flag).off_variant, (p_flag).default_variant) then
    v_faults := v_faults || 'off_variant: is none of the flag''s variants'::text;
  end if;
  if (p_flag).is_switch and (
    v_variants <> '{"on": true, "off": false}' or (p_flag).default_variant <> 'on' or (p_flag).off_variant is distinct from 'off'
    or (p_flag).rules is not null
  ) then
    v_faults := v_faults || 'rules: the backend asks this flag for everybody at once: it is on or off'::text;
  end if;
  if jsonb_typeof((p_flag).rules) <> 'array' or jsonb_array_length((p_flag).rules) not between 1 and 50 then
    v_faults := v_faults || 'rules: must be 1 to 50'::text;
  else
    select v_faults || coalesce(array_agg(
      'rules[' || r.number - 1 || ']' || case when f.fault like ':%' then '' else '.' end || f.fault order by r.number
    ), '{}')
    into v_faults
    from jsonb_array_elements((p_flag).rules) with ordinality as r (rule, number)
    cross join lateral ops.rule_faults(r.rule, v_variants, r.number = jsonb_array_length((p_flag).rules)) as f (fault);
  end if;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('path', f.parts[1], 'message', upper(left(f.parts[2], 1)) || substr(f.parts[2], 2))), '[]')
    from unnest(v_faults) as u (fault)
    cross join lateral regexp_match(u.fault, '^(.*?): (.*)$') as f (parts)
  );
end;
$$;

create function ops.note_flag_change(
  p_before jsonb, p_after jsonb, p_admin_id uuid, p_reason text, p_request_id text
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Writes down that a flag was changed, made (p_before is null) or deleted (p_after is null), with what is different.
begin
  insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
  select case when p_before - '{is_enabled,version}'::text[] = p_after - '{is_enabled,version}'::text[]
      then 'switch_flag' else 'change_flag' end::ops.admin_action,
    p_admin_id, 'flag ' || (coalesce(p_after, p_before) ->> 'key'), jsonb_build_object(
      'before', case when p_before is not null then coalesce(
        (select jsonb_object_agg(b.key, b.value) from jsonb_each(p_before) as b where p_after -> b.key is distinct from b.value), '{}'
      ) end,
      'after', case when p_after is not null then coalesce(
        (select jsonb_object_agg(a.key, a.value) from jsonb_each(p_after) as a where p_before -> a.key is distinct from a.value), '{}'
      ) end
    ), p_reason, p_request_id, core.now();
end;
$$;

create function ops.keep_flags()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
-- Lets nothing be written that ops.evaluate could not read, and writes down what is made, changed or deleted by hand: our own
-- procedures count the version, and say who changed it and why.
begin
  if tg_when = 'AFTER' then
    perform ops.note_flag_change(null, ops.flag_json(new), null, format('by %s in the database', session_user), null);
    return null;
  elsif tg_op = 'DELETE' then
    perform ops.note_flag_change(ops.flag_json(old), null, null, format('by %s in the database', session_user), null);
    return old;
  end if;
  if new.rules = '[]' then
    new.rules := null;
  end if;
  if ops.flag_faults(new) <> '[]' then
    raise exception 'flag %: %', new.key, ops.flag_faults(new) using errcode = 'invalid_parameter_value';
  end if;
  if tg_op = 'UPDATE' and new.version = old.version and new is distinct from old then
    new.version := old.version + 1;
    perform ops.note_flag_change(
      ops.flag_json(old), ops.flag_json(new), null, format('by %s in the database', session_user), null
    );
  end if;
  return new;
end;
$$;

create trigger kept before insert or update or delete on ops.feature_flags
  for each row execute function ops.keep_flags();
-- Not before: of an insert that finds the flag there already nothing is to be told.
create trigger noted after insert on ops.feature_flags
  for each row when (new.version = 0) execute function ops.keep_flags();

create function ops.put_flag(
  p_flag ops.feature_flags, p_admin_id uuid, p_reason text, p_request_id text default null
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a flag, or makes it so, and writes that down; true where it was otherwise. The version is counted here. A second call changes nothing.
-- Raises invalid_parameter_value for what is wrong (ops.flag_faults). Locks: flag.
declare
  v_old ops.feature_flags;
  v_new ops.feature_flags := p_flag;
begin
  if v_new.rules = '[]' then
    v_new.rules := null;
  end if;
  v_new.version := 1;
  insert into ops.feature_flags select (v_new).* on conflict (key) do nothing;
  if found then
    perform ops.note_flag_change(null, ops.flag_json(v_new), p_admin_id, p_reason, p_request_id);
    return true;
  end if;
  select f.* into strict v_old from ops.feature_flags as f where f.key = p_flag.key for no key update;
  v_new.version := v_old.version;
  if v_new is not distinct from v_old then
    return false;
  end if;
  v_new.version := v_old.version + 1;
  update ops.feature_flags as f
  set is_enabled = v_new.is_enabled, is_switch = v_new.is_switch, is_experiment = v_new.is_experiment, version = v_new.version,
      type = v_new.type, variants = v_new.variants, default_variant = v_new.default_variant, off_variant = v_new.off_variant,
      rules = v_new.rules, description = v_new.description
  where f.key = p_flag.key;
  perform ops.note_flag_change(ops.flag_json(v_old), ops.flag_json(v_new), p_admin_id, p_reason, p_request_id);
  return true;
end;
$$;

create function ops.set_switch(p_key text, p_is_enabled boolean, p_admin_id uuid, p_reason text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Turns a flag on or off as ops.switch_flag does, but for a rule, which does not decide what becomes of it afterwards. Locks: flag.
declare
  v_flag ops.feature_flags;
begin
  select f.* into v_flag from ops.feature_flags as f where f.key = p_key for no key update;
  if not found then
    -- What nobody named is on.
    if p_is_enabled then
      return false;
    end if;
    insert into ops.feature_flags (key, is_switch, version) values (p_key, true, 1) on conflict (key) do nothing;
    -- Ours, or that of whoever was faster.
    select f.* into strict v_flag from ops.feature_flags as f where f.key = p_key for no key update;
  end if;
  v_flag.is_enabled := p_is_enabled;
  return ops.put_flag(v_flag, p_admin_id, p_reason);
end;
$$;

create function ops.switch_flag(p_key text, p_is_enabled boolean, p_admin_id uuid, p_reason text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
begin
  perform from ops.feature_flags as f where f.key = p_key for no key update;
  perform ops.take_over(p_key);
  return ops.set_switch(p_key, p_is_enabled, p_admin_id, p_reason);
end;
$$;
comment on function ops.switch_flag(text, boolean, uuid, text) is
  'Turns a flag on or off, and writes down by whom and why: select ops.switch_flag(''generation'', false, null, ''<why>'').
p_admin_id is null for a hand in the database. True where it was otherwise; a second call changes nothing. A flag that nobody
named is on, and made where it is turned off. No rule that has turned it off turns it on again. Locks: flag → what rules have done to it.';

-- supabase/schemas/ops/credits.sql

create function ops.begin_credits(
  p_admin_id uuid, p_endpoint text, p_user_id uuid, p_amount bigint,
  out refusal jsonb, out limits jsonb, out account credits.accounts
)
language plpgsql
volatile
set search_path = ''
as $$
-- What is the same for all credits that an admin moves: the limit of requests, that the user is another, exists, and
-- has neither closed the account, which is then locked, nor become somebody else; and that the admin is one still. Locks: rate-limit row → account →
-- expired lots.
declare
  v_taken guard.taken;
begin
  v_taken := guard.take('{admin}', p_admin_id, null, p_endpoint);
  refusal := v_taken.refusal;
  limits := guard.limits_json(v_taken.limits);
  if refusal is not null then
    return;
  end if;
  if p_user_id = p_admin_id and p_amount > 0 then
    refusal := guard.refusal('auth/forbidden', '{}', limits);
  elsif not accounts.find(p_user_id) then
    refusal := guard.refusal('resource/not-found', '{}', limits);
  else
    account := credits.lock_account(p_user_id);
    refusal := (ops.admit_admin(p_admin_id)).refusal || jsonb_build_object('limits', limits);
    -- Whatever is given to a closed account is forfeited at once.
    if refusal is null and account.closed_at is not null then
      refusal := guard.refusal('resource/wrong-state', '{"status": "closed"}', limits);
    elsif refusal is null and account.owner_id <> p_user_id then
      refusal := guard.refusal('resource/wrong-state', '{"status": "merged"}', limits);
    end if;
  end if;
end;
$$;

create function ops.check_refund(p_user_id uuid, p_job_id uuid, p_amount bigint)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Why a job cannot be refunded, or null: it must be a completed one of that user, not refunded before, and the amount
-- at most what it cost. The caller has locked the account, as everything does first that ends or refunds a job: so of
-- two refunds at once the second sees the first.
declare
  v_job videos.jobs;
begin
  select j.* into v_job from videos.jobs as j where j.id = p_job_id and j.user_id = p_user_id;
  if not found then
    return guard.refusal('resource/not-found');
  end if;
  if v_job.status <> 'completed' then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_job.status));
  end if;
  if exists (select from ops.admin_actions as a where a.job_id = p_job_id and a.action = 'refund_credits') then
    return guard.refusal('resource/wrong-state', '{"status": "refunded"}');
  end if;
  if p_amount > v_job.credits_used then
    return guard.refusal('request/malformed', jsonb_build_object('fields', jsonb_build_array(jsonb_build_object(
      'path', 'amount', 'message', format('Must be at most %s, what the job cost', v_job.credits_used)
    ))));
  end if;
  return null;
end;
$$;

create function ops.refund_credits(
  p_admin_id uuid, p_request_id text, p_user_id uuid, p_amount bigint, p_reason text, p_job_id uuid
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Gives credits back, or says why not; nothing is written before the last refusal but the counted request. `data`:
-- `{ transaction_id, new_balance }`. Locks: rate-limit row → account → job → lots → the admin.
declare
  v_begun record;
  v_refusal jsonb;
  v_taken guard.taken;
  v_limits jsonb;
  v_action_id constant uuid := core.new_id();
  v_posted jsonb;
begin
  v_begun := ops.begin_credits(p_admin_id, 'admin-refund-credits', p_user_id, p_amount);
  if v_begun.refusal is not null then
    return v_begun.refusal;
  end if;
  if p_job_id is not null then
    v_refusal := ops.check_refund(p_user_id, p_job_id, p_amount);
    if v_refusal is not null then
      return v_refusal || jsonb_build_object('limits', v_begun.limits);
    end if;
  end if;
  v_taken := ops.take_credits(p_admin_id, p_amount);
  v_limits := guard.limits_json(v_taken.limits) || v_begun.limits;
  if v_taken.refusal is not null then
    return v_taken.refusal || jsonb_build_object('limits', v_limits);
  end if;

  v_posted := credits.add(p_user_id, p_amount, 'refund', 'admin_action:' || v_action_id, p_job_id => p_job_id);
  perform videos.note_refund(p_job_id, p_amount);
  insert into ops.admin_actions (
    id, action, admin_id, user_id, amount, transfer_id, job_id, reason, request_id, created_at
  )
  values (
    v_action_id, 'refund_credits', p_admin_id, p_user_id, p_amount, (v_posted ->> 'transfer_id')::uuid, p_job_id,
    p_reason, p_request_id, core.now()
  );
  return guard.answer(
    jsonb_build_object('transaction_id', v_posted -> 'transfer_id', 'new_balance', v_posted -> 'credits_remaining'),
    v_limits
  );
end;
$$;

create function ops.adjust_credits(
  p_admin_id uuid, p_request_id text, p_user_id uuid, p_amount bigint, p_reason text
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Adds credits or, where the amount is negative, takes them, never below zero; or says why not. Nothing is written
-- before the last refusal but the counted request. `data`: `{ transaction_id, new_balance }`.
-- Locks: rate-limit row → account → lots → the admin.
declare
  v_begun record;
  v_taken guard.taken;
  v_limits jsonb;
  v_action_id constant uuid := core.new_id();
  v_posted jsonb;
begin
  v_begun := ops.begin_credits(p_admin_id, 'admin-adjust-credits', p_user_id, p_amount);
  if v_begun.refusal is not null then
    return v_begun.refusal;
  end if;
  v_limits := v_begun.limits;
  if p_amount > 0 then
    v_taken := ops.take_credits(p_admin_id, p_amount);
    v_limits := guard.limits_json(v_taken.limits) || v_limits;
    if v_taken.refusal is not null then
      return v_taken.refusal || jsonb_build_object('limits', v_limits);
    end if;
    v_posted := credits.add(p_user_id, p_amount, 'adjustment', 'admin_action:' || v_action_id);
  else
    if (v_begun.account).balance < -p_amount then
      return guard.refusal(
        'payment/insufficient-credits',
        jsonb_build_object('required', -p_amount, 'available', (v_begun.account).balance), v_limits
      );
    end if;
    v_posted := credits.deduct(p_user_id, -p_amount, 'admin_action:' || v_action_id);
  end if;

  insert into ops.admin_actions (id, action, admin_id, user_id, amount, transfer_id, reason, request_id, created_at)
  values (
    v_action_id, 'adjust_credits', p_admin_id, p_user_id, p_amount, (v_posted ->> 'transfer_id')::uuid, p_reason,
    p_request_id, core.now()
  );
  return guard.answer(
    jsonb_build_object('transaction_id', v_posted -> 'transfer_id', 'new_balance', v_posted -> 'credits_remaining'),
    v_limits
  );
end;
$$;

-- supabase/schemas/ops/safety.sql

-- What the operator decides about what others object to.

create function ops.note_case(
  p_action ops.admin_action, p_admin_id uuid, p_request_id text, p_job videos.jobs, p_reason text
)
returns void
language sql
volatile
set search_path = ''
as $$
  -- Writes down what an admin decided about a video. Each call is another row.
  insert into ops.admin_actions (action, admin_id, user_id, job_id, reason, request_id, created_at)
  values (p_action, p_admin_id, p_job.user_id, p_job.id, p_reason, p_request_id, core.now())
$$;

create function ops.refund_removal(p_admin_id uuid, p_request_id text, p_job videos.jobs, p_reason text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Gives back what a video cost that was removed wrongly and is gone, less what was refunded before; null, or why not: what the
-- admin may give in a day is used up. A job that cost nothing, or whose account is closed, gets nothing. A second call finds
-- no cost left. Locks: account → lots → the admin.
declare
  v_account constant credits.accounts := credits.lock_account(p_job.user_id);
  v_taken guard.taken;
  v_action_id constant uuid := core.new_id();
  v_posted jsonb;
begin
  if p_job.credits_used = 0 or v_account.closed_at is not null then
    return null;
  end if;
  v_taken := ops.take_credits(p_admin_id, p_job.credits_used);
  if v_taken.refusal is not null then
    return v_taken.refusal;
  end if;
  v_posted := credits.add(
    p_job.user_id, p_job.credits_used, 'refund', 'admin_action:' || v_action_id, p_job_id => p_job.id
  );
  perform videos.note_refund(p_job.id, p_job.credits_used);
  insert into ops.admin_actions (
    id, action, admin_id, user_id, amount, transfer_id, job_id, reason, request_id, created_at
  )
  values (
    v_action_id, 'refund_removal', p_admin_id, p_job.user_id, p_job.credits_used,
    (v_posted ->> 'transfer_id')::uuid, p_job.id, p_reason, p_request_id, core.now()
  );
  return null;
end;
$$;

create function ops.decide_case(
  p_admin_id uuid, p_request_id text, p_case_id uuid, p_decision text, p_ground text, p_reason text
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Decides a case, with its row of ops.admin_actions: null, or the refusal. `keep` and, of one that is kept or restored too,
-- `remove` and `suspend`, which also suspends the video's user; of an appeal `reject`, or `grant`: the video is shown again
-- where its file is there still, else its credits come back. resource/not-found where there is no such case or its job is
-- gone; auth/forbidden about one's own video, and where an admin would be suspended; resource/wrong-state, with the status of
-- the case, for what it does not allow, which is what a second call gets. Raises case_not_found for another decision.
-- Locks: account → job → case → user → sessions, lots, tasks → the admin.
declare
  v_job videos.jobs;
  v_case safety.cases;
  v_user accounts.users;
  v_refusal jsonb;
  v_is_possible boolean;
begin
  v_job := videos.lock_job((safety.case_of(p_case_id)).job_id);
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal;
  end if;
  if v_job.id is null then
    return guard.refusal('resource/not-found');
  end if;
  v_case := safety.case_of(p_case_id, p_locks => true);
  select u.* into strict v_user from accounts.users as u where u.id = v_job.user_id for no key update;
  if v_user.id = p_admin_id or p_decision = 'suspend' and v_user.is_admin then
    return guard.refusal('auth/forbidden');
  end if;
  v_is_possible := case p_decision
    when 'keep' then v_case.status = 'open'
    when 'remove' then v_case.status in ('open', 'kept', 'restored')
    when 'suspend' then v_case.status in ('open', 'kept', 'restored')
    when 'grant' then v_case.status = 'appealed'
    when 'reject' then v_case.status = 'appealed'
  end;
  if v_is_possible is null then
    raise exception 'there is no decision %', p_decision using errcode = 'case_not_found';
  elsif not v_is_possible then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_case.status));
  end if;

  if p_decision = 'grant' then
    if not videos.restore_job(v_job) then
      v_refusal := ops.refund_removal(p_admin_id, p_request_id, v_job, p_reason);
      if v_refusal is not null then
        return v_refusal;
      end if;
    end if;
    perform safety.forget_file(v_job.id);
    perform safety.decide(p_case_id, 'restored');
    perform ops.note_case('grant_appeal', p_admin_id, p_request_id, v_job, p_reason);
  elsif p_decision = 'reject' then
    perform safety.decide(p_case_id, 'removed');
    perform ops.note_case('reject_appeal', p_admin_id, p_request_id, v_job, p_reason);
  elsif p_decision = 'keep' then
    perform safety.decide(p_case_id, 'kept');
    perform ops.note_case('keep_video', p_admin_id, p_request_id, v_job, p_reason);
  else
    perform safety.decide(p_case_id, 'removed', p_ground::safety.ground);
    perform videos.remove_job(v_job);
    perform ops.note_case('remove_video', p_admin_id, p_request_id, v_job, p_reason);
    if p_decision = 'suspend' and v_user.closed_at is null then
      if accounts.set_banned(v_user.id, true) then
        insert into ops.admin_actions (action, admin_id, user_id, reason, request_id, created_at)
        values ('ban', p_admin_id, v_user.id, p_reason, p_request_id, core.now());
      end if;
      perform accounts.end_sessions(v_user.id);
    end if;
  end if;
  return null;
end;
$$;

create function ops.case_json(p_case safety.cases)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- A case as the operator sees it, with the newest 20 reports and notices. The prompt is read by api.post_admin_jobs, which
  -- writes that down. `video_path` is in the bucket `videos`, null once the file is gone.
  select jsonb_build_object(
    'case_id', p_case.id, 'job_id', p_case.job_id, 'status', p_case.status,
    'user_id', j.user_id, 'has_prompt', coalesce(j.prompt <> '', false),
    'video_path', (
      select a.path from videos.assets as a
      where a.job_id = p_case.job_id and a.kind = 'video' and a.deleted_at is null
    ),
    'report_count', p_case.reports, 'notice_count', p_case.notices, 'ground', p_case.ground,
    'appeal', p_case.appeal, 'opened_at', core.to_iso(p_case.opened_at), 'due_at', core.to_iso(p_case.due_at),
    'decided_at', core.to_iso(p_case.decided_at), 'appealed_at', core.to_iso(p_case.appealed_at),
    'appeal_decided_at', core.to_iso(p_case.appeal_decided_at),
    'reports', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'user_id', r.user_id, 'reason', r.reason, 'details', r.details, 'created_at', core.to_iso(r.created_at)
      ) order by r.id desc), '[]')
      from (select n.* from safety.reports as n where n.case_id = p_case.id order by n.id desc limit 20) as r
    ),
    'notices', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'contact', r.contact, 'statement', r.statement, 'received_at', core.to_iso(r.received_at)
      ) order by r.id desc), '[]')
      from (select n.* from safety.notices as n where n.case_id = p_case.id order by n.id desc limit 20) as r
    )
  )
  from (values (p_case.job_id)) as c (job_id)
  left join videos.jobs as j on j.id = c.job_id
$$;

create view ops.open_cases with (security_invoker = true) as
select c.due_at - now() as time_left, c.due_at, c.status, c.notices, c.reports, c.job_id, j.user_id,
  coalesce(j.prompt <> '', false) as has_prompt, c.appeal,
  (
    select a.path from videos.assets as a where a.job_id = c.job_id and a.kind = 'video' and a.deleted_at is null
  ) as video_path, c.opened_at, c.id as case_id
from safety.cases as c
left join videos.jobs as j on j.id = c.job_id
where c.status in ('open', 'appealed');
comment on view ops.open_cases is
  'What is to be decided: order by due_at, opened_at. The prompt is read by POST admin-jobs, which writes that down.';

-- supabase/schemas/ops/views.sql

create view ops.user_overview with (security_invoker = true) as
select u.id as user_id, u.created_at, u.is_admin, u.is_banned, u.closed_at,
  (select a.balance from credits.accounts as a where a.owner_id = u.id and a.kind = 'available' and a.unit = 'credit')
    as credits,
  videos.held_credits(u.id) as credits_held,
  credits.owed(u.id) as credits_owed,
  -- By status. Deleted jobs are not counted.
  (
    select jsonb_object_agg(c.status, c.jobs)
    from (
      select j.status, count(*) as jobs from videos.jobs as j
      where j.user_id = u.id and j.deleted_at is null
      group by j.status
    ) as c
  ) as jobs,
  (select max(j.created_at) from videos.jobs as j where j.user_id = u.id and j.deleted_at is null) as last_job_at
from accounts.users as u;
comment on view ops.user_overview is 'Users with their credits and jobs. Ask for some of them, by user_id.';

create view ops.running_jobs with (security_invoker = true) as
select j.id as job_id, j.user_id, j.request_id, j.model_name, videos.job_stage(j) as stage,
  now() - j.created_at as age, j.due_at - now() as time_left, j.cancel_requested_at, j.flag,
  s.provider, s.state as submission, s.request_id as provider_request_id, s.cause,
  t.kind as next_task, t.run_at as next_task_at, t.attempts, t.last_error
from videos.jobs as j
left join lateral (
  select x.* from videos.submissions as x where x.job_id = j.id order by x.claimed_at desc limit 1
) as s on true
left join lateral (
  select x.* from queue.tasks as x where x.subject = j.id and x.failed_at is null order by x.run_at limit 1
) as t on true
where j.completed_at is null;
comment on view ops.running_jobs is 'Every job that has not ended: its stage and age, who has it, what happens next.';

create view ops.failures with (security_invoker = true) as
select e.occurred_at, e.code, e.severity, e.endpoint as source, e.user_id, e.request_id, null::uuid as job_id,
  e.context::text as cause, e.count
from ops.error_log as e
where e.minute >= date_trunc('day', now())
union all
select j.completed_at, j.error_code, core.error_severity(j.error_code), coalesce(s.provider, 'no provider'), j.user_id,
  j.request_id, j.id, s.cause, 1
from videos.jobs as j
left join lateral (
  select x.* from videos.submissions as x where x.job_id = j.id order by x.claimed_at desc limit 1
) as s on true
where j.completed_at >= date_trunc('day', now()) and j.error_code ~ '^ERR_[56]';
comment on view ops.failures is
  'Today''s ERR_5xxx and ERR_6xxx: of requests, workers and the tick from the error log, and how jobs ended.';

create view ops.failures_by_code with (security_invoker = true) as
select f.code, f.severity, f.source, sum(f.count) as failures, max(f.occurred_at) as last_at
from ops.failures as f
group by f.code, f.severity, f.source;
comment on view ops.failures_by_code is 'Today''s failures, counted.';

create view ops.provider_health with (security_invoker = true) as
select v.name as provider, v.is_enabled, v.breaker, v.opened_at, v.failures as failures_in_a_row,
  (
    select count(*) from videos.submissions as s
    join videos.jobs as j on j.id = s.job_id
    where s.provider = v.name and s.state in ('sending', 'accepted', 'unknown') and j.completed_at is null
  ) as in_flight,
  v.max_in_flight, coalesce(d.cents, 0) as spent_today_cents, v.daily_cap_cents, h.*
from videos.providers as v
left join videos.spending as d on d.provider = v.name and d.day = (now() at time zone 'UTC')::date
left join (
  select s.provider as last_hour_of, count(*) as submissions,
    count(*) filter (where s.state = 'unknown') as lost_answers,
    count(*) filter (where s.state = 'not_accepted') as not_accepted,
    count(*) filter (where s.state = 'refused') as refused,
    count(*) filter (where j.status = 'completed') as completed,
    count(*) filter (where j.status = 'failed') as failed,
    max(s.accepted_at) as last_accepted_at
  from videos.submissions as s
  join videos.jobs as j on j.id = s.job_id
  where s.claimed_at >= now() - interval '1 hour'
  group by s.provider
) as h on h.last_hour_of = v.name;
comment on view ops.provider_health is
  'Each provider: its breaker, jobs in flight, money spent today, and what became of the last hour''s submissions.';

create view ops.late_successes with (security_invoker = true) as
select j.late_success_at, j.late_success_at - j.completed_at as late_by, j.id as job_id, j.user_id, j.status,
  j.error_code, j.model_name, s.provider, s.request_id as provider_request_id, s.cost_cents
from videos.jobs as j
left join lateral (
  select x.* from videos.submissions as x
  where x.job_id = j.id and x.state in ('sending', 'accepted', 'unknown', 'ended')
  order by x.claimed_at desc limit 1
) as s on true
where j.late_success_at is not null;
comment on view ops.late_successes is 'Videos that came after their job had ended: paid by us, charged to nobody.';

create view ops.video_quality with (security_invoker = true) as
select j.model_name as model, s.provider, count(*) as results,
  count(*) filter (where j.status = 'failed') as refused,
  round(avg(a.quality), 1) as quality, min(a.quality) as lowest_quality,
  count(*) filter (where a.quality < 50) as below_50,
  -- In US cents: what the provider bills for videos that were not paid for.
  sum(s.cost_cents) filter (where j.status = 'failed') as refused_cents
from videos.jobs as j
join videos.submissions as s on s.job_id = j.id and s.state = 'ended'
left join videos.assets as a on a.job_id = j.id and a.kind = 'video'
where j.completed_at >= now() - interval '7 days'
  and (a.job_id is not null or j.status = 'failed' and j.error_details ->> 'reason' = 'invalid_result')
group by j.model_name, s.provider;
comment on view ops.video_quality is
  'What each provider made of each model in 7 days: how near to the order (0 to 100), and how much was refused.';

create view ops.admin_log with (security_invoker = true) as
select a.created_at, a.action, a.admin_id, a.user_id, m.name as model, a.subject, a.details, a.amount, a.job_id, a.reason, a.request_id,
  -- What this admin had given within a day by then, this action included.
  case when a.amount > 0 and a.admin_id is not null then (
    select sum(g.amount) from ops.admin_actions as g
    where g.admin_id = a.admin_id and g.amount > 0
      and g.created_at > a.created_at - interval '24 hours' and g.created_at <= a.created_at
  ) end as given_in_a_day,
  a.id
from ops.admin_actions as a
left join videos.models as m on m.id = a.model_id;
comment on view ops.admin_log is 'What admins did. Ids sort by time: order by id desc.';

-- supabase/schemas/ops/trace.sql

create type ops.trace_entry as (at timestamptz, what text, id text, details jsonb);

create function ops.trace_job(p_job_id uuid)
returns setof ops.trace_entry
language sql
stable
set search_path = ''
as $$
  select j.created_at, 'job accepted', j.id::text, jsonb_strip_nulls(jsonb_build_object(
    'user_id', j.user_id, 'request_id', j.request_id, 'model', j.model_name, 'flag', j.flag, 'due_at', j.due_at
  ))
  from videos.jobs as j where j.id = p_job_id
  union all
  select v.at, v.what, j.id::text, v.details
  from videos.jobs as j
  cross join lateral (values
    (j.moderated_at, 'prompt passed', '{}'::jsonb), (j.started_at, 'generation started', '{}'),
    (j.storing_at, 'storing began', '{}'), (j.cancel_requested_at, 'cancellation wished', '{}'),
    (j.completed_at, 'job ' || j.status, jsonb_strip_nulls(jsonb_build_object(
      'code', j.error_code, 'details', j.error_details, 'credits_used', j.credits_used
    ))),
    (j.late_success_at, 'late success', '{}'), (j.removed_at, 'removed by the operator', '{}'), (j.deleted_at, 'deleted by its user', '{}')
  ) as v (at, what, details)
  where j.id = p_job_id and v.at is not null
  union all
  select t.created_at, 'credits: ' || t.kind, t.id::text, jsonb_build_object('amount', t.amount)
  from credits.transfers as h
  join lateral (
    select h.id, h.kind, h.amount, h.created_at
    union all
    select e.id, e.kind, e.amount, e.created_at from credits.transfers as e
    where e.reverses_id = h.id and e.kind in ('capture', 'release')
  ) as t on true
  where h.job_id = p_job_id and h.kind = 'hold'
  union all
  select a.created_at, case when a.amount is null then 'admin: ' else 'credits: ' end || a.action,
    coalesce(a.transfer_id, a.id)::text,
    jsonb_strip_nulls(jsonb_build_object('amount', a.amount, 'admin_id', a.admin_id, 'reason', a.reason))
  from ops.admin_actions as a where a.job_id = p_job_id
  union all
  select s.claimed_at, 'submission ' || s.state, s.id::text, jsonb_strip_nulls(jsonb_build_object(
    'provider', s.provider, 'request_id', s.request_id, 'accepted_at', s.accepted_at, 'ended_at', s.ended_at,
    'cause', s.cause, 'cost_cents', s.cost_cents
  ))
  from videos.submissions as s where s.job_id = p_job_id
  union all
  select e.received_at, 'webhook ' || e.effect, e.event_id, jsonb_build_object(
    'provider', e.provider, 'submission', e.submission_id, 'state', e.state -> 'state'
  )
  from videos.submissions as s
  join videos.provider_events as e on e.submission_id = s.id
  where s.job_id = p_job_id
  union all
  select a.created_at, 'stored ' || a.kind, a.path, jsonb_strip_nulls(jsonb_build_object(
    'bytes', a.bytes, 'quality', a.quality, 'deleted_at', a.deleted_at
  ))
  from videos.assets as a where a.job_id = p_job_id
  union all
  select t.run_at, 'task ' || t.kind, t.id::text,
    jsonb_strip_nulls(jsonb_build_object('attempts', t.attempts, 'leased_until', t.leased_until, 'error', t.last_error))
  from queue.tasks as t where t.subject = p_job_id and t.failed_at is null
  union all
  select t.failed_at, 'dead task ' || t.kind, t.id::text, jsonb_build_object('attempts', t.attempts, 'error', t.last_error)
  from queue.tasks as t where t.subject = p_job_id and t.failed_at is not null
$$;
comment on function ops.trace_job(uuid) is 'Everything that is known about a job: order by at.';

create function ops.trace(p_request_id text)
returns setof ops.trace_entry
language sql
stable
set search_path = ''
as $$
  select t.*
  from videos.jobs_of_request(p_request_id) as j
  cross join lateral ops.trace_job(j.id) as t
  union all
  select a.created_at, 'admin: ' || a.action, a.id::text, jsonb_strip_nulls(jsonb_build_object(
    'admin_id', a.admin_id, 'user_id', a.user_id, 'amount', a.amount, 'transfer_id', a.transfer_id, 'reason', a.reason
  ))
  from ops.admin_actions as a where a.request_id = p_request_id
  union all
  select e.occurred_at, 'error ' || e.code, e.endpoint, e.context || jsonb_build_object('count', e.count)
  from ops.error_log as e where e.request_id = p_request_id
$$;
comment on function ops.trace(text) is 'Everything that a request did, as far as the database knows: order by at.';

-- supabase/schemas/webhooks/webhooks.sql

-- webhooks: other servers that are told what happened. In this order: webhooks.sql (who is told what), sending.sql (how a
-- delivery goes on).

create schema webhooks;

-- Why a webhook is told nothing.
create type webhooks.disabled_reason as enum (
  'admin',
  'gone', -- it answered 410
  'failing' -- five days without a success
);

create table webhooks.webhooks (
  -- Given by who seals the secret, which is bound to it.
  id uuid primary key,
  url text not null check (char_length(url) between 1 and 2048),
  -- What it hears: patterns of events.
  types text[] not null check (cardinality(types) between 1 and 20),
  is_enabled boolean not null default true,
  disabled_reason webhooks.disabled_reason,
  -- Since when no attempt has succeeded; null where the last one did, or none was made.
  failing_since timestamptz,
  created_at timestamptz not null,
  constraint webhooks_disabled check (is_enabled = (disabled_reason is null))
);
alter table webhooks.webhooks enable row level security;
comment on table webhooks.webhooks is 'Servers that are told what happened.';

create table webhooks.secrets (
  webhook_id uuid not null references webhooks.webhooks on delete cascade,
  -- AES-GCM by a key that the functions alone have: whoever reads this cannot sign with it.
  sealed text not null check (sealed ~ '^v1\.[A-Za-z0-9+/]+=*$'),
  created_at timestamptz not null,
  -- A secret that was replaced signs until then; null for the one that is in use.
  expires_at timestamptz,
  primary key (webhook_id, sealed)
);
alter table webhooks.secrets enable row level security;
create unique index secrets_in_use on webhooks.secrets (webhook_id) where expires_at is null;
create index secrets_expiry on webhooks.secrets (expires_at) where expires_at is not null;
comment on table webhooks.secrets is 'What messages to a webhook are signed with, sealed.';

select core.keep_rows_out_of_logs('webhooks.webhooks');
select core.keep_rows_out_of_logs('webhooks.secrets');

-- How many webhooks there are at most. Each has two deliveries at work at once: no more than `concurrency` of the kind
-- `deliver_webhook` lets be.
create function webhooks.most()
returns integer
language sql
immutable
return 20;

-- A webhook as the API shows it.
create function webhooks.webhook_json(p_webhook webhooks.webhooks)
returns jsonb
language sql
stable
return jsonb_build_object(
  'webhook_id', (p_webhook).id, 'url', (p_webhook).url, 'types', to_jsonb((p_webhook).types),
  'is_enabled', (p_webhook).is_enabled, 'disabled_reason', (p_webhook).disabled_reason,
  'failing_since', core.to_iso((p_webhook).failing_since), 'created_at', core.to_iso((p_webhook).created_at)
);

-- What the operator's record says of a webhook. Of its address the host: the rest may be what lets one write there.
create function webhooks.record_json(p_webhook webhooks.webhooks)
returns jsonb
language sql
immutable
return jsonb_build_object(
  'host', substring((p_webhook).url from '^https?://([^/?#]+)'), 'types', to_jsonb((p_webhook).types),
  'is_enabled', (p_webhook).is_enabled
);

create function webhooks.add(p_id uuid, p_url text, p_types text[], p_sealed text)
returns webhooks.webhooks
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a webhook that hears p_types from now on; null where there are webhooks.most() of them. A second call with the id
-- raises unique_violation. Locks: the table against others that add, so that no two are the last.
declare
  v_now timestamptz;
  v_webhook webhooks.webhooks;
begin
  lock table webhooks.webhooks in share row exclusive mode;
  v_now := core.now();
  if (select count(*) from webhooks.webhooks) >= webhooks.most() then
    return null;
  end if;
  insert into webhooks.webhooks (id, url, types, created_at) values (p_id, p_url, p_types, v_now) returning * into v_webhook;
  insert into webhooks.secrets (webhook_id, sealed, created_at) values (p_id, p_sealed, v_now);
  perform events.subscribe('webhook', p_id, p_types, 5::smallint);
  return v_webhook;
end;
$$;

create function webhooks.change(p_id uuid, p_url text, p_types text[], p_is_enabled boolean)
returns webhooks.webhooks
language plpgsql
volatile
set search_path = ''
as $$
-- Changes what is not null of a webhook. One that is disabled is silenced; one that is enabled again hears what happens from now
-- on; that one, and one that is moved, has its five days anew. Null, and nothing changes, where it is to be enabled while
-- something that waited for it is still to be dropped. A second call changes nothing. The caller has locked it. Locks: its
-- deliveries, which are never waited for → their tasks.
declare
  v_webhook webhooks.webhooks;
begin
  if p_is_enabled and exists (select from webhooks.webhooks as w where w.id = p_id and not w.is_enabled)
    and not webhooks.silence(p_id)
  then
    return null;
  end if;
  update webhooks.webhooks as w
  set url = coalesce(p_url, w.url), types = coalesce(p_types, w.types),
      is_enabled = coalesce(p_is_enabled, w.is_enabled),
      disabled_reason = case
        when coalesce(p_is_enabled, w.is_enabled) then null
        else coalesce(w.disabled_reason, 'admin')
      end,
      failing_since = case
        when coalesce(w.is_enabled or not p_is_enabled, true) and coalesce(p_url = w.url, true) then w.failing_since
      end
  where w.id = p_id
  returning w.* into v_webhook;
  if v_webhook.is_enabled then
    perform events.subscribe('webhook', p_id, v_webhook.types, 5::smallint);
  else
    perform webhooks.silence(p_id);
  end if;
  return v_webhook;
end;
$$;

create function webhooks.silence(p_id uuid, p_limit integer default 1000)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Tells a webhook nothing more, which is disabled or deleted: its subscriptions go, and up to p_limit of what waited for it are
-- dropped. Whether nothing is left; what is, no attempt sends, and the scheduled task `drop_deliveries` drops it. A second call
-- goes on. The caller has locked the webhook. Locks: its deliveries, which are never waited for → their tasks.
begin
  perform events.subscribe('webhook', p_id, '{}', 5::smallint);
  return events.drop_open('webhook', p_id, 'the webhook is disabled', p_limit);
end;
$$;

create function webhooks.silent_backlogs(p_limit integer)
returns setof uuid
language sql
stable
set search_path = ''
as $$
  -- Webhooks that are disabled or deleted, and for which something waits, up to p_limit.
  select t.target
  from events.waiting_targets('webhook') as t (target)
  where not exists (select from webhooks.webhooks as w where w.id = t.target and w.is_enabled)
  limit p_limit
$$;

create function webhooks.drop_waiting(p_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `drop_deliveries`: drops what waits for a webhook that is disabled or deleted, 10,000 in a run, which takes
-- half a second. Nothing of one that is enabled by then. A second call goes on. Locks: webhook, so that nobody enables it
-- meanwhile → its deliveries, which are never waited for → their tasks.
declare
  v_is_enabled boolean;
begin
  select w.is_enabled into v_is_enabled from webhooks.webhooks as w where w.id = p_id for no key update;
  if v_is_enabled is not true then
    perform webhooks.silence(p_id, 10000);
  end if;
end;
$$;

create function webhooks.rotate_secret(p_id uuid, p_sealed text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Signs with a new secret from now on, and for 24 hours with the one before, too. Five at most sign at once: whoever
-- rotates again and again, since the answers were lost, does not lengthen every message. The caller has locked the
-- webhook. Locks: its secrets.
declare
  v_now constant timestamptz := core.now();
begin
  update webhooks.secrets as s set expires_at = v_now + interval '24 hours' where s.webhook_id = p_id and s.expires_at is null;
  insert into webhooks.secrets (webhook_id, sealed, created_at) values (p_id, p_sealed, v_now);
  delete from webhooks.secrets as s
  where s.webhook_id = p_id and s.expires_at is not null and s.sealed not in (
    select k.sealed from webhooks.secrets as k
    where k.webhook_id = p_id and k.expires_at > v_now
    order by k.expires_at desc
    limit 4
  );
end;
$$;

-- supabase/schemas/webhooks/sending.sql

create function webhooks.delivery_facts(p_delivery_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- What the worker sends for a delivery, where to, and the sealed secrets to sign it with, the one in use first: `{ event,
-- webhook }`. Null where the event or the webhook is gone, or the webhook is disabled.
begin
  return (
    select jsonb_build_object(
      'event', jsonb_build_object(
        'id', l.id, 'type', l.type, 'user_id', l.user_id, 'data', l.data, 'created_at', core.to_iso(l.created_at)
      ),
      'webhook', jsonb_build_object('id', w.id, 'url', w.url, 'secrets', (
        select jsonb_agg(s.sealed order by s.expires_at desc nulls first)
        from webhooks.secrets as s
        where s.webhook_id = w.id and coalesce(s.expires_at > core.now(), true)
      ))
    )
    from events.deliveries as d
    join events.log as l on l.id = d.event_id
    join webhooks.webhooks as w on w.id = d.target
    where d.id = p_delivery_id and w.is_enabled
  );
end;
$$;

create function webhooks.retry_delay(p_tries integer)
returns interval
language sql
volatile
set search_path = ''
as $$
  -- How long to wait after so many attempts: the schedule of Standard Webhooks, which ends after three days, and up to a
  -- tenth more, so that what failed together does not come back together.
  select (
    '{5 seconds, 5 minutes, 30 minutes, 2 hours, 5 hours, 10 hours, 14 hours, 20 hours, 24 hours}'::interval[]
  )[least(greatest(p_tries, 1), 9)] * (1 + 0.1 * random())
$$;

create function webhooks.end_attempt(
  p_task_id bigint, p_attempt integer, p_delivery_id uuid, p_answer jsonb, p_failure text, p_retry_after integer,
  p_is_final boolean
)
returns text
language plpgsql
volatile
set search_path = ''
as $$
-- What became of an attempt, with the answer as the operator reads it (`{ status, duration_ms, text }`): `delivered` where
-- p_failure is null; else `waiting` for the next try, `dead` after the last one or with p_is_final, `dropped` where the webhook is gone or
-- disabled meanwhile, `disabled` where this attempt disabled it: it answered 410, or nothing has succeeded for five days. Its own delivery is dropped
-- with it, and others as webhooks.silence says.
-- `lost`, and nothing changes, for a failure of an attempt that lost its task to another; what was delivered stays so.
-- Locks: webhook → deliveries → tasks → alert.
declare
  v_now timestamptz;
  v_delivery events.deliveries;
  v_webhook webhooks.webhooks;
  v_task queue.tasks;
  v_reason webhooks.disabled_reason;
begin
  select d.* into v_delivery from events.deliveries as d where d.id = p_delivery_id;
  if p_failure is null then
    update webhooks.webhooks as w set failing_since = null where w.id = v_delivery.target and w.failing_since is not null;
    perform events.note_attempt(p_delivery_id, p_answer);
    perform events.end_delivery(p_delivery_id, 'delivered');
    perform queue.finish(p_task_id, p_attempt);
    return 'delivered';
  end if;

  select w.* into v_webhook from webhooks.webhooks as w where w.id = v_delivery.target for no key update;
  select t.* into v_task from queue.tasks as t where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null;
  if v_task.id is null then
    return 'lost';
  end if;
  if p_answer is not null then
    perform events.note_attempt(p_delivery_id, p_answer);
  end if;
  if v_webhook.is_enabled is not true then
    perform events.end_delivery(p_delivery_id, 'dropped', 'the webhook is disabled');
    perform queue.finish(p_task_id, p_attempt);
    return 'dropped';
  end if;

  if p_is_final then
    perform queue.finish(p_task_id, p_attempt);
    perform webhooks.give_up_delivery(p_delivery_id, p_failure);
    return 'dead';
  end if;

  v_now := core.now();
  v_reason := case
    when (p_answer ->> 'status')::integer = 410 then 'gone'
    when p_answer is not null and v_webhook.failing_since <= v_now - interval '5 days' then 'failing'
  end;
  if v_reason is not null then
    update webhooks.webhooks as w
    set is_enabled = false, disabled_reason = v_reason, failing_since = coalesce(w.failing_since, v_now)
    where w.id = v_webhook.id;
    perform events.end_delivery(p_delivery_id, 'dropped', 'the webhook is disabled');
    perform queue.finish(p_task_id, p_attempt);
    perform webhooks.silence(v_webhook.id);
    perform ops.raise_alert('webhook_disabled', format('webhook %s', v_webhook.id), jsonb_build_object(
      'host', webhooks.record_json(v_webhook) -> 'host', 'reason', v_reason, 'failure', p_failure
    ));
    return 'disabled';
  end if;
  -- What failed before the server was asked says nothing of it.
  if v_webhook.failing_since is null and p_answer is not null then
    update webhooks.webhooks as w set failing_since = v_now where w.id = v_webhook.id;
  end if;
  return queue.retry(p_task_id, p_attempt, p_failure, extract(epoch from greatest(
    webhooks.retry_delay(v_task.attempts - v_task.uncounted_attempts),
    -- Whoever asks for more than a day is asked again after one.
    case when p_retry_after is not null then make_interval(secs => least(p_retry_after, 86400)) end
  )));
end;
$$;

create function webhooks.give_up_delivery(p_delivery_id uuid, p_error text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- No try is left to tell a webhook: the operator is told, but of an alert that could not be told, which would raise the
-- next one for ever. A second call tells once more. Locks: delivery → alert.
declare
  v_event constant events.log := events.of_delivery(p_delivery_id);
begin
  perform events.end_delivery(p_delivery_id, 'dead', coalesce(p_error, 'no cause was given'));
  if coalesce(v_event.type not like 'alert.%', true) then
    perform ops.raise_alert(
      'delivery_dead',
      (select format('webhook %s', d.target) from events.deliveries as d where d.id = p_delivery_id),
      jsonb_build_object('delivery_id', p_delivery_id)
    );
  end if;
end;
$$;

create function webhooks.delivery_json(p_delivery events.deliveries)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- A delivery as the operator sees it.
  select jsonb_build_object(
    'delivery_id', (p_delivery).id, 'webhook_id', (p_delivery).target, 'event_id', (p_delivery).event_id, 'type', l.type,
    'status', coalesce((p_delivery).outcome::text, 'pending'), 'attempts', (p_delivery).attempts,
    'attempted_at', core.to_iso((p_delivery).attempted_at),
    'next_attempt_at', core.to_iso(queue.next_run('deliver_webhook', (p_delivery).id)),
    'response', (p_delivery).answer, 'reason', (p_delivery).reason, 'created_at', core.to_iso((p_delivery).created_at),
    'ended_at', core.to_iso((p_delivery).ended_at)
  )
  from events.log as l where l.id = (p_delivery).event_id
$$;

-- supabase/schemas/ops/alert-metrics.sql

-- What rules measure. A closed set: a rule names one of these, and nothing that a row says is ever run.

create type ops.alert_metric as enum (
  'error_percent', 'response_seconds', 'queue_seconds', 'overdue_jobs', 'provider_failures', 'spending_percent', 'grants',
  'credits_given', 'ledger_violations', 'dead_letters', 'dead_deliveries', 'database_bytes', 'storage_bytes',
  'connections_percent', 'uncredited_purchases', 'unknown_networks', 'provider_balance_cents', 'provider_locked',
  'provider_bill_percent'
);

-- Of what, and how much; what is not named is well.
create type ops.measurement as (subject text, value numeric);

create function ops.measure(p_metric ops.alert_metric, p_window interval)
returns setof ops.measurement
language plpgsql
volatile
set search_path = ''
as $$
-- Measures over the time that ends now, by one statement. Takes no lock; a second call measures again.
declare
  v_now constant timestamptz := core.now();
  v_since constant timestamptz := v_now - p_window;
begin
  case p_metric
    -- Answers that are a fault of ours or of a provider's, of all. That something is switched off is none, though a 503: a rule
    -- that switches it off would hold itself. Of a few, one says nothing.
    when 'error_percent' then return query
      select 'requests', 100.0 * sum(m.count) filter (
        where m.labels ->> 'status' like '5%' and m.labels ->> 'code' is distinct from core.error_code('feature/switched-off')
      ) / sum(m.count)
      from ops.metric_minutes as m
      where m.name = 'requests' and m.minute >= date_trunc('minute', v_since)
      having sum(m.count) >= 20;
    -- How long the twentieth part takes that takes longest, between the bounds of a histogram.
    when 'response_seconds' then return query
      select 'requests', ops.quantile('request_seconds', date_trunc('minute', v_since), 0.95);
    -- How long the task waits for a worker that waits longest; what waits for a slow receiver of webhooks does not.
    when 'queue_seconds' then return query
      select 'queue', extract(epoch from queue.oldest_due());
    -- The tick ends a job within seconds of its bound; one whose provider is asked to stop waits for that, for 5 minutes.
    when 'overdue_jobs' then return query
      select 'jobs', count(*)::numeric from videos.jobs as j
      where j.completed_at is null and j.due_at <= v_now - interval '6 minutes';
    -- In a row: what the breaker counts.
    when 'provider_failures' then return query
      select v.name, greatest(v.failures, v.unfinished)::numeric from videos.providers as v where v.is_enabled;
    -- All of it is spent where what is left pays for no video.
    when 'spending_percent' then return query
      select v.name, greatest(
        100 * (v.daily_cap_cents - m.cents) / v.daily_cap_cents, case when m.cents < videos.least_cents(v.name) then 100 end
      )
      from videos.money_left as m
      join videos.providers as v on v.name = m.provider and v.daily_cap_cents > 0;
    -- What a device gets, of which there is an intent each.
    when 'grants' then return query
      select 'devices', count(*)::numeric from devices.intents as i
      where i.good_until > v_since and i.granted_at > v_since;
    when 'credits_given' then return query
      select 'admins', coalesce(sum(a.amount), 0) from ops.admin_actions as a
      where a.amount > 0 and a.created_at > v_since;
    when 'ledger_violations' then return query
      select 'ledger', p.violations::numeric from credits.proofs as p order by p.id desc limit 1;
    when 'dead_letters' then return query
      select t.kind, count(*)::numeric from queue.tasks as t
      where t.failed_at is not null and t.failed_at > v_since
      group by t.kind;
    when 'dead_deliveries' then return query
      select d.channel, count(*)::numeric from events.deliveries as d
      where d.outcome = 'dead' and d.ended_at > v_since
      group by d.channel;
    when 'database_bytes' then return query
      select 'database', pg_database_size(current_database())::numeric;
    when 'storage_bytes' then return query
      select 'storage', coalesce((select sum(a.bytes) from videos.assets as a where a.deleted_at is null), 0)
        + coalesce((select sum(u.bytes) from videos.uploads as u where u.deleted_at is null), 0);
    when 'connections_percent' then return query
      select 'database', 100.0 * sum(d.numbackends) / current_setting('max_connections')::numeric
      from pg_catalog.pg_stat_database as d;
    -- Somebody has paid, and waits for the operator.
    when 'uncredited_purchases' then return query
      select t.reason::text, count(*)::numeric from purchases.transactions as t
      where t.reason in ('unknown_product', 'wrong_environment', 'sandbox_limit', 'switched_off')
        and t.environment = 'production'
      group by t.reason;
    -- Requests that say nothing about their network share the limits of one.
    when 'unknown_networks' then return query
      select h.policy, count(*)::numeric
      from guard.policies as p
      join guard.hits as h on h.is_logged = p.is_logged and h.policy = p.name and h.subject = 'unknown'
      cross join lateral unnest(h.hits) as u (hit)
      where p.scope = 'network' and p.counts = 'hits' and u.hit > v_since
      group by h.policy;
    when 'provider_balance_cents' then return query
      select a.provider, a.balance_cents from videos.provider_accounts as a where a.balance_cents is not null;
    when 'provider_locked' then return query
      select a.provider, a.is_locked::integer::numeric from videos.provider_accounts as a;
    -- By how much a day's bill differs from what its submissions cost by our count; of a dollar or less it says nothing.
    when 'provider_bill_percent' then return query
      select b.provider, max(100 * abs(b.billed_cents - b.counted_cents) / greatest(b.billed_cents, b.counted_cents))
      from videos.provider_bills as b
      where b.day > (v_since at time zone 'UTC')::date and greatest(b.billed_cents, b.counted_cents) > 100
      group by b.provider;
  end case;
end;
$$;

create function ops.quantile(p_metric text, p_since timestamptz, p_part numeric)
returns numeric
language plpgsql
stable
set search_path = ''
as $$
-- Below which value the part of what a histogram counted since then lies, evenly within its bucket; what is above the last bound
-- counts as that. Null where fewer than 20 were counted. Takes no lock.
declare
  v_bounds constant double precision[] := (select t.bounds from unnest(ops.metric_types()) as t where t.name = p_metric);
  v_counts bigint[];
  v_total bigint;
  v_below bigint := 0;
  v_from numeric := 0;
begin
  select array_agg(b.count order by b.place), sum(b.count) into v_counts, v_total
  from (
    select u.place, sum(u.count)::bigint as count
    from ops.metric_minutes as m
    cross join lateral unnest(m.buckets) with ordinality as u (count, place)
    where m.name = p_metric and m.minute >= p_since
    group by u.place
  ) as b;
  if coalesce(v_total, 0) < 20 then
    return null;
  end if;
  for v_place in 1 .. cardinality(v_bounds) loop
    if v_below + v_counts[v_place] >= p_part * v_total then
      return v_from + (v_bounds[v_place]::numeric - v_from) * (p_part * v_total - v_below) / v_counts[v_place];
    end if;
    v_below := v_below + v_counts[v_place];
    v_from := v_bounds[v_place]::numeric;
  end loop;
  return v_from;
end;
$$;

-- supabase/schemas/ops/alert-rules.sql

-- Rules: what is measured, what is too much of it, and which alerts follow; alert-actions.sql has what is done about it. The
-- operator writes thresholds and actions, and a metric is one of a closed set.

create type ops.alert_action as enum (
  'notify', -- tells
  'throttle', -- lowers the limits of policies as well
  'shutdown' -- turns flags off as well
);

create table ops.alert_rules (
  name text primary key check (name ~ '^[a-z][a-z0-9_]{0,49}$'),
  what text not null,
  metric ops.alert_metric not null,
  measured_over interval not null check (measured_over between interval '1 minute' and interval '31 days'),
  -- What is lower is worse: a balance.
  is_low_bad boolean not null default false,
  -- From which value on; null for a level that the rule does not have.
  warning numeric,
  critical numeric,
  -- It is over when it was well for so long: what crosses its bound again and again is one alert.
  ok_for interval not null default '5 minutes' check (ok_for between interval '0' and interval '7 days'),
  -- So long after it was over, nothing new is raised.
  cooldown interval not null default '5 minutes' check (cooldown between interval '0' and interval '7 days'),
  action ops.alert_action not null default 'notify',
  -- From which level on more is done than told.
  acts_at ops.alert_level not null default 'critical',
  policies text[] not null default '{}' constraint limits_of_admins_are_the_owners check (
    not policies && '{admin,admin_credits}'
  ),
  -- What is left of their limits.
  throttle_percent integer not null default 50 constraint throttled_to_a_tenth_at_most check (throttle_percent between 10 and 99),
  -- `{subject}` is what was measured: a provider.
  flags text[] not null default '{}' constraint flags_that_a_rule_may_turn_off check (
    array_to_string(flags, ' ') ~ '^((generation|grants|purchases|providers\.([a-z]+|\{subject\}))( |$))*$'
  ),
  -- What was done stays when the alert is over, until this is false again.
  is_pinned boolean not null default false,
  is_enabled boolean not null default true,
  every interval not null default '1 minute' check (every between interval '1 minute' and interval '1 day'),
  evaluated_at timestamptz not null default '-infinity',
  last_error text,
  constraint a_bound_at_least check (num_nonnulls(warning, critical) > 0),
  constraint a_warning_comes_first check (case when is_low_bad then warning >= critical else warning <= critical end),
  constraint an_action_has_what_it_is_done_to check (
    case action when 'throttle' then policies <> '{}' when 'shutdown' then flags <> '{}' else true end
  )
);
alter table ops.alert_rules enable row level security;
comment on table ops.alert_rules is 'What is measured, what is too much, and what is done then; a change counts from the next minute on.';

-- How bad a value is by a rule; null where it is well.
create function ops.level_of(p_rule ops.alert_rules, p_value numeric)
returns ops.alert_level
language sql
immutable
return case
  when p_value is null then null
  when case when (p_rule).is_low_bad then p_value <= (p_rule).critical else p_value >= (p_rule).critical end then 'critical'
  when case when (p_rule).is_low_bad then p_value <= (p_rule).warning else p_value >= (p_rule).warning end then 'warning'
end::ops.alert_level;

create function ops.judge(p_rule ops.alert_rules, p_measured ops.measurement)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What a value means by its rule: an alert begins, goes on, or becomes worse; one that is well does nothing here. It is
-- raised at the first value that is bad, since the window has smoothed it already. Locks: alert → targets.
declare
  v_now constant timestamptz := core.now();
  v_level constant ops.alert_level := ops.level_of(p_rule, p_measured.value);
  v_threshold constant numeric := case v_level when 'critical' then p_rule.critical else p_rule.warning end;
  v_subject constant text := left(p_measured.subject, 300);
  v_before ops.alerts;
  v_alert ops.alerts;
begin
  if v_level is null then
    update ops.alerts as a set value = p_measured.value
    where a.rule = p_rule.name and a.subject = v_subject and a.resolved_at is null and a.value <> p_measured.value;
    return;
  end if;
  select a.* into v_before
  from ops.alerts as a
  where a.rule = p_rule.name and a.subject = v_subject and a.resolved_at is null
  for update;
  if not found then
    if exists (
      select from ops.alerts as a
      where a.rule = p_rule.name and a.subject = v_subject and a.resolved_at > v_now - p_rule.cooldown
    ) then
      return;
    end if;
    insert into ops.alerts (rule, subject, details, raised_at, last_at, level, metric, value, threshold)
    values (
      p_rule.name, v_subject, jsonb_build_object('what', p_rule.what), v_now, v_now, v_level, p_rule.metric,
      p_measured.value, v_threshold
    )
    returning * into v_alert;
    perform ops.note_alert(v_alert, v_level::text);
  else
    -- It is as bad as it has been since it began.
    update ops.alerts as a
    set count = a.count + 1, last_at = v_now, value = p_measured.value, level = greatest(a.level, v_level),
        threshold = case when v_level >= a.level then v_threshold else a.threshold end
    where a.id = v_before.id
    returning * into v_alert;
    if v_alert.level > v_before.level then
      perform ops.note_alert(v_alert, v_level::text);
    end if;
  end if;
  if v_alert.level >= p_rule.acts_at then
    perform ops.act(p_rule, v_subject);
  end if;
end;
$$;

create function ops.end_alerts(p_rule ops.alert_rules)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Ends the alerts of a rule that have been well for long enough, and undoes what was done about them, unless it is pinned.
-- A second call changes nothing. Locks: alert → targets.
declare
  v_subject text;
begin
  for v_subject in
    select a.subject from ops.alerts as a
    where a.rule = p_rule.name and a.resolved_at is null and a.last_at < core.now() - p_rule.ok_for
    order by a.subject
  loop
    perform ops.resolve_alert(p_rule.name, v_subject);
  end loop;
  if not p_rule.is_pinned then
    for v_subject in
      select distinct d.subject from ops.alert_actions as d
      where d.rule = p_rule.name and not exists (
        select from ops.alerts as a where a.rule = d.rule and a.subject = d.subject and a.resolved_at is null
      )
      order by d.subject
    loop
      perform ops.undo(p_rule.name, v_subject);
    end loop;
  end if;
end;
$$;

create function ops.due_alert_rules(p_limit integer)
returns setof text
language sql
volatile
set search_path = ''
as $$
  -- The rules whose interval is over, up to p_limit.
  select r.name from ops.alert_rules as r
  where r.is_enabled and r.evaluated_at <= core.now() - r.every
  order by r.evaluated_at, r.name
  limit p_limit
$$;

create function ops.evaluate_rule(p_rule text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Measures what a rule is about, by one statement, and does what follows, if it is due; a second call is not. A rule that
-- fails is an alert about itself, and changes nothing else. Locks: the rule → its alerts → targets.
declare
  v_rule ops.alert_rules;
  v_measured ops.measurement;
begin
  update ops.alert_rules as r set evaluated_at = core.now()
  where r.name = p_rule and r.is_enabled and r.evaluated_at <= core.now() - r.every
  returning r.* into v_rule;
  if not found then
    return;
  end if;
  begin
    for v_measured in select m.* from ops.measure(v_rule.metric, v_rule.measured_over) as m order by m.subject loop
      perform ops.judge(v_rule, v_measured);
    end loop;
    perform ops.end_alerts(v_rule);
  exception
    -- Locks come and go: the tick has it tried again.
    when lock_not_available or deadlock_detected or serialization_failure then
      raise;
    when query_canceled or assert_failure or others then
      update ops.alert_rules as r set last_error = format('%s: %s', sqlstate, sqlerrm) where r.name = p_rule;
      perform ops.raise_alert('alert_rule', p_rule, jsonb_build_object('error', format('%s: %s', sqlstate, sqlerrm)));
      return;
  end;
  if v_rule.last_error is not null then
    update ops.alert_rules as r set last_error = null where r.name = p_rule;
    perform ops.resolve_alert('alert_rule', p_rule);
  end if;
end;
$$;

create function ops.watch_alerts()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `watch_alerts`: what was met and is not met any more is over, an hour later; a rule that has not been
-- evaluated, since the tick cannot, is an alert. A second call changes nothing. Locks: the alerts, in their order.
declare
  v_now constant timestamptz := core.now();
  v_row record;
begin
  for v_row in
    select a.rule, a.subject from ops.alerts as a
    where a.resolved_at is null and a.metric is null and a.last_at <= v_now - interval '1 hour'
    order by a.rule, a.subject
    limit 1000
  loop
    perform ops.resolve_alert(v_row.rule, v_row.subject);
  end loop;
  for v_row in
    select r.name, r.evaluated_at from ops.alert_rules as r
    -- A database that has just been made has evaluated nothing.
    where r.is_enabled and r.evaluated_at > '-infinity' and r.evaluated_at < v_now - 5 * r.every - interval '5 minutes'
    order by r.name
  loop
    perform ops.raise_alert('alert_rule', v_row.name, jsonb_build_object('evaluated_at', v_row.evaluated_at));
  end loop;
  -- Of a rule that was switched off, or taken away, nothing is open, nor stays done that is not pinned.
  for v_row in
    select a.rule, a.subject from ops.alerts as a
    where a.resolved_at is null and a.metric is not null
      and not exists (select from ops.alert_rules as r where r.name = a.rule and r.is_enabled)
    order by a.rule, a.subject
  loop
    perform ops.resolve_alert(v_row.rule, v_row.subject);
  end loop;
  for v_row in
    select distinct d.rule, d.subject from ops.alert_actions as d
    join ops.alert_rules as r on r.name = d.rule and not r.is_enabled and not r.is_pinned
    order by d.rule, d.subject
  loop
    perform ops.undo(v_row.rule, v_row.subject);
  end loop;
end;
$$;

-- supabase/schemas/ops/alert-actions.sql

-- What rules do beside telling: they lower limits and turn flags off, until what they are about is over.

-- What rules have done and not undone. Several may do the same thing: it is undone with the last of them. A rule that has
-- done something stays until that is undone: nothing else would know of it.
create table ops.alert_actions (
  rule text not null references ops.alert_rules,
  subject text not null,
  action ops.alert_action not null check (action <> 'notify'),
  -- The policy or the flag.
  target text not null,
  percent integer,
  -- Whether it was us who turned the flag off, and nobody decided about it before or since.
  is_ours boolean not null default true,
  acted_at timestamptz not null,
  primary key (rule, subject, action, target),
  check ((action = 'throttle') = (percent is not null))
);
alter table ops.alert_actions enable row level security;
create index alert_actions_target on ops.alert_actions (action, target);
comment on table ops.alert_actions is 'Which limits are lowered, and which flags are off, by which rule.';

create function ops.act(p_rule ops.alert_rules, p_subject text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Does what a rule does about a subject. A second call changes nothing. Locks: targets, in the order of their names.
declare
  v_target text;
  v_others boolean;
  v_is_ours boolean;
begin
  if p_rule.action = 'throttle' then
    for v_target in select distinct p.name from unnest(p_rule.policies) as p (name) order by p.name loop
      perform ops.lock_target('throttle', v_target);
      insert into ops.alert_actions (rule, subject, action, target, percent, acted_at)
      values (p_rule.name, p_subject, 'throttle', v_target, p_rule.throttle_percent, core.now())
      on conflict (rule, subject, action, target) do update set percent = excluded.percent;
      perform ops.apply_throttle(v_target);
    end loop;
  elsif p_rule.action = 'shutdown' then
    for v_target in
      select distinct replace(f.name, '{subject}', p_subject) from unnest(p_rule.flags) as f (name) order by 1
    loop
      perform ops.lock_target('shutdown', v_target);
      continue when exists (
        select from ops.alert_actions as a
        where a.rule = p_rule.name and a.subject = p_subject and a.action = 'shutdown' and a.target = v_target
      );
      select bool_or(a.is_ours) into v_others
      from ops.alert_actions as a
      where a.action = 'shutdown' and a.target = v_target;
      v_is_ours := ops.set_switch(v_target, false, null, format('by the alert rule %s: %s', p_rule.name, p_subject));
      insert into ops.alert_actions (rule, subject, action, target, is_ours, acted_at)
      values (p_rule.name, p_subject, 'shutdown', v_target, v_is_ours or coalesce(v_others, false), core.now());
      if v_is_ours then
        -- Whichever is the last of them to end turns it on.
        update ops.alert_actions as a set is_ours = true
        where a.action = 'shutdown' and a.target = v_target and not a.is_ours;
      end if;
    end loop;
  end if;
end;
$$;

create function ops.undo(p_rule text, p_subject text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Undoes what a rule has done about a subject, but for what another has done as well, and for a flag that was off before.
-- A second call changes nothing. Locks: targets, in the order of their names → flags → what was done.
declare
  v_action ops.alert_actions;
begin
  for v_action in
    select a.* from ops.alert_actions as a where a.rule = p_rule and a.subject = p_subject order by a.action, a.target
  loop
    perform ops.lock_target(v_action.action, v_action.target);
    -- Before what was done, as whoever turns it on by hand has it.
    perform from ops.feature_flags as f where v_action.action = 'shutdown' and f.key = v_action.target for no key update;
    delete from ops.alert_actions as a
    where (a.rule, a.subject, a.action, a.target) = (v_action.rule, v_action.subject, v_action.action, v_action.target)
    returning a.* into v_action;
    continue when not found;
    if v_action.action = 'throttle' then
      perform ops.apply_throttle(v_action.target);
    elsif v_action.is_ours then
      -- Whoever keeps it off is who turns it on in the end.
      update ops.alert_actions as o set is_ours = true where o.action = 'shutdown' and o.target = v_action.target;
      continue when found;
      perform ops.set_switch(v_action.target, true, null, format('the alert rule %s is over: %s', p_rule, p_subject));
    end if;
  end loop;
end;
$$;

create function ops.take_over(p_flag text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Somebody decides about a flag by hand: what rules have done to it is theirs no more, and their end leaves it as it is. The
-- caller has locked the flag. A second call changes nothing. Locks: what was done to it.
begin
  update ops.alert_actions as a set is_ours = false
  where a.action = 'shutdown' and a.target = p_flag and a.is_ours;
end;
$$;

create function ops.leave_flag()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
-- Whoever turns on what rules have turned off, in whatever way, decides about it. Locks: as ops.take_over.
begin
  perform ops.take_over(new.key);
  return null;
end;
$$;

create trigger left_by_rules after update of is_enabled on ops.feature_flags
  for each row when (new.is_enabled and not old.is_enabled) execute function ops.leave_flag();

create function ops.lock_target(p_action ops.alert_action, p_target text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Of two who act on the same policy or flag, the second sees what the first did. Locks: the target, of the alerts' locks.
begin
  perform pg_advisory_xact_lock(3, hashtext(p_action || ' ' || p_target));
end;
$$;

create function ops.apply_throttle(p_policy text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a policy what the strictest rule leaves of it. The caller has locked the target. Locks: the policy.
begin
  perform guard.throttle(p_policy, coalesce((
    select min(a.percent) from ops.alert_actions as a where a.action = 'throttle' and a.target = p_policy
  ), 100));
end;
$$;

-- supabase/schemas/ops/incidents.sql

-- What was away, who did its work meanwhile, and when it came back.

create table ops.incidents (
  id uuid primary key default core.new_id(),
  -- `provider fal`, `storage`.
  subject text not null check (subject ~ '^(provider [a-z]+|storage)$'),
  began_at timestamptz not null,
  -- Null while it lasts.
  ended_at timestamptz,
  cause text check (char_length(cause) between 1 and 500),
  check (ended_at >= began_at)
);
alter table ops.incidents enable row level security;
create unique index incidents_open on ops.incidents (subject) where ended_at is null;
create index incidents_began on ops.incidents (began_at);
comment on table ops.incidents is 'What was away, from when until when.';

create function ops.begin_incident(p_subject text, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Something is away. One that is known of lasts on: a second call changes nothing. Locks: the incident.
begin
  insert into ops.incidents (subject, began_at, cause) values (p_subject, core.now(), left(p_cause, 500))
  on conflict (subject) where ended_at is null do nothing;
end;
$$;

create function ops.end_incident(p_subject text, p_at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- It is back, since p_at. A second call changes nothing. Locks: the incident.
begin
  update ops.incidents as i set ended_at = greatest(i.began_at, p_at) where i.subject = p_subject and i.ended_at is null;
end;
$$;

create function ops.watch_storage()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `watch_storage`: Storage is back when nothing has met that it is away for two minutes, within which
-- each task that waits for it has tried twice. It was so from the first file that came through since. A second call changes
-- nothing. Locks: incident → alert.
declare
  v_last_at constant timestamptz := (
    select a.last_at from ops.alerts as a where a.rule = 'storage_away' and a.subject = 'storage' and a.resolved_at is null
  );
begin
  if exists (select from ops.incidents as i where i.subject = 'storage' and i.ended_at is null)
    and coalesce(v_last_at, '-infinity') < core.now() - interval '2 minutes'
  then
    perform ops.end_incident('storage', coalesce(
      (select min(a.created_at) from videos.assets as a where a.created_at > v_last_at),
      core.now()
    ));
    perform ops.resolve_alert('storage_away', 'storage');
  end if;
end;
$$;

create view ops.incident_log with (security_invoker = true) as
select i.id, i.subject, i.began_at, i.ended_at, i.ended_at - i.began_at as lasted, i.cause,
  -- Who took jobs that it did not take.
  (
    select array_agg(distinct o.provider order by o.provider)
    from videos.submissions as s
    join videos.submissions as o on o.job_id = s.job_id and o.provider <> s.provider and o.state in ('accepted', 'ended')
    -- So that the index of those is asked for the provider.
    where s.provider = substring(i.subject from '^provider (.*)$') and s.state = 'not_accepted'
      and s.claimed_at >= i.began_at - interval '10 minutes' and s.claimed_at < coalesce(i.ended_at, 'infinity')
  ) as taken_over_by
from ops.incidents as i;
comment on view ops.incident_log is 'What was away, from when until when, and which providers took the jobs. Ids sort by time: order by id desc.';

-- supabase/schemas/ops/alert-changes.sql

-- What an admin sees of alerts, rules and limits, and changes of them.

-- A rate limit as the API shows it.
create function ops.policy_json(p_policy guard.policies)
returns jsonb
language sql
stable
return jsonb_build_object(
  'policy', (p_policy).name, 'scope', (p_policy).scope, 'counts', (p_policy).counts, 'max_hits', (p_policy).max_hits,
  'window_seconds', (p_policy).window_seconds, 'on_failure', (p_policy).on_failure,
  'throttle_percent', (p_policy).throttle_percent, 'admits', (p_policy).admits
);

-- An alert as the API shows it.
create function ops.alert_json(p_alert ops.alerts)
returns jsonb
language sql
stable
return jsonb_build_object(
  'alert_id', (p_alert).id, 'rule', (p_alert).rule, 'subject', (p_alert).subject, 'level', (p_alert).level,
  'details', (p_alert).details, 'count', (p_alert).count, 'metric', (p_alert).metric, 'value', (p_alert).value,
  'threshold', (p_alert).threshold, 'raised_at', core.to_iso((p_alert).raised_at), 'last_at', core.to_iso((p_alert).last_at),
  'acknowledged_at', core.to_iso((p_alert).acknowledged_at), 'resolved_at', core.to_iso((p_alert).resolved_at)
);

-- A rule as the API shows it, with what it does now.
create function ops.rule_json(p_rule ops.alert_rules)
returns jsonb
language sql
stable
return jsonb_build_object(
  'rule', (p_rule).name, 'what', (p_rule).what, 'metric', (p_rule).metric,
  'measured_over_seconds', extract(epoch from (p_rule).measured_over)::integer, 'is_low_bad', (p_rule).is_low_bad,
  'warning', (p_rule).warning, 'critical', (p_rule).critical, 'ok_for_seconds', extract(epoch from (p_rule).ok_for)::integer,
  'cooldown_seconds', extract(epoch from (p_rule).cooldown)::integer, 'action', (p_rule).action, 'acts_at', (p_rule).acts_at,
  'policies', to_jsonb((p_rule).policies), 'throttle_percent', (p_rule).throttle_percent, 'flags', to_jsonb((p_rule).flags),
  'is_pinned', (p_rule).is_pinned, 'is_enabled', (p_rule).is_enabled, 'last_error', (p_rule).last_error,
  -- What it has lowered or turned off now.
  'acting_on', (
    select coalesce(jsonb_agg(a.target order by a.target), '[]')
    from (select distinct d.target from ops.alert_actions as d where d.rule = (p_rule).name) as a
  )
);

create function ops.change_rule(
  p_admin_id uuid, p_request_id text, p_reason text, p_rule text, p_warning numeric, p_critical numeric, p_action text,
  p_policies text[], p_throttle_percent integer, p_flags text[], p_is_pinned boolean, p_is_enabled boolean
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Changes a rule, null being as it is, and returns it as ops.rule_json has it, or a refusal. What it did by its old action is
-- undone, and its new one is done with the next evaluation. What changes nothing is not written down. Locks: rule → targets.
declare
  v_before ops.alert_rules;
  v_after ops.alert_rules;
  v_fields jsonb := '[]';
  v_subject text;
begin
  select r.* into v_before from ops.alert_rules as r where r.name = p_rule for no key update;
  if not found then
    return guard.refusal('resource/not-found');
  end if;
  v_after := v_before;
  v_after.warning := coalesce(p_warning, v_before.warning);
  v_after.critical := coalesce(p_critical, v_before.critical);
  v_after.action := coalesce(p_action::ops.alert_action, v_before.action);
  v_after.policies := coalesce(p_policies, v_before.policies);
  v_after.throttle_percent := coalesce(p_throttle_percent, v_before.throttle_percent);
  v_after.flags := coalesce(p_flags, v_before.flags);
  v_after.is_pinned := coalesce(p_is_pinned, v_before.is_pinned);
  v_after.is_enabled := coalesce(p_is_enabled, v_before.is_enabled);

  if (case when v_after.is_low_bad then v_after.warning < v_after.critical else v_after.warning > v_after.critical end) then
    v_fields := v_fields || '{"path": "critical", "message": "Must be worse than the warning"}';
  end if;
  if exists (
    select from unnest(v_after.policies) as n (name) where not exists (select from guard.policies as p where p.name = n.name)
  ) then
    v_fields := v_fields || '{"path": "policies", "message": "Must be names of rate limits"}';
  elsif v_after.policies && '{admin,admin_credits}' then
    v_fields := v_fields || '{"path": "policies", "message": "Must not name the limits of admins"}';
  elsif v_after.action = 'throttle' and v_after.policies = '{}' then
    v_fields := v_fields || '{"path": "policies", "message": "Must name what is throttled"}';
  end if;
  if v_after.action = 'shutdown' and v_after.flags = '{}' then
    v_fields := v_fields || '{"path": "flags", "message": "Must name what is switched off"}';
  end if;
  if v_fields <> '[]' then
    return guard.refusal('request/malformed', jsonb_build_object('fields', v_fields));
  end if;
  if v_after is distinct from v_before then
    update ops.alert_rules as r
    set warning = v_after.warning, critical = v_after.critical, action = v_after.action, policies = v_after.policies,
        throttle_percent = v_after.throttle_percent, flags = v_after.flags, is_pinned = v_after.is_pinned,
        is_enabled = v_after.is_enabled
    where r.name = p_rule;
    if (v_after.action, v_after.policies, v_after.throttle_percent, v_after.flags)
      is distinct from (v_before.action, v_before.policies, v_before.throttle_percent, v_before.flags)
    then
      for v_subject in select distinct a.subject from ops.alert_actions as a where a.rule = p_rule order by a.subject loop
        perform ops.undo(p_rule, v_subject);
      end loop;
    end if;
    insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
    select 'change_rule', p_admin_id, 'rule ' || p_rule, jsonb_build_object(
      'before', jsonb_object_agg(b.key, b.value), 'after', jsonb_object_agg(a.key, a.value)
    ), p_reason, p_request_id, core.now()
    from jsonb_each(ops.rule_json(v_before) - 'acting_on') as b
    join jsonb_each(ops.rule_json(v_after) - 'acting_on') as a on a.key = b.key and a.value <> b.value;
  end if;
  return ops.rule_json(v_after);
end;
$$;

-- supabase/schemas/purchases/products.sql

-- purchases: what is sold through the App Store, what was bought, and what Apple says became of it. In this order:
-- products.sql (what is sold), transactions.sql (what was bought), subscriptions.sql (what periods have in common),
-- showing.sql (what the API tells of both), sandbox.sql (what may be credited for no money),
-- crediting.sql (how a purchase becomes credits), notifications.sql (what Apple tells), consumption.sql (what Apple asks),
-- telling.sql (what there is to tell of it).

create schema purchases;

create type purchases.product_kind as enum ('consumable', 'subscription');

create table purchases.products (
  -- The product's id in App Store Connect.
  product_id text primary key check (char_length(product_id) between 1 and 200),
  kind purchases.product_kind not null,
  name text not null check (char_length(name) between 1 and 100),
  description text not null check (char_length(description) <= 500),
  -- For one unit, or for each period. A thousand units, which is what Apple sells at once at most, are one posting.
  credits bigint not null check (credits between 1 and 1000000),
  -- For a period that costs nothing.
  trial_credits bigint not null default 0 check (trial_credits between 0 and 1000000),
  -- What is not available is not shown; whoever has paid for it gets it all the same.
  is_available boolean not null default true,
  is_featured boolean not null default false,
  position integer not null default 0
);
alter table purchases.products enable row level security;
comment on table purchases.products is 'What is sold, and for how many credits; the operator''s to change. What was credited stays as it was.';

-- A product as the API shows it.
create function purchases.product_json(p_product purchases.products)
returns jsonb
language sql
stable
return jsonb_build_object(
  'product_id', (p_product).product_id, 'kind', (p_product).kind, 'name', (p_product).name,
  'description', (p_product).description, 'credits', (p_product).credits, 'is_featured', (p_product).is_featured
);

-- A product as the operator sees it, and as it is written down.
create function purchases.record_json(p_product purchases.products)
returns jsonb
language sql
stable
return purchases.product_json(p_product) || jsonb_build_object(
  'trial_credits', (p_product).trial_credits, 'is_available', (p_product).is_available, 'position', (p_product).position
);

-- supabase/schemas/purchases/transactions.sql

create type purchases.environment as enum ('production', 'sandbox');

-- Why a transaction is not credited. The first group waits for somebody; the others are so for good, unless Apple says
-- something new.
create type purchases.uncredited_reason as enum (
  'unclaimed', -- it names nobody, and nobody has presented it
  'unknown_product', -- there is no such product, or it is of another kind
  'wrong_environment', -- purchases in the sandbox are refused
  'sandbox_limit', -- no more is credited of the sandbox today
  'switched_off', -- purchases are
  'unknown_account', -- it names an account that is nobody's
  'closed_account', -- it names an account that is closed
  'family_shared', -- somebody else of the family bought it
  'revoked', -- Apple gave the money back first
  'expired' -- the period that it paid for is over
);

create table purchases.transactions (
  id uuid primary key default core.new_id(),
  environment purchases.environment not null,
  transaction_id text not null check (char_length(transaction_id) between 1 and 40),
  -- What all periods of a subscription share.
  original_transaction_id text not null check (char_length(original_transaction_id) between 1 and 40),
  product_id text not null check (char_length(product_id) between 1 and 200),
  kind text not null check (kind in ('consumable', 'subscription', 'other')),
  quantity integer not null check (quantity between 1 and 1000),
  app_account_token uuid,
  purchased_at timestamptz not null,
  expires_at timestamptz,
  -- When Apple signed what this row says. What was signed later is true.
  signed_at timestamptz not null,
  revoked_at timestamptz,
  revocation_reason integer,
  revocation_type text check (revocation_type in ('full', 'prorated', 'family_revoke')),
  -- In thousandths of a percent, as Apple counts.
  revocation_percentage integer check (revocation_percentage between 0 and 100000),
  is_family_shared boolean not null,
  is_upgraded boolean not null,
  is_free_trial boolean not null,
  -- In thousandths of the currency's unit.
  price_milliunits bigint check (price_milliunits >= 0),
  currency text check (currency ~ '^[A-Z]{3}$'),
  app_transaction_id text check (char_length(app_transaction_id) <= 40),
  -- Whose it is; once that is known it stays.
  owner_id uuid,
  -- What was added; a later price of the product does not change it.
  credits bigint check (credits >= 0),
  credited_at timestamptz,
  -- The ledger's; null where a period that cost nothing gave nothing.
  transfer_id uuid,
  reason purchases.uncredited_reason,
  -- Before then, trying again is of no use.
  retry_at timestamptz,
  created_at timestamptz not null,
  -- Apple began this period by itself, at the end of the one before.
  is_renewal boolean not null default false,
  -- Until when Apple wants the subscriber served though the payment for the next period failed, as far as it ever said.
  grace_until timestamptz,
  -- How much of it Apple has taken back, in thousandths of a percent.
  revoked_share integer generated always as (case
    when revoked_at is null then 0 when revocation_type = 'prorated' then coalesce(revocation_percentage, 100000) else 100000
  end) stored,
  -- The number first: the operator asks by that alone.
  unique (transaction_id, environment),
  constraint transactions_credited_or_not check (
    (credited_at is null) = (reason is not null) and (credited_at is null) = (credits is null)
    and (credited_at is null or owner_id is not null)
  )
);
alter table purchases.transactions enable row level security;
create index transactions_owner on purchases.transactions (owner_id, purchased_at desc, id desc) where owner_id is not null;
create index transactions_named on purchases.transactions (app_account_token)
  where owner_id is null and app_account_token is not null;
create index transactions_original on purchases.transactions (environment, original_transaction_id);
create index transactions_app on purchases.transactions (app_transaction_id) where app_transaction_id is not null;
create index transactions_waiting on purchases.transactions (reason, product_id)
  where reason in ('unknown_product', 'wrong_environment', 'sandbox_limit', 'switched_off');
create index transactions_sandbox on purchases.transactions (credited_at) where environment = 'sandbox';
comment on table purchases.transactions is 'What Apple says was bought, each transaction once, and what was credited for it.';

create function purchases.find_owner(
  p_told purchases.transactions, p_presenter uuid, out owner_id uuid, out reason purchases.uncredited_reason
)
language plpgsql
stable
set search_path = ''
as $$
-- Whose a transaction is that has no owner yet and is no period of a subscription: whoever it names, else whoever presents
-- it. Or why it is nobody's: then `owner_id` is null.
declare
  v_closed_at timestamptz;
begin
  if (p_told).is_family_shared then
    reason := 'family_shared';
  elsif (p_told).app_account_token is not null then
    -- Or whom they became since.
    select h.id, h.closed_at into owner_id, v_closed_at
    from accounts.users as u join accounts.users as h on h.id = accounts.heir_of(u.id)
    where u.app_account_token = (p_told).app_account_token;
    if not found then
      reason := 'unknown_account';
    elsif v_closed_at is not null then
      owner_id := null;
      reason := 'closed_account';
    end if;
  else
    owner_id := p_presenter;
    if owner_id is null then
      reason := 'unclaimed';
    end if;
  end if;
end;
$$;

select core.keep_rows_out_of_logs('purchases.transactions');

-- supabase/schemas/purchases/subscriptions.sql

-- A subscription: what its periods have in common. Each period is a transaction.
create table purchases.subscriptions (
  environment purchases.environment not null,
  original_transaction_id text not null check (char_length(original_transaction_id) between 1 and 40),
  -- Whose the periods to come are; those that were credited stay where they are.
  owner_id uuid,
  -- What Apple signed last about its renewal; null before it said anything.
  renewal_signed_at timestamptz,
  is_auto_renewing boolean,
  is_in_billing_retry boolean not null default false,
  grace_period_expires_at timestamptz,
  -- When it moved to its present owner, who restored it.
  moved_at timestamptz,
  created_at timestamptz not null,
  primary key (environment, original_transaction_id)
);
alter table purchases.subscriptions enable row level security;
create index subscriptions_owner on purchases.subscriptions (owner_id) where owner_id is not null;
comment on table purchases.subscriptions is 'Who has which subscription, and what Apple says about its renewal.';

create type purchases.subscription_status as enum ('active', 'in_grace', 'in_billing_retry', 'expired', 'revoked');

create function purchases.subscribe(
  p_told purchases.transactions, p_presenter uuid, out owner_id uuid, out reason purchases.uncredited_reason
)
language plpgsql
volatile
set search_path = ''
as $$
-- Whose a subscription's periods are: it is written down with the first that is told of it. Whoever that names has it, else
-- whoever presents one; and whoever presents one of a subscription whose owner's account is closed, has it from then on.
-- `owner_id` is null where it is nobody's, with the `reason`. The caller has locked the subscription.
declare
  v_known uuid;
begin
  if (p_told).is_family_shared then
    reason := 'family_shared';
    return;
  end if;
  select s.owner_id into v_known
  from purchases.subscriptions as s
  where s.environment = (p_told).environment and s.original_transaction_id = (p_told).original_transaction_id;
  if not found then
    insert into purchases.subscriptions (environment, original_transaction_id, created_at)
    values ((p_told).environment, (p_told).original_transaction_id, core.now());
  end if;
  owner_id := v_known;
  if owner_id is null then
    -- Also one whose account is closed: a subscription lives on at Apple's, and can be restored by somebody else.
    select accounts.heir_of(u.id) into owner_id
    from accounts.users as u where u.app_account_token = (p_told).app_account_token;
    if owner_id is null and (p_told).app_account_token is not null then
      reason := 'unknown_account';
      return;
    end if;
    owner_id := coalesce(owner_id, p_presenter);
  end if;
  if p_presenter <> owner_id and purchases.is_closed(owner_id) then
    owner_id := p_presenter;
  end if;
  if owner_id is null then
    reason := 'unclaimed';
  elsif owner_id is distinct from v_known then
    perform purchases.move_subscription(p_told, owner_id);
  end if;
end;
$$;

-- Whether it is an account that is closed: a period to come has no use for it.
create function purchases.is_closed(p_user_id uuid)
returns boolean
language sql
stable
return exists (select from accounts.users as u where u.id = p_user_id and u.closed_at is not null);

create function purchases.move_subscription(p_told purchases.transactions, p_owner_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a subscription's periods to come to a user. The caller has locked the subscription.
begin
  update purchases.subscriptions as s
  set moved_at = case when s.owner_id is not null then core.now() end, owner_id = p_owner_id
  where s.environment = (p_told).environment and s.original_transaction_id = (p_told).original_transaction_id
    and s.owner_id is distinct from p_owner_id;
end;
$$;

create function purchases.restore_from_guest(p_told purchases.transactions, p_presenter uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Moves a subscription that is a guest's to whoever presents it: a guest who lost their session has no other way. What was
-- paid until now stays the guest's. The caller has locked the subscription, and the account of the presenter.
declare
  -- Or whoever they have become while this waited.
  v_presenter constant uuid := accounts.heir_of(p_presenter);
  v_owner_id uuid;
begin
  select s.owner_id into v_owner_id
  from purchases.subscriptions as s
  where s.environment = (p_told).environment and s.original_transaction_id = (p_told).original_transaction_id;
  if v_owner_id <> v_presenter and not (p_told).is_family_shared
    and exists (select from auth.users as a where a.id = v_owner_id and a.is_anonymous)
  then
    perform purchases.move_subscription(p_told, v_presenter);
  end if;
end;
$$;

create function purchases.note_renewal(p_renewal jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Keeps what Apple signed last about a subscription's renewal. A second call, or an older one, changes nothing. The caller
-- has locked the subscription.
begin
  update purchases.subscriptions as s
  set renewal_signed_at = r.signed_at, is_auto_renewing = r.auto_renew_status <> 'off',
      is_in_billing_retry = r.is_in_billing_retry, grace_period_expires_at = r.grace_period_expires_at
  from jsonb_to_record(p_renewal) as r (
    environment purchases.environment, original_transaction_id text, signed_at timestamptz, auto_renew_status text,
    is_in_billing_retry boolean, grace_period_expires_at timestamptz
  )
  where s.environment = r.environment and s.original_transaction_id = r.original_transaction_id
    -- Of two that were signed in the same moment, any rule will do that does not ask which came first.
    and (
      coalesce(s.renewal_signed_at, '-infinity'), coalesce(s.grace_period_expires_at, '-infinity'), s.is_in_billing_retry,
      coalesce(s.is_auto_renewing, true)
    ) < (
      r.signed_at, coalesce(r.grace_period_expires_at, '-infinity'), r.is_in_billing_retry,
      coalesce(r.auto_renew_status <> 'off', true)
    );
end;
$$;

create function purchases.other_periods(p_period purchases.transactions)
returns setof purchases.transactions
language sql
stable
set search_path = ''
as $$
  -- The other periods of the same subscription that somebody paid for themselves.
  select t.*
  from purchases.transactions as t
  where t.environment = (p_period).environment and t.original_transaction_id = (p_period).original_transaction_id
    and t.transaction_id <> (p_period).transaction_id and t.kind = 'subscription' and not t.is_family_shared
$$;

create function purchases.cut_at(p_period purchases.transactions)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  -- When another level began in the middle of a period, for which Apple gives back the share of the price that was left; null
  -- where none did. Apple signs that it was an upgrade, but need not tell it again of the period that it ended: a purchase
  -- within it says the same. A renewal may begin some moments early, and ends nothing.
  select min(o.purchased_at)
  from purchases.other_periods(p_period) as o
  where (o.purchased_at, o.transaction_id collate "C")
      > ((p_period).purchased_at, (p_period).transaction_id collate "C")
    and o.purchased_at < (p_period).expires_at
    and ((p_period).is_upgraded or not o.is_renewal)
$$;

create function purchases.cutter_of(p_period purchases.transactions)
returns uuid
language sql
stable
set search_path = ''
as $$
  -- The period that begins at purchases.cut_at.
  select o.id
  from purchases.other_periods(p_period) as o
  where o.purchased_at = purchases.cut_at(p_period)
  order by o.transaction_id collate "C"
  limit 1
$$;

create function purchases.unspent_of(p_transfer_id uuid)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- What a purchase brought and nobody has spent: what was taken back of it, expired, or is left. Null for none.
  select (coalesce((select sum(r.amount) from credits.reversals_of(t.id) as r), 0)
    + coalesce((select sum(e.amount) from credits.expiries_of(t.id) as e), 0)
    + coalesce((select sum(l.remaining) from credits.lots_of(t.draws[1].lot_id) as l), 0))::bigint
  from credits.transfers as t
  where t.id = p_transfer_id
$$;

create function purchases.share_cut(p_period purchases.transactions, out taken bigint, out passed bigint)
language plpgsql
stable
set search_path = ''
as $$
-- How much of a credited period's credits is taken back because another level began in the middle of one: its own rest, by
-- time, rounded up, so that no number of upgrades adds up to a credit. Where the next period is another user's, who has
-- restored the subscription, that is taken as far as it is there, and the next period is smaller by the rest: else whoever
-- spends, restores and upgrades in turn has each period for the price of one, and leaves debts behind. `passed`: what the
-- next period has to bear.
declare
  v_next purchases.transactions;
  v_rest bigint := 0;
  v_due constant bigint := purchases.passed_to(p_period);
begin
  select t.* into v_next from purchases.transactions as t where t.id = purchases.cutter_of(p_period);
  if v_next.id is not null then
    v_rest := (p_period).credits - floor(
      (p_period).credits * extract(epoch from v_next.purchased_at - (p_period).purchased_at)
        / extract(epoch from (p_period).expires_at - (p_period).purchased_at)
    )::bigint;
  end if;
  taken := least((p_period).credits, v_due + case
    when v_next.credited_at is not null and v_next.owner_id <> (p_period).owner_id
      then least(v_rest, greatest(0, coalesce(purchases.unspent_of((p_period).transfer_id), 0) - v_due))
    else v_rest
  end);
  passed := v_due + v_rest - taken;
end;
$$;

create function purchases.passed_to(p_period purchases.transactions)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- What a period has to bear of those that it ended with another user, who has spent that: so much less it brings. It may be
  -- more than it brings; then the rest is for the next one.
  select coalesce(sum((purchases.share_cut(t)).passed), 0)::bigint
  from purchases.other_periods(p_period) as t
  where t.credited_at is not null and t.purchased_at <= (p_period).purchased_at and t.expires_at > (p_period).purchased_at
    and purchases.cutter_of(t) = (p_period).id
$$;

create function purchases.added_by(p_transaction purchases.transactions)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- What a credited transaction has brought its owner, before anything was taken back.
  select (p_transaction).credits
    - case when (p_transaction).kind = 'subscription' then least((p_transaction).credits, purchases.passed_to(p_transaction)) else 0 end
$$;

create function purchases.to_take_back(p_transaction purchases.transactions)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- How much of what a transaction brought is to be taken back: what Apple has refunded, rounded down, or what a change of
  -- levels took of a period.
  select greatest(
    (p_transaction).credits * (p_transaction).revoked_share / 100000,
    case when (p_transaction).kind = 'subscription' then (purchases.share_cut(p_transaction)).taken end
  )
$$;

create function purchases.credits_of(
  p_transaction purchases.transactions, p_product purchases.products, p_owner_id uuid
)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- What a transaction brings. A period that costs nothing brings `trial_credits`, once for a subscription and once for a user.
  select (p_transaction).quantity * case
    when not (p_transaction).is_free_trial then (p_product).credits
    when exists (
      select from purchases.transactions as t
      where t.is_free_trial and t.credits > 0 and t.environment = (p_transaction).environment
        and (t.original_transaction_id = (p_transaction).original_transaction_id or t.owner_id = p_owner_id)
    ) then 0
    else (p_product).trial_credits
  end
$$;

-- Until when the credits of a period live; null for what is no period. Three days more, or as long as Apple wants a
-- subscriber served whose payment failed.
create function purchases.credits_expire_at(p_transaction purchases.transactions)
returns timestamptz
language sql
immutable
return greatest((p_transaction).expires_at + interval '3 days', (p_transaction).grace_until);

-- supabase/schemas/purchases/showing.sql

-- A purchase as the API shows it to its owner.
create function purchases.transaction_json(p_transaction purchases.transactions)
returns jsonb
language sql
stable
return jsonb_build_object(
  'transaction_id', (p_transaction).transaction_id, 'product_id', (p_transaction).product_id,
  'status', case
    when (p_transaction).revoked_share = 0 then case
      -- Apple gave back what was left of it.
      when (p_transaction).kind = 'subscription' and purchases.cut_at(p_transaction) is not null then 'partially_refunded'
      else 'credited'
    end
    when (p_transaction).revoked_share < 100000 then 'partially_refunded' else 'refunded'
  end,
  'credits_added', purchases.added_by(p_transaction), 'purchased_at', core.to_iso((p_transaction).purchased_at),
  'expires_at', core.to_iso((p_transaction).expires_at)
);

create function purchases.latest_period(p_subscription purchases.subscriptions)
returns setof purchases.transactions
language sql
stable
set search_path = ''
as $$
  -- One row, or none where only a member of the family has it.
  select t.*
  from purchases.transactions as t
  where t.environment = (p_subscription).environment
    and t.original_transaction_id = (p_subscription).original_transaction_id
    and t.kind = 'subscription' and not t.is_family_shared
  order by t.purchased_at desc, t.transaction_id collate "C" desc
  limit 1
$$;

-- How a subscription stands, by its latest period. What Apple said about its renewal counts until there is a period that it
-- did not know of.
create function purchases.status_at(
  p_subscription purchases.subscriptions, p_latest purchases.transactions, p_now timestamptz
)
returns purchases.subscription_status
language sql
immutable
return (case
  when (p_latest).revoked_at is not null then 'revoked'
  when (p_latest).expires_at > p_now then 'active'
  when (p_latest).purchased_at > (p_subscription).renewal_signed_at then 'expired'
  when (p_subscription).grace_period_expires_at > p_now then 'in_grace'
  when (p_subscription).is_in_billing_retry then 'in_billing_retry'
  else 'expired'
end)::purchases.subscription_status;

create function purchases.subscription_of(p_owner_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- A user's subscription as the API shows it, the one that serves them best if they have several; null where they never had
  -- one.
  select jsonb_build_object(
    'product_id', f.product_id, 'status', f.status,
    'renews_at', case when f.status = 'active' and f.is_auto_renewing then core.to_iso(f.expires_at) end,
    'expires_at', core.to_iso(case when f.status = 'in_grace' then f.grace_period_expires_at else f.expires_at end)
  )
  from (
    select p.product_id, p.expires_at, s.grace_period_expires_at, purchases.status_at(s, p, core.now()) as status,
      p.purchased_at > s.renewal_signed_at or s.is_auto_renewing is not false as is_auto_renewing
    from purchases.subscriptions as s
    cross join lateral purchases.latest_period(s) as p
    where s.owner_id = p_owner_id
  ) as f
  order by f.status, f.expires_at desc
  limit 1
$$;

-- supabase/schemas/purchases/sandbox.sql

create function purchases.admit_sandbox(p_owner_id uuid, p_credits bigint, out refusal jsonb)
language plpgsql
volatile
set search_path = ''
as $$
-- Whether so many credits more of the sandbox may be given to a user, by `sandbox_credits`, and to all, by
-- `sandbox_credits_global`; `refusal` is null where they may. Counted from the purchases that were credited: the caller
-- writes its own before the transaction ends, so no window has one too many. What never fits may be asked again after a
-- whole window. A policy without its row is broken, and admits nothing. Locks: the policies' rows, until the
-- transaction ends.
declare
  v_policy guard.policies;
  v_now timestamptz;
  v_given bigint;
  v_missing bigint;
  v_retry_after integer;
  v_policies integer := 0;
begin
  for v_policy in
    select p.* from guard.policies as p
    where p.name in ('sandbox_credits', 'sandbox_credits_global')
    order by p.name
    for no key update
  loop
    v_policies := v_policies + 1;
    continue when refusal is not null;
    v_now := core.now();
    select coalesce(sum(t.credits), 0) into v_given
    from purchases.transactions as t
    where t.environment = 'sandbox' and t.credited_at > v_now - v_policy.window_length
      and (v_policy.scope = 'global' or t.owner_id = p_owner_id);
    v_missing := v_given + p_credits - v_policy.admits;
    continue when v_missing <= 0;
    select ceil(date_part('epoch', min(g.credited_at) + v_policy.window_length - v_now)) into v_retry_after
    from (
      select t.credited_at, sum(t.credits) over (order by t.credited_at, t.id) as credits
      from purchases.transactions as t
      where t.environment = 'sandbox' and t.credited_at > v_now - v_policy.window_length
        and (v_policy.scope = 'global' or t.owner_id = p_owner_id)
    ) as g
    where g.credits >= v_missing;
    refusal := guard.refusal('limit/rate-exceeded', jsonb_build_object(
      'policy', v_policy.name, 'retry_after', greatest(1, coalesce(v_retry_after, v_policy.window_seconds))
    ));
  end loop;
  if v_policies < 2 then
    raise warning 'a policy of the sandbox is missing';
    refusal := guard.refusal('database/unavailable');
  end if;
end;
$$;

-- supabase/schemas/purchases/crediting.sql

create function purchases.settle(
  p_told purchases.transactions, p_presenter uuid, p_renewal jsonb default null,
  out settled purchases.transactions, out is_new boolean, out refusal jsonb
)
language plpgsql
volatile
set search_path = ''
as $$
-- Does what a transaction, as Apple has signed it, means: it is stored, credited once to its owner, and so much is taken
-- back as Apple says. What was signed later is true, whenever it comes, so that what becomes of a purchase depends on what
-- Apple said, and not on the order in which it came. A period also says what becomes of the others of its subscription:
-- those that it ended, and those that waited for an owner. `is_new`: this call credited it. `refusal`: why the sandbox'
-- limits did not let it. A second call with the same, or with something older, changes nothing.
-- Locks: the purchase, by its original transaction → accounts → transactions → policies → lots.
declare
  v_is_period constant boolean := (p_told).kind = 'subscription';
  v_owner_id uuid;
  v_reason purchases.uncredited_reason;
  v_done record;
  v_other purchases.transactions;
begin
  -- Nobody else decides whose it is meanwhile. Of two numbers, as in ops.take_credits; 2 is purchases.
  perform pg_advisory_xact_lock(2, hashtext((p_told).environment::text || ' ' || (p_told).original_transaction_id));
  if v_is_period then
    select o.owner_id, o.reason into v_owner_id, v_reason from purchases.subscribe(p_told, p_presenter) as o;
    -- The accounts that may be touched: those of the owners of its periods, also of the one that is told of, which stays its
    -- owner's when somebody else restores the subscription. And the presenter's, who may become somebody else meanwhile.
    perform accounts.lock_all(array[v_owner_id, p_presenter] || (
      select array_agg(t.owner_id)
      from purchases.transactions as t
      where t.environment = (p_told).environment and t.original_transaction_id = (p_told).original_transaction_id
    ));
    -- After that: who merges has the accounts, and then moves its row.
    perform purchases.note_renewal(p_renewal);
    if accounts.heir_of(v_owner_id) <> v_owner_id then
      -- They have become somebody else while this waited.
      v_owner_id := accounts.heir_of(v_owner_id);
      perform purchases.move_subscription(p_told, v_owner_id);
    end if;
  else
    select t.owner_id into v_owner_id
    from purchases.transactions as t
    where t.environment = (p_told).environment and t.transaction_id = (p_told).transaction_id;
    if v_owner_id is null then
      select f.owner_id, f.reason into v_owner_id, v_reason from purchases.find_owner(p_told, p_presenter) as f;
    end if;
  end if;
  select s.* into v_done from purchases.settle_one(p_told, v_owner_id, v_reason) as s;
  settled := v_done.settled;
  is_new := v_done.is_new;
  refusal := v_done.refusal;
  if v_is_period then
    for v_other in
      select t.* from purchases.other_periods(p_told) as t
      where (t.credited_at is not null and tstzrange(t.purchased_at, t.expires_at) && tstzrange(settled.purchased_at, settled.expires_at))
        or (t.credited_at is null and v_owner_id is not null and t.owner_id is distinct from v_owner_id)
      order by t.purchased_at, t.id
    loop
      perform purchases.settle_one(v_other, v_owner_id, v_reason);
    end loop;
    perform purchases.restore_from_guest(p_told, p_presenter);
  end if;
end;
$$;

create function purchases.settle_one(
  p_told purchases.transactions, p_owner_id uuid, p_reason purchases.uncredited_reason,
  out settled purchases.transactions, out is_new boolean, out refusal jsonb
)
language plpgsql
volatile
set search_path = ''
as $$
-- purchases.settle for one transaction, whose owner would be p_owner_id, or nobody for p_reason. What was credited stays its
-- owner's; of a closed account's, no word about the person is kept. The caller has locked the purchase. Locks: account →
-- transaction → policies → lots.
declare
  v_owner_id uuid := p_owner_id;
  v_reason purchases.uncredited_reason := p_reason;
  v_product purchases.products;
  v_credits bigint;
  v_now timestamptz;
begin
  is_new := false;
  if v_owner_id is not null then
    -- They may have become somebody else while this waited.
    v_owner_id := (credits.lock_account(v_owner_id)).owner_id;
  end if;
  v_now := core.now();

  insert into purchases.transactions as t (
    environment, transaction_id, original_transaction_id, product_id, kind, quantity, app_account_token, purchased_at,
    expires_at, signed_at, revoked_at, revocation_reason, revocation_type, revocation_percentage, is_family_shared,
    is_upgraded, is_free_trial, is_renewal, price_milliunits, currency, app_transaction_id, owner_id, reason, created_at
  )
  values (
    (p_told).environment, (p_told).transaction_id, (p_told).original_transaction_id, (p_told).product_id, (p_told).kind,
    (p_told).quantity, (p_told).app_account_token, (p_told).purchased_at, (p_told).expires_at, (p_told).signed_at,
    (p_told).revoked_at, (p_told).revocation_reason, (p_told).revocation_type, (p_told).revocation_percentage,
    (p_told).is_family_shared, (p_told).is_upgraded, (p_told).is_free_trial, coalesce((p_told).is_renewal, false),
    (p_told).price_milliunits, (p_told).currency, (p_told).app_transaction_id, v_owner_id, coalesce(v_reason, 'unclaimed'), v_now
  )
  on conflict (environment, transaction_id) do update
    set signed_at = excluded.signed_at, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at,
        revocation_reason = excluded.revocation_reason, revocation_type = excluded.revocation_type,
        revocation_percentage = excluded.revocation_percentage, is_upgraded = excluded.is_upgraded
    -- Of two that were signed in the same moment, the one that takes more: any rule will do that does not ask which came
    -- first.
    where (t.signed_at, t.revoked_share) < (excluded.signed_at, excluded.revoked_share);
  select t.* into strict settled
  from purchases.transactions as t
  where t.environment = (p_told).environment and t.transaction_id = (p_told).transaction_id
  for update;
  if (p_told).grace_until > coalesce(settled.grace_until, '-infinity') then
    update purchases.transactions as t set grace_until = (p_told).grace_until where t.id = settled.id returning t.* into settled;
  end if;

  if settled.credited_at is null then
    v_reason := coalesce(v_reason, purchases.reason_not_to_credit(settled, v_owner_id, v_now));
    if v_reason is null then
      select p.* into strict v_product from purchases.products as p where p.product_id = settled.product_id;
      v_credits := purchases.credits_of(settled, v_product, v_owner_id);
      if settled.environment = 'sandbox' and v_credits > 0 then
        refusal := purchases.admit_sandbox(v_owner_id, v_credits);
      end if;
      if refusal is not null then
        v_reason := 'sandbox_limit';
      end if;
    end if;
    if v_reason is not null then
      update purchases.transactions as t
      set owner_id = v_owner_id, reason = v_reason,
          -- Its erasure may have been, and no other comes. Where it is nobody's, the token alone says whose it would have been.
          app_transaction_id = case when v_reason <> 'closed_account' then t.app_transaction_id end,
          app_account_token = case when v_reason <> 'closed_account' or v_owner_id is null then t.app_account_token end,
          -- Ten minutes where the limiter is broken, which only the operator can mend.
          retry_at = case when refusal is not null
            then v_now + make_interval(secs => coalesce((refusal #>> '{details,retry_after}')::integer, 600)) end
      where t.id = settled.id
      returning t.* into settled;
    else
      if v_credits > 0 then
        settled.transfer_id := credits.add(
          v_owner_id, v_credits, 'purchase', format('purchase:%s:%s', settled.environment, settled.transaction_id),
          purchases.credits_expire_at(settled), null, settled.environment = 'sandbox'
        ) ->> 'transfer_id';
      end if;
      is_new := true;
      update purchases.transactions as t
      set owner_id = v_owner_id, credits = v_credits, credited_at = v_now, transfer_id = settled.transfer_id, reason = null,
          retry_at = null,
          -- It was withheld while its owner's account was closed, and somebody has restored it.
          app_transaction_id = coalesce(t.app_transaction_id, (p_told).app_transaction_id)
      where t.id = settled.id
      returning t.* into settled;
    end if;
  end if;

  if settled.transfer_id is not null then
    -- Of what had to wait, Apple may have put off the end meanwhile.
    if not is_new and settled.kind = 'subscription' then
      perform credits.extend(settled.transfer_id, purchases.credits_expire_at(settled));
    end if;
    if settled.kind = 'subscription' or not (is_new and settled.revoked_share = 0) then
      perform credits.reverse_to(settled.transfer_id, purchases.to_take_back(settled));
    end if;
  end if;
  perform purchases.alert(settled.reason, settled.product_id, settled.environment);
end;
$$;

create function purchases.reason_not_to_credit(
  p_transaction purchases.transactions, p_owner_id uuid, p_now timestamptz
)
returns purchases.uncredited_reason
language plpgsql
volatile
set search_path = ''
as $$
-- Why a transaction cannot be credited to its owner, whose account is locked; null where it can be, as far as this knows.
begin
  if purchases.is_closed(p_owner_id) then
    return 'closed_account';
  elsif (p_transaction).revoked_share = 100000 then
    return 'revoked';
  elsif purchases.credits_expire_at(p_transaction) <= p_now then
    return 'expired';
  elsif not ops.is_enabled('purchases') then
    return 'switched_off';
  elsif not exists (
    select from purchases.products as p
    where p.product_id = (p_transaction).product_id and p.kind::text = (p_transaction).kind
  ) then
    return 'unknown_product';
  elsif (p_transaction).environment = 'sandbox' and not ops.is_enabled('sandbox_purchases') then
    return 'wrong_environment';
  end if;
  return null;
end;
$$;

create function purchases.alert(
  p_reason purchases.uncredited_reason, p_product_id text, p_environment purchases.environment
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells the operator of what only they can mend; of other reasons, nothing. Locks: the alert.
begin
  if p_reason in ('unknown_product', 'wrong_environment', 'sandbox_limit', 'unknown_account', 'closed_account') then
    perform ops.raise_alert('purchase_' || p_reason, p_product_id, jsonb_build_object('environment', p_environment));
  end if;
end;
$$;

create function purchases.mended(p_limit integer)
returns setof uuid
language plpgsql
stable
set search_path = ''
as $$
-- Transactions that wait for something that is there now, up to p_limit, by their reasons. What waits for a switch that is off,
-- or for a product that is not there, is passed over in the index, however much it is.
declare
  v_now constant timestamptz := core.now();
  -- Both as values, by which the planner knows how few rows they are.
  v_product_ids constant text[] := array(select p.product_id from purchases.products as p);
  v_reasons constant purchases.uncredited_reason[] := case
    when ops.is_enabled('sandbox_purchases') then '{switched_off,wrong_environment}' else '{switched_off}'
  end;
begin
  if not ops.is_enabled('purchases') then
    return;
  end if;
  return query
  select m.id
  from (
    select t.id
    from purchases.transactions as t
    where t.reason in ('unknown_product', 'wrong_environment', 'sandbox_limit', 'switched_off') and t.reason = any (v_reasons)
    union all
    select t.id from purchases.transactions as t where t.reason = 'sandbox_limit' and t.retry_at <= v_now
    union all
    select t.id
    from purchases.transactions as t
    where t.reason = 'unknown_product' and t.product_id = any (v_product_ids)
      and exists (select from purchases.products as p where p.product_id = t.product_id and p.kind::text = t.kind)
  ) as m
  limit p_limit;
end;
$$;

-- Up to p_limit purchases that wait for their product, as the operator sees them: the oldest of each product and kind, then
-- the next of each, so that one that many have bought hides no other.
create function purchases.waiting_for_product(p_limit integer)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'transaction_id', w.transaction_id, 'environment', w.environment, 'product_id', w.product_id, 'kind', w.kind,
    'quantity', w.quantity, 'user_id', w.owner_id, 'purchased_at', core.to_iso(w.purchased_at)
  ) order by w.number, w.purchased_at, w.id), '[]')
  from (
    select t.*, row_number() over (partition by t.product_id, t.kind order by t.purchased_at, t.id) as number
    from purchases.transactions as t
    where t.reason = 'unknown_product'
    order by number, t.purchased_at, t.id
    limit p_limit
  ) as w
$$;

create function purchases.settle_mended(p_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `credit_purchases`: tries a transaction again as Apple signed it last. A second call finds it credited.
-- Locks: as purchases.settle.
declare
  v_transaction purchases.transactions;
begin
  select t.* into strict v_transaction from purchases.transactions as t where t.id = p_id;
  perform purchases.settle(v_transaction, null);
end;
$$;

create function purchases.alert_waiting()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `alert_purchases`: as long as a purchase waits for the operator, its alert stays open. Locks: alerts.
declare
  v_waiting record;
begin
  for v_waiting in
    select distinct t.reason, t.product_id, t.environment
    from purchases.transactions as t
    where t.reason in ('unknown_product', 'wrong_environment', 'sandbox_limit', 'switched_off')
    order by t.reason, t.product_id
    limit 100
  loop
    perform purchases.alert(v_waiting.reason, v_waiting.product_id, v_waiting.environment);
  end loop;
end;
$$;

-- supabase/schemas/purchases/notifications.sql

create table purchases.notifications (
  -- Apple's UUID: the same each time that it is sent, and in its history.
  notification_id uuid primary key,
  environment purchases.environment not null,
  -- Apple's own words, also those that nobody here knows yet.
  type text not null check (char_length(type) between 1 and 100),
  subtype text check (char_length(subtype) between 1 and 100),
  signed_at timestamptz not null,
  -- The transaction that it is about, if it is about one.
  transaction_id text check (char_length(transaction_id) between 1 and 40),
  -- All of it, in our words: what is done about it is read from here.
  content jsonb not null,
  received_at timestamptz not null,
  -- Null until what it means is done.
  handled_at timestamptz,
  -- To a request for consumption: what we answered, and when Apple had it.
  answer jsonb,
  answered_at timestamptz
);
alter table purchases.notifications enable row level security;
create index notifications_unhandled on purchases.notifications (signed_at) where handled_at is null;
create index notifications_transaction on purchases.notifications (environment, transaction_id)
  where transaction_id is not null;
create index notifications_received_at on purchases.notifications using brin (received_at);
comment on table purchases.notifications is 'What Apple told, each notification once, and whether it was acted upon.';

-- How far Apple's history of notifications has been read.
create table purchases.history_reads (
  environment purchases.environment primary key,
  -- All that is older was asked for.
  read_until timestamptz not null
);
alter table purchases.history_reads enable row level security;
comment on table purchases.history_reads is 'Until when the notifications of an environment are known to be complete.';

create function purchases.store_notification(p_notification jsonb)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Stores a verified notification, and says whether it is new. A second call changes nothing.
begin
  insert into purchases.notifications (
    notification_id, environment, type, subtype, signed_at, transaction_id, content, received_at
  )
  values (
    (p_notification ->> 'notification_id')::uuid, (p_notification ->> 'environment')::purchases.environment,
    p_notification ->> 'type', p_notification ->> 'subtype', (p_notification ->> 'signed_at')::timestamptz,
    p_notification #>> '{transaction,transaction_id}', p_notification, core.now()
  )
  on conflict do nothing;
  return found;
end;
$$;

create function purchases.ask_for_history()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `read_notification_history`: has a worker ask Apple what was told and did not come. There is one such
-- task at a time. Its subject is no row: a name that is always the same.
begin
  perform queue.add('read_notification_history', '0190a000-0000-7000-8000-00000000a991', null, core.now());
end;
$$;

create function purchases.unhandled(p_limit integer)
returns setof uuid
language plpgsql
stable
set search_path = ''
as $$
-- Notifications that were stored and not acted upon, the oldest first, while purchases are switched on.
begin
  if ops.is_enabled('purchases') then
    return query
    select n.notification_id from purchases.notifications as n
    where n.handled_at is null
    order by n.signed_at
    limit p_limit;
  end if;
end;
$$;

create function purchases.handle(p_notification_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Does what a stored notification means: whatever its type is, its transaction is settled as it says. A request for
-- consumption becomes a task; consent that was rescinded suspends. One of a type that nobody knows is handled with that.
-- What is told about a closed account's purchase is forgotten with that, as its erasure forgets what was told before.
-- A second call changes nothing. Locks: notification → as purchases.settle.
declare
  v_notification purchases.notifications;
  v_told purchases.transactions;
  v_renewal jsonb;
  v_settled purchases.transactions;
begin
  select n.* into v_notification
  from purchases.notifications as n
  where n.notification_id = p_notification_id and n.handled_at is null
  for update;
  if not found then
    return;
  end if;
  if jsonb_typeof(v_notification.content -> 'transaction') = 'object' then
    v_told := jsonb_populate_record(null::purchases.transactions, v_notification.content -> 'transaction');
    v_renewal := nullif(v_notification.content -> 'renewal', 'null');
    -- It is the period whose successor was not paid that the customer is served for. What is told of a refund may be about an
    -- older one, and has the grace of the subscription with it all the same.
    if v_notification.type not in ('CONSUMPTION_REQUEST', 'REFUND', 'REFUND_DECLINED', 'REFUND_REVERSED', 'REVOKE') then
      v_told.grace_until := v_renewal ->> 'grace_period_expires_at';
    end if;
    select (s.settled).* into v_settled from purchases.settle(v_told, null, v_renewal) as s;
  end if;
  if v_notification.type = 'CONSUMPTION_REQUEST' and v_settled.id is not null then
    perform queue.add(
      'answer_consumption', v_settled.id, v_settled.owner_id, core.now(),
      jsonb_build_object('notification_id', p_notification_id)
    );
  elsif v_notification.type = 'RESCIND_CONSENT' then
    perform purchases.rescind_consent(v_notification.content #>> '{app_data,app_transaction_id}');
  end if;
  update purchases.notifications as n
  set handled_at = core.now(),
      content = case
        when v_settled.reason = 'closed_account'
          -- Settling has locked the account: it closes after this, and then its erasure finds it, or has closed before.
          or exists (select from accounts.users as u where u.id = v_settled.owner_id and u.closed_at is not null)
        then '{}' else n.content
      end
  where n.notification_id = p_notification_id;
end;
$$;

create function purchases.rescind_consent(p_app_transaction_id text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A parent has taken back that their child may use the app: who bought with that Apple Account, or came with it to a device
-- check, is suspended, which the operator sees, in ops.admin_actions and as an alert. A second call changes nothing. Locks: users.
declare
  v_user_ids constant uuid[] := array(
    select t.owner_id from purchases.transactions as t
    where t.app_transaction_id = p_app_transaction_id and t.owner_id is not null
    union
    select devices.users_of_app_transaction(p_app_transaction_id)
    order by 1
  );
  v_user_id uuid;
begin
  foreach v_user_id in array v_user_ids loop
    perform ops.suspend(v_user_id, 'Apple: consent for this app account was rescinded (RESCIND_CONSENT)');
  end loop;
  perform ops.raise_alert('consent_rescinded', 'RESCIND_CONSENT', jsonb_build_object('users', v_user_ids));
end;
$$;

select core.keep_rows_out_of_logs('purchases.notifications');

-- supabase/schemas/purchases/consumption.sql

create function purchases.consumption_of(p_transaction purchases.transactions)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- What Apple is told of a purchase whose refund is asked for, in Apple's own words. `consumptionPercentage`: the share of
-- its credits that became videos, in thousandths of a percent, exactly as the ledger's draws say, rounded down.
-- `refundPreference`: nothing used, grant it; all used, decline; else what is left. A sample was free where the user had
-- credits that nobody paid for.
declare
  v_used record;
  v_share integer;
begin
  select coalesce(sum(u.captured), 0) as captured, coalesce(sum(u.released), 0) as released into v_used
  from credits.use_of((p_transaction).transfer_id) as u;
  v_share := case
    when coalesce((p_transaction).credits, 0) = 0 then 0
    else least(100000, div(v_used.captured * 100000, (p_transaction).credits))
  end;
  return jsonb_build_object(
    'customerConsented', true,
    'consumptionPercentage', v_share,
    'deliveryStatus', case
      when (p_transaction).credited_at is null then 'UNDELIVERED_OTHER'
      -- Every video that was paid with it failed, and the credits came back.
      when v_used.captured = 0 and v_used.released > 0 then 'UNDELIVERED_SERVER_OUTAGE'
      else 'DELIVERED'
    end,
    'refundPreference', case
      when v_share = 0 then 'GRANT_FULL' when v_share = 100000 then 'DECLINE' else 'GRANT_PRORATED'
    end,
    'sampleContentProvided', exists (select from devices.grants as g where g.user_id = any (accounts.with_guests((p_transaction).owner_id)))
  );
end;
$$;

-- supabase/schemas/purchases/telling.sql

create function purchases.tell()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Tells that a purchase was credited, and that Apple has taken more of it back. Of a closed account there is nobody to tell,
-- and what were written after its erasure would stay.
declare
  v_is_new constant boolean := old.credited_at is null;
begin
  if purchases.is_closed(new.owner_id) then
    return null;
  end if;
  if v_is_new then
    perform events.publish('purchase.credited', new.owner_id, jsonb_build_object(
      'transaction_id', new.transaction_id, 'product_id', new.product_id, 'credits', new.credits
    ));
  end if;
  if new.revoked_share > (case when v_is_new then 0 else old.revoked_share end) then
    perform events.publish('purchase.refunded', new.owner_id, jsonb_build_object(
      'transaction_id', new.transaction_id, 'product_id', new.product_id, 'credits', purchases.to_take_back(new)
    ));
  end if;
  return null;
end;
$$;

create trigger tell after update on purchases.transactions
  for each row when (
    -- A period that costs nothing may bring nothing: there is nothing to tell of.
    new.credits > 0
    and (new.credited_at, new.revoked_share) is distinct from (old.credited_at, old.revoked_share)
  )
  execute function purchases.tell();

-- supabase/schemas/ops/purchases.sql

create view ops.purchases with (security_invoker = true) as
select t.user_id, t.transaction_id, t.environment, t.product_id, t.quantity, t.purchased_at,
  t.price_milliunits / 1000.0 as price, t.currency,
  -- `credited`, or why not.
  coalesce(t.reason::text, 'credited') as state, t.credits, t.credited_at,
  t.revoked_at, t.revoked_share / 1000.0 as revoked_percent,
  (select coalesce(sum(r.amount), 0) from credits.reversals_of(t.transfer_id) as r) as credits_taken_back,
  t.retry_at, t.signed_at as heard_of_it_as_of,
  (
    select jsonb_agg(jsonb_build_object(
      'type', n.type, 'signed_at', n.signed_at, 'handled_at', n.handled_at, 'answered_at', n.answered_at
    ) order by n.signed_at)
    from purchases.notifications as n
    where n.environment = t.environment and n.transaction_id = t.transaction_id
  ) as notifications,
  t.original_transaction_id, t.app_account_token
-- Apart, so that one user's are found by an index.
from (
  select t.owner_id as user_id, t.* from purchases.transactions as t where t.owner_id is not null
  union all
  -- Who is named, where nobody has it.
  select u.id, t.*
  from purchases.transactions as t
  left join accounts.users as u on u.app_account_token = t.app_account_token
  where t.owner_id is null
) as t;
comment on view ops.purchases is
  'Every store transaction that we heard of, whose it is, and what became of it. Ask by user_id or transaction_id.';

create view ops.sales with (security_invoker = true) as
select (t.purchased_at at time zone 'UTC')::date as day, t.product_id, t.currency, count(*) as purchases,
  sum(t.quantity) as units, sum(t.credits) as credits, sum(t.price_milliunits) / 1000.0 as sold,
  round(sum(t.price_milliunits * t.revoked_share / 100000.0) / 1000, 2) as refunded
from purchases.transactions as t
where t.environment = 'production'
group by (t.purchased_at at time zone 'UTC')::date, t.product_id, t.currency;
comment on view ops.sales is
  'What customers paid and got back, by the day of the purchase: money, as far as Apple tells. The sandbox has no part in it.';

create view ops.subscriptions with (security_invoker = true) as
select s.owner_id as user_id, u.id as named_user_id, s.original_transaction_id, p.transaction_id, s.environment, p.product_id,
  purchases.status_at(s, p, core.now()) as status, s.is_auto_renewing, s.grace_period_expires_at, p.purchased_at, p.expires_at,
  -- Of the latest period: `credited`, or why not, and to whom.
  coalesce(p.reason::text, 'credited') as state, p.owner_id as credited_to, p.credits,
  (select coalesce(sum(r.amount), 0) from credits.reversals_of(p.transfer_id) as r) as credits_taken_back,
  (select coalesce(sum(e.captured), 0) from credits.use_of(p.transfer_id) as e) as credits_used,
  coalesce((
    select sum(l.remaining) from credits.transfers as t
    cross join lateral credits.lots_of(t.draws[1].lot_id) as l
    where t.id = p.transfer_id
  ), 0) as credits_left,
  credits.owed(s.owner_id) as owed, s.moved_at
from purchases.subscriptions as s
cross join lateral purchases.latest_period(s) as p
left join accounts.users as u on u.app_account_token = p.app_account_token;
comment on view ops.subscriptions is
  'Every subscription with its latest period: whose it is, how it stands, and where the period''s credits are.';

-- supabase/schemas/ops/metric-views.sql

-- What the tables know, for any span [p_from, p_until): each figure is a query on them, and reads of them what the span has.
-- The views are the last hour's. Functions, because a volatile now() in a view would be asked for each row.

create function ops.job_figures(p_from timestamptz, p_until timestamptz)
returns table (
  model text, provider text, status text, code text, jobs bigint, seconds_p50 double precision, seconds_p95 double precision
)
language plpgsql
stable
set search_path = ''
-- For an hour another plan than for a month.
set plan_cache_mode = force_custom_plan
as $$
-- Jobs that ended, by the provider that had them last (`none` where none did), and how long they took from acceptance.
-- Nearly all are handed on and end within an hour: these submissions are read at once, those of the others one by one.
begin
  return query
  select e.model_name, coalesce(e.provider, 'none'), e.status::text, coalesce(e.error_code, 'none'), e.jobs, e.took[1], e.took[2]
  from (
    select j.model_name, coalesce(s.provider, o.provider) as provider, j.status, j.error_code, count(*) as jobs,
      percentile_cont('{0.5,0.95}'::double precision[])
        within group (order by date_part('epoch', j.completed_at - j.created_at)) as took
    from videos.jobs as j
    left join (
      select distinct on (x.job_id) x.job_id, x.provider
      from videos.submissions as x
      where x.claimed_at >= p_from - interval '1 hour' and x.claimed_at < p_until
      order by x.job_id, x.claimed_at desc
    ) as s on s.job_id = j.id
    left join lateral (
      select x.provider
      from videos.submissions as x
      -- Here and not where it is joined, so that the others are not asked for.
      where x.job_id = j.id and s.job_id is null and j.created_at < p_from - interval '1 hour'
      order by x.claimed_at desc
      limit 1
    ) as o on true
    where j.completed_at >= p_from and j.completed_at < p_until
    group by j.model_name, coalesce(s.provider, o.provider), j.status, j.error_code
  ) as e;
end;
$$;

create function ops.provider_figures(p_from timestamptz, p_until timestamptz)
returns table (
  provider text, submissions bigint, accepted bigint, not_accepted bigint, unknown bigint, refused bigint,
  accept_seconds_p50 double precision, accept_seconds_p95 double precision,
  make_seconds_p50 double precision, make_seconds_p95 double precision, cents numeric
)
language sql
stable
set search_path = ''
as $$
  -- What was handed to each provider: how it took it, how long until then, how long it made it, and what it costs.
  select s.provider, count(*), count(*) filter (where s.state in ('accepted', 'ended')),
    count(*) filter (where s.state = 'not_accepted'), count(*) filter (where s.state = 'unknown'),
    count(*) filter (where s.state = 'refused'),
    percentile_cont(0.5) within group (order by date_part('epoch', s.accepted_at - s.claimed_at)),
    percentile_cont(0.95) within group (order by date_part('epoch', s.accepted_at - s.claimed_at)),
    percentile_cont(0.5) within group (order by date_part('epoch', s.ended_at - s.accepted_at)),
    percentile_cont(0.95) within group (order by date_part('epoch', s.ended_at - s.accepted_at)),
    coalesce(sum(s.cost_cents) filter (where s.counted_on is not null), 0)
  from videos.submissions as s
  where s.claimed_at >= p_from and s.claimed_at < p_until
  group by 1
$$;

create function ops.credit_figures(p_from timestamptz, p_until timestamptz)
returns table (
  granted bigint, sold bigint, held bigint, spent bigint, released bigint, refunded bigint, adjusted bigint,
  expired bigint, reversed bigint, forfeited bigint
)
language sql
stable
set search_path = ''
as $$
  -- What moved in the ledger. `sold` is what was paid for; `held` is `spent` or `released` in the end; `adjusted` is signed.
  select coalesce(sum(t.amount) filter (where t.kind = 'grant'), 0)::bigint,
    coalesce(sum(t.amount) filter (
      where t.kind = 'purchase' and t.from_account_id <> credits.system_account('sandbox')
    ), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'hold'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'capture'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'release'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'refund'), 0)::bigint,
    coalesce(sum(case when t.to_number is null then -t.amount else t.amount end) filter (where t.kind = 'adjustment'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'expiry'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'reversal'), 0)::bigint,
    coalesce(sum(t.amount) filter (where t.kind = 'forfeit'), 0)::bigint
  from credits.transfers as t
  where t.created_at >= p_from and t.created_at < p_until
$$;

create function ops.conversion_figures(p_from timestamptz, p_until timestamptz)
returns table (accounts bigint, with_video bigint, with_purchase bigint)
language sql
stable
set search_path = ''
as $$
  -- Of the accounts that came: how many have a video by now, and how many have bought. Videos that were deleted are none.
  select count(*),
    count(*) filter (where exists (
      select from videos.jobs as j where j.user_id = u.id and j.status = 'completed' and j.deleted_at is null
    )),
    count(*) filter (where exists (
      select from purchases.transactions as p
      where p.owner_id = u.id and p.environment = 'production' and p.credited_at is not null
    ))
  from accounts.users as u
  where u.created_at >= p_from and u.created_at < p_until
$$;

create function ops.error_figures(p_from timestamptz, p_until timestamptz)
returns table (code text, source text, errors bigint)
language sql
stable
set search_path = ''
as $$
  -- ERR_5xxx and ERR_6xxx that were recorded, by whole minutes.
  select e.code, e.endpoint, sum(e.count)::bigint
  from ops.error_log as e
  where e.minute >= p_from and e.minute < p_until
  group by 1, 2
$$;

create view ops.jobs_last_hour with (security_invoker = true) as
select f.* from ops.job_figures(core.now() - interval '1 hour', core.now()) as f;
comment on view ops.jobs_last_hour is 'Jobs that ended within an hour, by model, provider, end and code, and how long they took.';

create view ops.providers_last_hour with (security_invoker = true) as
select f.* from ops.provider_figures(core.now() - interval '1 hour', core.now()) as f;
comment on view ops.providers_last_hour is 'What was handed to providers within an hour, and how they took it.';

create view ops.credits_last_hour with (security_invoker = true) as
select f.* from ops.credit_figures(core.now() - interval '1 hour', core.now()) as f;
comment on view ops.credits_last_hour is 'What moved in the ledger within an hour.';

create view ops.conversion_last_day with (security_invoker = true) as
select f.* from ops.conversion_figures(core.now() - interval '1 day', core.now()) as f;
comment on view ops.conversion_last_day is 'Accounts that came within a day, and how many of them have a video, and have bought.';

create view ops.errors_last_hour with (security_invoker = true) as
select f.* from ops.error_figures(core.now() - interval '1 hour', core.now()) as f;
comment on view ops.errors_last_hour is 'Errors that were recorded within an hour, by code and source.';

create view ops.queue_now with (security_invoker = true) as
select k.kind, count(t.id) filter (where t.failed_at is null) as waiting,
  count(t.id) filter (where t.failed_at is null and t.run_at <= core.now()) as due,
  coalesce(extract(epoch from w.waits), 0)::double precision as oldest_due_seconds,
  count(t.id) filter (where t.failed_at is not null) as dead,
  count(t.id) filter (where t.leased_until > core.now()) as running
from queue.kinds as k
left join queue.tasks as t on t.kind = k.kind
left join queue.longest_waits() as w on w.kind = k.kind
group by k.kind, w.waits;
comment on view ops.queue_now is 'Tasks by kind: those that wait, those that are due, for how long one has waited for a worker, dead letters, and those that a worker has.';

create view ops.debt_now with (security_invoker = true) as
select count(*) filter (where a.balance > 0) as accounts, coalesce(sum(a.balance), 0)::bigint as credits
from credits.accounts as a
where a.kind = 'owed' and a.owner_id is not null;
comment on view ops.debt_now is 'Credits that are owed: taken back after they were spent.';

create view ops.spending_today with (security_invoker = true) as
select v.name as provider, coalesce(s.cents, 0) as cents, v.daily_cap_cents as cap_cents
from videos.providers as v
left join videos.spending as s on s.provider = v.name and s.day = (core.now() at time zone 'UTC')::date;
comment on view ops.spending_today is 'US cents that the day''s submissions cost, in UTC, and what caps them.';

-- One metric as `metrics` prints it: a sample of a histogram has bounds, buckets, count and sum, any other a value.
create function ops.metric_family(p_name text, p_type text, p_help text, p_samples jsonb)
returns jsonb
language sql
immutable
return jsonb_build_object('name', p_name, 'type', p_type, 'help', p_help, 'samples', coalesce(p_samples, '[]'));

create function ops.metric_families()
returns jsonb
language sql
volatile
set search_path = ''
as $$
-- All that `metrics` prints: what isolates ever counted, and what the tables know now.
with jobs as (select f.* from ops.jobs_last_hour as f),
providers as (select f.* from ops.providers_last_hour as f),
queued as (select q.* from ops.queue_now as q)
select coalesce((
  select jsonb_agg(ops.metric_family(
    'kinora_' || t.name || case when t.bounds is null then '_total' else '' end,
    case when t.bounds is null then 'counter' else 'histogram' end,
    t.help,
    (
      select jsonb_agg(
        case when t.bounds is null then jsonb_build_object('labels', p.labels, 'value', p.count)
          else jsonb_build_object(
            'labels', p.labels, 'count', p.count, 'sum', p.sum, 'buckets', to_jsonb(p.buckets), 'bounds', to_jsonb(t.bounds)
          )
        end
        order by p.labels
      )
      from ops.metric_points as p
      where p.step = 'total' and p.at = '-infinity' and p.name = t.name
    )
  ) order by t.name)
  from unnest(ops.metric_types()) as t
), '[]') || jsonb_build_array(
    ops.metric_family('kinora_jobs_ended_last_hour', 'gauge', 'Jobs that ended within an hour', (
      select jsonb_agg(jsonb_build_object(
        'labels', jsonb_build_object('model', j.model, 'provider', j.provider, 'status', j.status, 'code', j.code),
        'value', j.jobs
      )) from jobs as j
    )),
    ops.metric_family('kinora_job_seconds_last_hour', 'gauge', 'Time from acceptance to the end of jobs that ended within an hour', (
      select jsonb_agg(jsonb_build_object(
        'labels', jsonb_build_object(
          'model', j.model, 'provider', j.provider, 'status', j.status, 'code', j.code, 'percentile', q.percentile
        ),
        'value', q.seconds
      ))
      from jobs as j
      cross join lateral (values ('50', j.seconds_p50), ('95', j.seconds_p95)) as q (percentile, seconds)
    )),
    ops.metric_family('kinora_submissions_last_hour', 'gauge', 'What was handed to providers within an hour, by how they took it', (
      select jsonb_agg(jsonb_build_object(
        'labels', jsonb_build_object('provider', f.provider, 'outcome', o.outcome), 'value', o.submissions
      ))
      from providers as f
      cross join lateral (values
        ('accepted', f.accepted), ('not_accepted', f.not_accepted), ('unknown', f.unknown), ('refused', f.refused)
      ) as o (outcome, submissions)
    )),
    ops.metric_family('kinora_provider_accept_seconds_last_hour', 'gauge', 'Time until a provider took a submission', (
      select jsonb_agg(jsonb_build_object(
        'labels', jsonb_build_object('provider', f.provider, 'percentile', q.percentile), 'value', q.seconds
      ))
      from providers as f
      cross join lateral (values ('50', f.accept_seconds_p50), ('95', f.accept_seconds_p95)) as q (percentile, seconds)
      where q.seconds is not null
    )),
    ops.metric_family('kinora_provider_make_seconds_last_hour', 'gauge', 'Time from then until it had made the video', (
      select jsonb_agg(jsonb_build_object(
        'labels', jsonb_build_object('provider', f.provider, 'percentile', q.percentile), 'value', q.seconds
      ))
      from providers as f
      cross join lateral (values ('50', f.make_seconds_p50), ('95', f.make_seconds_p95)) as q (percentile, seconds)
      where q.seconds is not null
    )),
    ops.metric_family('kinora_credits_moved_last_hour', 'gauge', 'Credits that moved in the ledger within an hour', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('kind', k.key), 'value', k.value))
      from ops.credits_last_hour as f cross join lateral jsonb_each(to_jsonb(f)) as k
    )),
    ops.metric_family('kinora_credits_owed', 'gauge', 'Credits that were taken back after they were spent', (
      select jsonb_agg(jsonb_build_object('labels', '{}'::jsonb, 'value', d.credits)) from ops.debt_now as d
    )),
    ops.metric_family('kinora_accounts_last_day', 'gauge', 'Accounts that came within a day, and what they have by now', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('reached', k.key), 'value', k.value))
      from ops.conversion_last_day as f cross join lateral jsonb_each(to_jsonb(f)) as k
    )),
    ops.metric_family('kinora_errors_last_hour', 'gauge', 'Errors of ours and of providers that were recorded within an hour', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('code', f.code, 'source', f.source), 'value', f.errors))
      from ops.errors_last_hour as f
    )),
    ops.metric_family('kinora_tasks', 'gauge', 'Tasks of the queue', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('kind', q.kind, 'state', s.state), 'value', s.tasks))
      from queued as q
      cross join lateral (values ('waiting', q.waiting), ('due', q.due), ('dead', q.dead)) as s (state, tasks)
    )),
    ops.metric_family('kinora_oldest_due_task_seconds', 'gauge', 'How long the task has waited for a worker that waits longest', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('kind', q.kind), 'value', q.oldest_due_seconds))
      from queued as q
    )),
    ops.metric_family('kinora_provider_spent_cents_today', 'gauge', 'US cents that the submissions of the day cost, in UTC', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('provider', s.provider), 'value', s.cents))
      from ops.spending_today as s
    )),
    ops.metric_family('kinora_provider_cap_cents', 'gauge', 'US cents that a day may cost; absent where nothing caps it', (
      select jsonb_agg(jsonb_build_object('labels', jsonb_build_object('provider', s.provider), 'value', s.cap_cents))
      from ops.spending_today as s where s.cap_cents is not null
    ))
  )
$$;

-- supabase/schemas/ops/stats.sql

-- What `admin-stats` shows: how an hour, a day or a month went, step by step. What is recent is counted from the rows. A month
-- of them would take seconds, by whatever index: of each six hours in UTC that are over, the sums are kept.

-- What something came to. Of `completion_seconds` each label is a number of seconds, and its value how many videos took them:
-- so the quantiles of any span are exact, to the second.
create type ops.stat as (name text, label text, value numeric);

create table ops.stat_sums (
  -- When the six hours began.
  at timestamptz primary key,
  -- All that was counted, so that six hours are summed or not.
  stats ops.stat[] not null
);
alter table ops.stat_sums enable row level security;
comment on table ops.stat_sums is 'What each six hours of the last month came to. A row that is missing is counted again.';

create function ops.count_stats(p_from timestamptz, p_until timestamptz, p_step interval)
returns table (at timestamptz, name text, label text, value numeric)
language plpgsql
stable
set search_path = ''
-- For an hour another plan than for six.
set plan_cache_mode = force_custom_plan
as $$
-- What the rows of [p_from, p_until) come to, by steps that begin with p_from. What did not happen is not there.
begin
  return query
  select date_bin(p_step, j.created_at, p_from), 'jobs_accepted', '', count(*)::numeric
  from videos.jobs as j
  where j.created_at >= p_from and j.created_at < p_until
  group by 1
  union all
  -- The two of one reading: GROUPING says which.
  select e.at, case grouping(e.status) when 0 then 'jobs_ended' else 'completion_seconds' end,
    coalesce(e.status::text, e.seconds::text), count(*)::numeric
  from (
    select date_bin(p_step, j.completed_at, p_from) as at, j.status,
      case j.status when 'completed' then round(date_part('epoch', j.completed_at - j.created_at))::integer end as seconds
    from videos.jobs as j
    where j.completed_at >= p_from and j.completed_at < p_until
  ) as e
  group by grouping sets ((e.at, e.status), (e.at, e.seconds))
  having grouping(e.status) = 0 or e.seconds is not null
  union all
  select date_bin(p_step, t.created_at, p_from), 'credits', m.movement, sum(t.amount)::numeric
  from credits.transfers as t
  join (values
    ('purchase'::credits.transfer_kind, 'sold'), ('grant', 'granted'), ('capture', 'spent'), ('refund', 'refunded'), ('release', 'refunded')
  ) as m (kind, movement) on m.kind = t.kind
  where t.created_at >= p_from and t.created_at < p_until
    and not (t.kind = 'purchase' and t.from_account_id = credits.system_account('sandbox'))
  group by 1, m.movement
  union all
  select date_bin(p_step, s.claimed_at, p_from), 'provider_cents', s.provider, sum(s.cost_cents)
  from videos.submissions as s
  where s.claimed_at >= p_from and s.claimed_at < p_until and s.counted_on is not null
  group by 1, s.provider;
end;
$$;

-- The six hours of which sums are kept, and within which a time lies.
create function ops.stat_block(p_time timestamptz)
returns timestamptz
language sql
immutable
return date_bin(interval '6 hours', p_time, timestamptz 'epoch');

create function ops.unsummed_stats(p_limit integer)
returns setof timestamptz
language plpgsql
volatile
set search_path = ''
as $$
-- The six hours of the last month that have no sums yet, the oldest first, up to p_limit; from an hour after their end on, when
-- whatever was begun in them is written.
declare
  v_now constant timestamptz := core.now();
begin
  return query
  select b.at
  from generate_series(ops.stat_block(v_now - interval '30 days'), v_now - interval '7 hours', interval '6 hours') as b (at)
  where not exists (select from ops.stat_sums as s where s.at = b.at)
  order by b.at
  limit p_limit;
end;
$$;

create function ops.sum_stats(p_at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Keeps what six hours came to; a second call changes nothing. Locks: ops.stat_sums, against ops.forget_stats.
begin
  lock table ops.stat_sums in share row exclusive mode;
  insert into ops.stat_sums (at, stats)
  select p_at, coalesce(array_agg(row(c.name, c.label, c.value)::ops.stat), '{}')
  from ops.count_stats(p_at, p_at + interval '6 hours', interval '6 hours') as c
  on conflict do nothing;
end;
$$;

create function ops.forget_stats(p_time timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Called by whoever changes what was counted at a time: its six hours are counted again. Locks: ops.stat_sums, against
-- ops.sum_stats, which so sees the change or has its sums deleted.
begin
  if ops.stat_block(p_time) < ops.stat_block(core.now()) then
    lock table ops.stat_sums in row exclusive mode;
    delete from ops.stat_sums as s where s.at = ops.stat_block(p_time);
  end if;
end;
$$;

create function ops.stat_steps(p_span text, p_now timestamptz, out step interval, out first_at timestamptz)
language sql
immutable
set search_path = ''
as $$
  -- How a span is divided; its last step is the one that p_now lies in.
  select s.step, date_bin(s.step, p_now, timestamptz 'epoch') - (s.steps - 1) * s.step
  from (values ('hour', interval '1 minute', 60), ('day', interval '15 minutes', 96), ('month', interval '6 hours', 120))
    as s (span, step, steps)
  where s.span = p_span
$$;

create function ops.stats_json(p_span text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- How the last `hour`, `day` or `month` went: `{ span, from, to, step_seconds, series, totals }`, of which series and totals
-- name the same things in the same order. Locks: nothing.
declare
  -- To the millisecond, as it is told: what is counted is exactly what lies between `from` and `to`.
  v_now constant timestamptz := date_trunc('milliseconds', core.now());
  v_steps record;
  v_stats jsonb;
begin
  v_steps := ops.stat_steps(p_span, v_now);
  with counted as materialized (
    select c.at, c.name, c.label, c.value
    from ops.count_stats(v_steps.first_at, v_now, v_steps.step) as c
    where p_span <> 'month'
    union all
    select s.at, c.name, c.label, c.value
    from ops.stat_sums as s
    cross join unnest(s.stats) as c
    where p_span = 'month' and s.at >= v_steps.first_at
    union all
    select c.at, c.name, c.label, c.value
    from generate_series(v_steps.first_at, v_now, v_steps.step) as b (at)
    cross join ops.count_stats(b.at, least(b.at + v_steps.step, v_now), v_steps.step) as c
    where p_span = 'month' and not exists (select from ops.stat_sums as s where s.at = b.at)
  ),
  -- Of each step, and of the span, which ends them all.
  summed as (
    select coalesce(c.at, 'infinity') as at, c.name, c.label, sum(c.value) as value
    from counted as c
    where c.name <> 'completion_seconds'
    group by grouping sets ((c.at, c.name, c.label), (c.name, c.label))
  ),
  -- In integers, and each second of a step once: these are many.
  taken as materialized (
    select c.at, c.label::integer as seconds, c.value::integer as jobs from counted as c where c.name = 'completion_seconds'
  ),
  ranked as (
    select t.at, t.seconds, t.jobs, sum(t.jobs) over (partition by t.at order by t.seconds rows unbounded preceding) as up_to,
      sum(t.jobs) over (partition by t.at) as of_all
    from (
      select t.at, t.seconds, t.jobs from taken as t
      union all
      select 'infinity', t.seconds, sum(t.jobs)::integer from taken as t group by t.seconds
    ) as t
  ),
  figures as materialized (
    select s.at, s.name, s.label, s.value from summed as s
    union all
    -- As percentile_disc has it: the least that so many did not exceed.
    select r.at, 'completion_seconds', q.quantile, r.seconds
    from ranked as r
    join (values (50, '0.5'), (95, '0.95')) as q (percent, quantile)
      on r.up_to * 100 >= q.percent * r.of_all and (r.up_to - r.jobs) * 100 < q.percent * r.of_all
  ),
  named as (
    select n.place, n.name, case when n.key is null then '{}' else jsonb_build_object(n.key, n.label) end as labels, n.label, n.unit,
      case n.name when 'completion_seconds' then null else 0 end as nothing
    from (
      select * from (values
        (1, 'jobs_accepted', null, '', 'jobs'),
        (2, 'jobs_ended', 'outcome', 'completed', 'jobs'), (3, 'jobs_ended', 'outcome', 'failed', 'jobs'),
        (4, 'jobs_ended', 'outcome', 'cancelled', 'jobs'),
        (5, 'completion_seconds', 'quantile', '0.5', 'seconds'), (6, 'completion_seconds', 'quantile', '0.95', 'seconds'),
        (7, 'credits', 'movement', 'sold', 'credits'), (8, 'credits', 'movement', 'granted', 'credits'),
        (9, 'credits', 'movement', 'spent', 'credits'), (10, 'credits', 'movement', 'refunded', 'credits')
      ) as k (place, name, key, label, unit)
      union all
      select 11, f.name, 'provider', f.label, 'cents' from figures as f where f.at = 'infinity' and f.name = 'provider_cents'
    ) as n
  ),
  shown as (
    select n.place, n.label,
      jsonb_build_object('name', n.name, 'labels', n.labels, 'unit', n.unit) as what,
      jsonb_agg(coalesce(f.value, n.nothing) order by t.at) filter (where t.at < 'infinity') as values,
      max(coalesce(f.value, n.nothing)) filter (where t.at = 'infinity') as value
    from named as n
    cross join (
      select g.at from generate_series(v_steps.first_at, v_now, v_steps.step) as g (at)
      union all
      select 'infinity'
    ) as t (at)
    left join figures as f on f.name = n.name and f.label = n.label and f.at = t.at
    group by n.place, n.label, n.name, n.labels, n.unit
  )
  select jsonb_build_object(
    'series', jsonb_agg(s.what || jsonb_build_object('values', s.values) order by s.place, s.label),
    'totals', jsonb_agg(s.what || jsonb_build_object('value', s.value) order by s.place, s.label)
  ) into v_stats
  from shown as s;
  return v_stats || jsonb_build_object(
    'span', p_span, 'from', core.to_iso(v_steps.first_at), 'to', core.to_iso(v_now),
    'step_seconds', extract(epoch from v_steps.step)::integer
  );
end;
$$;

create function ops.now_json()
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- How things stand: what waits for a worker, what runs, what is wrong, and the providers.
begin
  return jsonb_build_object(
    'due_tasks', (select count(*) from queue.tasks as t where t.failed_at is null and t.run_at <= core.now()),
    'oldest_due_task_seconds', extract(epoch from queue.oldest_due()),
    'dead_tasks', (select count(*) from queue.tasks as t where t.failed_at is not null),
    'jobs_running', (select count(*) from videos.jobs as j where j.completed_at is null),
    'open_alerts', (
      select jsonb_build_object(
        'warning', count(*) filter (where a.level = 'warning'), 'critical', count(*) filter (where a.level = 'critical')
      )
      from ops.alerts as a
      where a.resolved_at is null
    ),
    'providers', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'provider', v.name, 'is_enabled', v.is_enabled and ops.is_enabled('providers.' || v.name), 'breaker', v.breaker,
        'spent_cents_today', s.cents, 'cap_cents', s.cap_cents
      ) order by v.name), '[]')
      from videos.providers as v
      join ops.spending_today as s on s.provider = v.name
    )
  );
end;
$$;

-- supabase/schemas/ops/reports.sql

-- What the operator reads once a day, a week and a month: docs/operations/reports.md. The figures are of the rows alone, so that
-- the same rows give the same report, whenever it is made; what Postgres knows of itself is of the moment.

create type ops.report_kind as enum ('daily', 'weekly', 'monthly');

create table ops.reports (
  kind ops.report_kind not null,
  -- The days that it is about, in UTC, the second one not included.
  begins_on date not null,
  ends_on date not null,
  figures jsonb not null,
  -- Of a monthly one: sizes, indexes, statements, and what retention has left behind, when it was made.
  database jsonb,
  made_at timestamptz not null,
  primary key (kind, begins_on)
);
alter table ops.reports enable row level security;
comment on table ops.reports is 'What the operator was told of each day, week and month, once each.';

-- What the rules of retention took away, so that a report can say so.
create table ops.swept (
  -- Its beginning.
  day timestamptz not null,
  rule text not null,
  rows bigint not null,
  primary key (day, rule)
);
alter table ops.swept enable row level security;
comment on table ops.swept is 'How much each rule of retention took away, by the day in UTC.';

-- A day in UTC as the time at which it begins.
create function ops.begin_of(p_day date)
returns timestamptz
language sql
immutable
return p_day::timestamp at time zone 'UTC';

create function ops.span_of(p_kind ops.report_kind, p_day date, out begins_on date, out ends_on date)
language sql
immutable
set search_path = ''
as $$
  -- The day, the week from Monday on, or the month, that a day is part of.
  select date_trunc(u.unit, p_day::timestamp)::date, (date_trunc(u.unit, p_day::timestamp) + ('1 ' || u.unit)::interval)::date
  from (values (case p_kind when 'daily' then 'day' when 'weekly' then 'week' else 'month' end)) as u (unit)
$$;

create function ops.credits_by_kind(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- What moved in the ledger, by kind.
  select coalesce(jsonb_agg(jsonb_build_object('kind', c.kind, 'transfers', c.transfers, 'credits', c.credits) order by c.kind), '[]')
  from (
    select t.kind, count(*) as transfers, sum(t.amount) as credits
    from credits.transfers as t
    where t.created_at >= p_from and t.created_at < p_until
    group by t.kind
  ) as c
$$;

create function ops.jobs_by_end(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- How many jobs were accepted in that time, and how many ended, and how.
  select jsonb_build_object(
    'accepted', (select count(*) from videos.jobs as j where j.created_at >= p_from and j.created_at < p_until),
    'completed', count(*) filter (where j.status = 'completed'),
    'failed', count(*) filter (where j.status = 'failed'),
    'cancelled', count(*) filter (where j.status = 'cancelled')
  )
  from videos.jobs as j
  where j.completed_at >= p_from and j.completed_at < p_until
$$;

create function ops.limit_hits(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- How many requests rate limits refused, by endpoint, as the isolates counted.
  select coalesce(jsonb_agg(jsonb_build_object('endpoint', l.endpoint, 'refused', l.refused) order by l.refused desc, l.endpoint), '[]')
  from (
    select p.labels ->> 'endpoint' as endpoint, sum(p.count) as refused
    from ops.metric_points as p
    where p.name = 'requests' and p.step = 'day' and p.at >= p_from and p.at < p_until
      and p.labels ->> 'code' = core.error_code('limit/rate-exceeded')
    group by p.labels ->> 'endpoint'
  ) as l
$$;

create function ops.daily_figures(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- What went wrong on a day, what was given back, what moved and what it cost.
  select jsonb_build_object(
    'errors', (
      select coalesce(jsonb_agg(jsonb_build_object('code', e.code, 'count', e.count) order by e.code), '[]')
      from (
        select l.code, sum(l.count) as count from ops.error_log as l
        where l.minute >= p_from and l.minute < p_until
        group by l.code
      ) as e
    ),
    'limit_hits', ops.limit_hits(p_from, p_until),
    'jobs', ops.jobs_by_end(p_from, p_until),
    'failed_jobs', (
      select coalesce(jsonb_agg(jsonb_build_object('code', f.error_code, 'jobs', f.jobs) order by f.error_code), '[]')
      from (
        select j.error_code, count(*) as jobs from videos.jobs as j
        where j.completed_at >= p_from and j.completed_at < p_until and j.status = 'failed'
        group by j.error_code
      ) as f
    ),
    -- What admins gave back; what the ledger gave back by itself is a `release`, what Apple took back a `reversal`.
    'refunds', (
      select jsonb_build_object('refunds', count(*), 'credits', coalesce(sum(a.amount), 0))
      from ops.admin_actions as a
      where a.created_at >= p_from and a.created_at < p_until and a.action in ('refund_credits', 'refund_removal')
    ),
    'credits', ops.credits_by_kind(p_from, p_until),
    'spent', (
      select coalesce(jsonb_agg(jsonb_build_object('provider', s.provider, 'cents', s.cents) order by s.provider), '[]')
      from (
        select d.provider, sum(d.cents) as cents from videos.spending as d
        where ops.begin_of(d.day) >= p_from and ops.begin_of(d.day) < p_until
        group by d.provider
      ) as s
    )
  )
$$;

create function ops.weekly_figures(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- What recurred in a week, what admins did, and what was cleaned up.
  select jsonb_build_object(
    'admin_actions', (
      select coalesce(jsonb_agg(jsonb_build_object('action', a.action, 'count', a.count, 'credits', a.credits) order by a.action), '[]')
      from (
        select x.action, count(*) as count, coalesce(sum(x.amount), 0) as credits from ops.admin_actions as x
        where x.created_at >= p_from and x.created_at < p_until
        group by x.action
      ) as a
    ),
    -- Where errors come from, the most frequent first, and on how many days they came.
    'error_patterns', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'code', e.code, 'endpoint', e.endpoint, 'count', e.count, 'days', e.days
      ) order by e.count desc, e.code, e.endpoint), '[]')
      from (
        select l.code, l.endpoint, sum(l.count) as count, count(distinct date_trunc('day', l.minute, 'UTC')) as days
        from ops.error_log as l
        where l.minute >= p_from and l.minute < p_until
        group by l.code, l.endpoint
        order by count desc, l.code, l.endpoint
        limit 20
      ) as e
    ),
    -- What retention took away; `idempotency_keys` are the expired keys.
    'removed', (
      select coalesce(jsonb_agg(jsonb_build_object('rule', s.rule, 'rows', s.rows) order by s.rule), '[]')
      from (
        select x.rule, sum(x.rows) as rows from ops.swept as x
        where x.day >= p_from and x.day < p_until
        group by x.rule
      ) as s
    ),
    'dead_letters', (
      select coalesce(jsonb_agg(jsonb_build_object('kind', d.kind, 'tasks', d.tasks) order by d.kind), '[]')
      from (
        select t.kind, count(*) as tasks from queue.tasks as t
        where t.failed_at >= p_from and t.failed_at < p_until
        group by t.kind
      ) as d
    )
  )
$$;

create function ops.percentile(p_values numeric[], p_share numeric)
returns numeric
language sql
immutable
set search_path = ''
as $$
  -- The smallest of the values that so large a share of them does not exceed, to a thousandth; null of none.
  select round(percentile_disc(p_share) within group (order by v.value), 3) from unnest(p_values) as v (value)
$$;

create function ops.monthly_figures(p_from timestamptz, p_until timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- How a month went: who came, how long they waited, what moved.
  select jsonb_build_object(
    'users', (
      select jsonb_build_object(
        'new', count(*) filter (where u.created_at >= p_from and u.created_at < p_until),
        'closed', count(*) filter (where u.closed_at >= p_from and u.closed_at < p_until)
      )
      from accounts.users as u
    ),
    'jobs', ops.jobs_by_end(p_from, p_until),
    -- How long users waited for a video, in seconds.
    'models', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'model', m.model_name, 'completed', m.completed, 'failed', m.failed, 'seconds_p50', m.p50, 'seconds_p95', m.p95
      ) order by m.model_name), '[]')
      from (
        select j.model_name, count(*) filter (where j.status = 'completed') as completed,
          count(*) filter (where j.status = 'failed') as failed,
          ops.percentile(array_agg(extract(epoch from j.completed_at - j.created_at)) filter (where j.status = 'completed'), 0.5) as p50,
          ops.percentile(array_agg(extract(epoch from j.completed_at - j.created_at)) filter (where j.status = 'completed'), 0.95) as p95
        from videos.jobs as j
        where j.completed_at >= p_from and j.completed_at < p_until
        group by j.model_name
      ) as m
    ),
    -- How long providers took to take a job, in seconds, and what became of what they were sent.
    'providers', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'provider', p.provider, 'submissions', p.submissions, 'accepted', p.accepted, 'refused', p.refused,
        'seconds_p50', p.p50, 'seconds_p95', p.p95
      ) order by p.provider), '[]')
      from (
        select s.provider, count(*) as submissions, count(s.accepted_at) as accepted,
          count(*) filter (where s.state in ('not_accepted', 'refused')) as refused,
          ops.percentile(array_agg(extract(epoch from s.accepted_at - s.claimed_at)) filter (where s.accepted_at is not null), 0.5) as p50,
          ops.percentile(array_agg(extract(epoch from s.accepted_at - s.claimed_at)) filter (where s.accepted_at is not null), 0.95) as p95
        from videos.submissions as s
        where s.claimed_at >= p_from and s.claimed_at < p_until
        group by s.provider
      ) as p
    ),
    'credits', ops.credits_by_kind(p_from, p_until)
  )
$$;

create function ops.figures_of(p_kind ops.report_kind, p_begins_on date, p_ends_on date)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- The figures of a report, of the rows alone. Locks: nothing.
declare
  v_from constant timestamptz := ops.begin_of(p_begins_on);
  v_until constant timestamptz := ops.begin_of(p_ends_on);
begin
  return case p_kind
    when 'daily' then ops.daily_figures(v_from, v_until)
    when 'weekly' then ops.weekly_figures(v_from, v_until)
    else ops.monthly_figures(v_from, v_until)
  end;
end;
$$;

create function ops.due_reports(p_limit integer)
returns setof text
language sql
volatile
set search_path = ''
as $$
  -- The reports that are to be made, the oldest first: of each kind the last span that is over, and those since the last
  -- one made, while their rows are there (errors are for 30 days). What wrote before midnight has ended ten minutes after it.
  select format('%s %s', d.kind, d.day)
  from unnest('{daily,weekly,monthly}'::ops.report_kind[], '{7,4,2}'::integer[]) as k (kind, at_most)
  cross join lateral (
    select (ops.span_of(k.kind, ((core.now() - interval '10 minutes') at time zone 'UTC')::date)).begins_on as day
  ) as running
  cross join lateral (
    select k.kind, (ops.span_of(k.kind, (running.day - case k.kind when 'daily' then n when 'weekly' then 7 * n else 28 * n end)::date)).begins_on as day, n
    from generate_series(1, k.at_most) as n
  ) as d
  where not exists (select from ops.reports as r where r.kind = d.kind and r.begins_on = d.day)
    and (d.n = 1 or d.day > (select max(r.begins_on) from ops.reports as r where r.kind = d.kind))
  order by d.day, d.kind
  limit p_limit
$$;

create function ops.make_report(p_report text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a report, by its kind and the day with which it begins, and tells of it: `daily 2026-11-28`. A second call changes
-- nothing. Locks: the report.
declare
  v_kind constant ops.report_kind := split_part(p_report, ' ', 1);
  v_span record;
  v_figures jsonb;
begin
  select s.begins_on, s.ends_on into v_span from ops.span_of(v_kind, split_part(p_report, ' ', 2)::date) as s;
  v_figures := ops.figures_of(v_kind, v_span.begins_on, v_span.ends_on);
  insert into ops.reports (kind, begins_on, ends_on, figures, database, made_at)
  values (
    v_kind, v_span.begins_on, v_span.ends_on, v_figures, case v_kind when 'monthly' then ops.database_now() end, core.now()
  )
  on conflict do nothing;
  if found then
    perform events.publish('report.made', null, jsonb_build_object(
      'kind', v_kind, 'begins_on', v_span.begins_on, 'ends_on', v_span.ends_on, 'figures', v_figures
    ));
  end if;
end;
$$;

-- supabase/schemas/ops/upkeep.sql

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

-- supabase/schemas/ops/exposures.sql

-- Who saw which variant of an experiment, from the first time on.
create table ops.exposures (
  flag text not null,
  user_id uuid not null,
  variant text not null,
  exposed_at timestamptz not null,
  primary key (flag, user_id, variant)
);
alter table ops.exposures enable row level security;
create index exposures_user on ops.exposures (user_id);
create index exposures_exposed_at on ops.exposures using brin (exposed_at);
comment on table ops.exposures is 'Each user and variant of an experiment, once.';

create function ops.count_exposure(p_key text, p_user_id uuid, p_variant text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Counts that a user was given a variant of an experiment; true for the first time. A second call changes nothing, and takes no
-- lock. Of a flag that is no experiment it counts nothing.
begin
  if p_variant is null
    or exists (select from ops.exposures as e where e.flag = p_key and e.user_id = p_user_id and e.variant = p_variant)
    or not exists (select from ops.feature_flags as f where f.key = p_key and f.is_experiment)
  then
    return false;
  end if;
  insert into ops.exposures (flag, user_id, variant, exposed_at) values (p_key, p_user_id, p_variant, core.now())
  on conflict do nothing;
  return found;
end;
$$;

create view ops.experiments with (security_invoker = true) as
select e.flag, e.variant, count(*)::integer as exposures, min(e.exposed_at) as first_at, max(e.exposed_at) as last_at,
  (count(*) filter (where exists (
    select from videos.jobs as j
    where j.user_id = e.user_id and j.status = 'completed' and j.created_at >= e.exposed_at
  )))::integer as made_a_video,
  (count(*) filter (where exists (
    select from purchases.transactions as t where t.owner_id = e.user_id and t.credited_at >= e.exposed_at
  )))::integer as bought
from ops.exposures as e
group by e.flag, e.variant;
comment on view ops.experiments is
  'Of each variant how many users were given it, and how many of them made a video or bought something since; what that proves is for whoever does the statistics.';

select core.keep_rows_out_of_logs('ops.exposures');

-- supabase/schemas/ops/users.sql

-- An action as the operator sees it.
create function ops.action_json(p_action ops.admin_actions)
returns jsonb
language sql
stable
return jsonb_build_object(
  'id', (p_action).id, 'action', (p_action).action, 'admin_id', (p_action).admin_id, 'amount', (p_action).amount,
  'reason', (p_action).reason, 'job_id', (p_action).job_id, 'created_at', core.to_iso((p_action).created_at)
);

create function ops.user_json(p_user_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- A user as the operator sees them: `{ user, guests, credits, jobs, legal_hold, erasure, recent_actions, lots, statement,
-- purchases, sessions, devices }`. A hold and actions are also those of the guests who became them. `is_guest` and `email` are null once Auth knows them no more. Jobs that they deleted are not counted.
-- Locks: account → expired lots.
declare
  v_account constant credits.accounts := credits.lock_account(p_user_id);
  -- Whoever became somebody else has nothing.
  v_balance constant bigint := case when v_account.owner_id = p_user_id then v_account.balance else 0 end;
  v_people constant uuid[] := accounts.with_guests(p_user_id);
  v_auth auth.users;
  v_user accounts.users;
  v_jobs jsonb;
begin
  select u.* into strict v_user from accounts.users as u where u.id = p_user_id;
  select a.* into v_auth from auth.users as a where a.id = p_user_id;
  select jsonb_object_agg(s.status, coalesce(c.jobs, 0)) into v_jobs
  from unnest(enum_range(null::videos.job_status)) as s (status)
  left join (
    select j.status, count(*) as jobs
    from videos.jobs as j
    where j.user_id = p_user_id and j.deleted_at is null
    group by j.status
  ) as c on c.status = s.status;

  return jsonb_build_object(
    -- Whoever has the token can buy for the user; these are nobody else's affair.
    'user', accounts.profile_json(v_user, v_balance) - '{app_account_token,shares_consumption,accepted_processors,notification_preferences}'::text[] || jsonb_build_object(
      'is_guest', v_auth.is_anonymous, 'email', nullif(v_auth.email, ''),
      'is_banned', v_user.is_banned, 'closed_at', core.to_iso(v_user.closed_at), 'merged_into', v_user.merged_into
    ),
    'guests', to_jsonb(array_remove(v_people, p_user_id)),
    'credits', jsonb_build_object(
      'remaining', v_balance,
      'held', videos.held_credits(p_user_id),
      'owed', credits.owed(p_user_id)
    ),
    'jobs', v_jobs,
    'legal_hold', (
      select jsonb_build_object('held_at', core.to_iso(min(h.held_at))) from safety.holds as h
      where h.user_id = any (v_people)
      having count(*) > 0
    ),
    'erasure', accounts.erasure_json(v_user),
    'recent_actions', (
      select coalesce(jsonb_agg(ops.action_json(r.action) order by (r.action).created_at desc, (r.action).id desc), '[]')
      from (
        select a as action from ops.admin_actions as a
        where a.user_id = any (v_people)
        order by a.created_at desc, a.id desc
        limit 20
      ) as r
    ),
    -- In the order in which they are spent.
    'lots', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'lot_id', o.id, 'amount', o.amount, 'remaining', o.remaining, 'expires_at', core.to_iso(o.expires_at),
        'is_sandbox', o.is_sandbox
      ) order by o.expires_at nulls last, o.id), '[]')
      from (
        select l.* from credits.lots as l
        where l.account_id = v_account.id and v_account.owner_id = p_user_id and not l.is_spent
        order by l.expires_at nulls last, l.id
        limit 50
      ) as o
    ),
    'statement', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', s.transfer_id, 'amount', s.amount, 'kind', s.kind, 'balance_after', s.balance_after, 'job_id', s.job_id,
        'created_at', core.to_iso(s.created_at)
      ) order by s.number desc), '[]')
      from credits.statement(p_user_id, 50) as s
    ),
    'purchases', (
      select coalesce(jsonb_agg(purchases.transaction_json(o.bought) || jsonb_build_object(
        'status', case when (o.bought).reason is null then purchases.transaction_json(o.bought) ->> 'status' else 'not_credited' end,
        'credits_added', coalesce(purchases.added_by(o.bought), 0), 'reason', (o.bought).reason,
        'environment', (o.bought).environment
      ) order by (o.bought).purchased_at desc, (o.bought).id desc), '[]')
      from (
        select t as bought from purchases.transactions as t
        where t.owner_id = p_user_id
        order by t.purchased_at desc, t.id desc
        limit 20
      ) as o
    ),
    'sessions', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'created_at', core.to_iso(o.created_at), 'last_used_at', core.to_iso(o.last_used_at), 'user_agent', o.user_agent
      ) order by o.last_used_at desc), '[]')
      from (
        select s.created_at, s.user_agent, u.last_used_at
        from auth.sessions as s
        -- As accounts.sessions_json has it.
        cross join lateral (select coalesce(s.refreshed_at at time zone 'utc', s.created_at) as last_used_at) as u
        where s.user_id = p_user_id
        order by u.last_used_at desc
        limit 20
      ) as o
    ),
    'devices', jsonb_build_object(
      'registered', (select count(*) from notify.push_tokens as t where t.user_id = p_user_id),
      'first_granted_at', core.to_iso((
        select min(g.granted_at) from devices.grants as g where g.user_id = any (accounts.with_guests(p_user_id))
      ))
    )
  );
end;
$$;

-- supabase/schemas/ops/jobs.sql

-- Jobs as the operator sees them: without the prompt, and without whatever else their user wrote but the app's name for them.

-- One of a list.
create function ops.job_json(p_job videos.jobs)
returns jsonb
language sql
stable
return jsonb_build_object(
  'job_id', (p_job).id, 'user_id', (p_job).user_id, 'status', (p_job).status, 'stage', videos.job_stage(p_job),
  'model_id', (p_job).model_id, 'model_name', (p_job).model_name, 'provider', videos.provider_of((p_job).id),
  'error_code', (p_job).error_code, 'credits_used', (p_job).credits_used, 'created_at', core.to_iso((p_job).created_at),
  'started_at', core.to_iso((p_job).started_at), 'completed_at', core.to_iso((p_job).completed_at),
  'is_deleted', (p_job).deleted_at is not null
);

create function ops.find_jobs(
  p_limit integer, p_status text, p_user_id uuid, p_model_id uuid, p_provider text, p_error_code text, p_after jsonb
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- A page of the jobs that all filters fit which are not null, newest first: `{ jobs, next }`. It looks through 10,000 at most,
-- and so may have fewer jobs than p_limit, or none, and a `next` all the same. Takes no lock.
declare
  -- Ids begin with the time.
  v_before constant uuid := coalesce((p_after ->> 'id')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  v_walk refcursor;
  v_job videos.jobs;
  v_last uuid;
  v_looked integer := 0;
  v_jobs jsonb := '[]';
begin
  -- `limit all` and `limit 1` keep the planner from joining or ordering otherwise than is said.
  if p_user_id is not null then
    -- All their ids, of which even 10,000 are sorted in no time, and then a job at a time, as far as the page needs them.
    open v_walk for
      select j.*
      from (select o.id from videos.jobs_of(array[p_user_id]) as o (id) where o.id < v_before order by o.id desc) as u
      cross join lateral (select o.* from videos.jobs as o where o.id = u.id limit 1) as j
      order by u.id desc;
  elsif p_status in ('pending', 'processing') then
    -- Those that run are few, and what is stuck is older than many: by their own index, which the planner is not to leave.
    open v_walk for
      select j.* from (select o.* from videos.jobs as o where o.completed_at is null offset 0) as j
      where j.id < v_before
      order by j.id desc;
  else
    open v_walk for select j.* from videos.jobs as j where j.id < v_before order by j.id desc;
  end if;
  loop
    fetch v_walk into v_job;
    exit when not found;
    if jsonb_array_length(v_jobs) = p_limit or v_looked = 10000 then
      close v_walk;
      return jsonb_build_object('jobs', v_jobs, 'next', jsonb_build_object('id', v_last));
    end if;
    v_last := v_job.id;
    v_looked := v_looked + 1;
    if (p_status is null or v_job.status = p_status::videos.job_status)
      and (p_model_id is null or v_job.model_id = p_model_id)
      and (p_error_code is null or v_job.error_code = p_error_code)
      and (p_provider is null or videos.provider_of(v_job.id) = p_provider)
    then
      v_jobs := v_jobs || ops.job_json(v_job);
    end if;
  end loop;
  close v_walk;
  return jsonb_build_object('jobs', v_jobs, 'next', null);
end;
$$;

create function ops.job_story(p_job_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- All that there is of a job, each list by its time: `{ job, postings, submissions, provider_events, tasks, files, errors,
-- admin_actions }`; null where there is no such job. `files` have their `path` in storage, null where nobody is to see them any
-- more. Of each list the newest 100. Takes no lock.
declare
  v_job videos.jobs;
begin
  select j.* into v_job from videos.jobs as j where j.id = p_job_id;
  if not found then
    return null;
  end if;
  return jsonb_build_object(
    'job', (videos.end_event(v_job) - '{error}'::text[]) || ops.job_json(v_job) || jsonb_build_object(
      'request_id', nullif(v_job.request_id, ''), 'error_details', v_job.error_details, 'flag', v_job.flag,
      'percent', v_job.percent, 'due_at', core.to_iso(v_job.due_at), 'storing_at', core.to_iso(v_job.storing_at),
      'late_success_at', core.to_iso(v_job.late_success_at), 'source_job_id', v_job.source_job_id,
      'deleted_at', core.to_iso(v_job.deleted_at), 'removed_at', core.to_iso(v_job.removed_at)
    ),
    'postings', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', t.id, 'kind', t.kind, 'amount', case when t.from_balance is null then t.amount else -t.amount end,
        'balance_after', coalesce(t.from_balance, t.to_balance), 'created_at', core.to_iso(t.created_at)
      ) order by t.created_at, t.id), '[]')
      from (
        select h.* from credits.transfers as h where h.job_id = p_job_id and h.kind = 'hold'
        union all
        select e.*
        from credits.transfers as h
        join credits.transfers as e on e.reverses_id = h.id and e.kind in ('capture', 'release')
        where h.job_id = p_job_id and h.kind = 'hold'
        union all
        select r.* from ops.admin_actions as a join credits.transfers as r on r.id = a.transfer_id where a.job_id = p_job_id
      ) as t
    ),
    'submissions', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'submission_id', s.id, 'provider', s.provider, 'provider_model', s.provider_model, 'state', s.state,
        'request_id', s.request_id, 'cost_cents', s.cost_cents, 'cause', s.cause, 'claimed_at', core.to_iso(s.claimed_at),
        'accepted_at', core.to_iso(s.accepted_at), 'ended_at', core.to_iso(s.ended_at)
      ) order by s.claimed_at, s.id), '[]')
      from (
        select x.* from videos.submissions as x where x.job_id = p_job_id order by x.claimed_at desc limit 100
      ) as s
    ),
    'provider_events', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'provider', e.provider, 'event_id', e.event_id, 'submission_id', e.submission_id, 'state', e.state ->> 'state',
        'effect', e.effect, 'received_at', core.to_iso(e.received_at)
      ) order by e.received_at, e.event_id), '[]')
      from (
        select x.*
        from videos.submissions as s
        join videos.provider_events as x on x.submission_id = s.id
        where s.job_id = p_job_id
        order by x.received_at desc
        limit 100
      ) as e
    ),
    'tasks', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'task_id', t.id, 'kind', t.kind, 'attempts', t.attempts, 'run_at', core.to_iso(t.run_at),
        'leased_until', core.to_iso(t.leased_until), 'last_error', t.last_error, 'failed_at', core.to_iso(t.failed_at),
        'created_at', core.to_iso(t.created_at)
      ) order by t.created_at, t.id), '[]')
      from (
        -- One part for each of the two indexes.
        select x.* from queue.tasks as x where x.subject = p_job_id and x.failed_at is null
        union all
        (select x.* from queue.tasks as x where x.subject = p_job_id and x.failed_at is not null order by x.id desc limit 100)
      ) as t
    ),
    'files', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'kind', a.kind, 'bytes', a.bytes, 'content_type', a.content_type, 'width', a.width, 'height', a.height,
        'duration_milliseconds', a.duration_milliseconds, 'quality', a.quality, 'created_at', core.to_iso(a.created_at),
        'path', case when a.deleted_at is null and v_job.removed_at is null and v_job.deleted_at is null then a.path end
      ) order by a.kind), '[]')
      from videos.assets as a where a.job_id = p_job_id
    ),
    'errors', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'code', e.code, 'severity', e.severity, 'endpoint', e.endpoint, 'count', e.count, 'context', e.context,
        'occurred_at', core.to_iso(e.occurred_at)
      ) order by e.occurred_at), '[]')
      from (
        select x.* from ops.error_log as x
        where x.request_id = v_job.request_id and x.request_id <> ''
        order by x.occurred_at desc
        limit 100
      ) as e
    ),
    'admin_actions', (
      select coalesce(jsonb_agg(ops.action_json(o.action) order by (o.action).created_at, (o.action).id), '[]')
      from (
        select a as action from ops.admin_actions as a where a.job_id = p_job_id order by a.created_at desc, a.id desc limit 100
      ) as o
    )
  );
end;
$$;

-- supabase/schemas/ops/search.sql

create function ops.users_like(p_query text)
returns setof uuid
language plpgsql
stable
-- Mostly one. The planner takes it for 1,000, and would read tables as a whole.
rows 1
set search_path = ''
as $$
-- Who may be meant: by id, by reference, by the beginning of the id (8 digits at least), or by the whole e-mail address in either
-- case; also whom only Auth knows yet. Up to 20, by id. Takes no lock.
declare
  v_digits constant text := case when p_query ~* '^[0-9a-f-]{8,36}$' then replace(p_query, '-', '') end;
  v_first uuid;
  v_last uuid;
begin
  if length(v_digits) between 8 and 32 then
    v_first := rpad(v_digits, 32, '0')::uuid;
    v_last := rpad(v_digits, 32, 'f')::uuid;
  end if;
  return query
  select f.id
  from (
    (select u.id from accounts.users as u where u.id between v_first and v_last order by u.id limit 20)
    union
    (select a.id from auth.users as a where a.id between v_first and v_last order by a.id limit 20)
    union
    select u.id from accounts.users as u where u.reference = v_first and v_first = v_last
    union
    -- Auth writes addresses in lower case, and has an index of those that are no single sign-on's.
    select a.id from auth.users as a where a.email = lower(p_query) and not a.is_sso_user and p_query like '%@%'
  ) as f
  order by f.id
  limit 20;
end;
$$;

create function ops.search(p_query text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- The users and jobs that somebody's words may name: `{ users, jobs }`, 20 of each at most. Users as ops.users_like finds them;
-- jobs by id, request id or the app's name for them, newest first, and of a name or request id that more than 1,000 have any 1,000.
-- Takes no lock.
declare
  v_job_id uuid;
begin
  if pg_input_is_valid(p_query, 'uuid') then
    v_job_id := p_query::uuid;
  end if;
  return jsonb_build_object(
    'users', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'user_id', f.id, 'email', nullif(a.email, ''), 'reference', u.reference, 'is_guest', a.is_anonymous,
        'is_banned', coalesce(u.is_banned, false), 'created_at', core.to_iso(coalesce(u.created_at, a.created_at)),
        'credits_remaining', coalesce(credits.spendable(c), 0)
      ) order by f.id), '[]')
      from ops.users_like(p_query) as f (id)
      left join accounts.users as u on u.id = f.id
      left join auth.users as a on a.id = f.id
      left join credits.accounts as c on c.owner_id = f.id and c.kind = 'available' and c.unit = 'credit'
    ),
    'jobs', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'job_id', f.id, 'user_id', f.user_id, 'status', f.status, 'matched', f.matched, 'created_at', core.to_iso(f.created_at)
      ) order by f.id desc), '[]')
      from (
        -- What matches in two ways is named once.
        select distinct on (o.id) o.* from (
          select 'job_id' as matched, j.id, j.user_id, j.status, j.created_at
          from videos.jobs as j
          where j.id = v_job_id
          union all
          select 'request_id', j.id, j.user_id, j.status, j.created_at from videos.jobs_of_request(p_query) as j
          union all
          (
            select 'client_reference', j.id, j.user_id, j.status, j.created_at
            from videos.jobs as j
            where j.client_reference = p_query
            limit 1000
          )
        ) as o
        order by o.id desc, o.matched desc
        limit 20
      ) as f
    )
  );
end;
$$;

-- supabase/schemas/videos/retention.sql

create function videos.sweep_deleted_jobs(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `deleted_jobs`: blanks jobs that their users deleted and whose files are gone, but under a legal hold, removes what
-- events tell of them, and returns how many. One of which an event is somebody's at that moment waits for the next call.
-- Locks: jobs that nobody else has locked → events, which are never waited for → what belongs to the jobs.
declare
  v_job_ids uuid[];
  v_waiting text[];
begin
  select coalesce(array_agg(d.id), '{}') into v_job_ids
  from (
    select j.id from videos.jobs as j
    where j.deleted_at <= p_before and j.prompt <> ''
      and not exists (select from videos.assets as a where a.job_id = j.id and a.deleted_at is null)
      and not safety.is_held(j.user_id)
    limit p_batch
    for update skip locked
  ) as d;
  -- Before the jobs are blanked: a blank one is not found again.
  v_waiting := events.remove_about(
    array(select distinct j.user_id from videos.jobs as j where j.id = any (v_job_ids)), 'job_id', v_job_ids::text[]
  );
  v_job_ids := array(select j.id from unnest(v_job_ids) as j (id) where j.id::text <> all (v_waiting));
  perform videos.blank_jobs(v_job_ids);
  return cardinality(v_job_ids);
end;
$$;

create function videos.delete_jobs(p_user_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes what is left of the jobs of erased accounts. The ledger keeps their entries, and safety what was decided; no figure
-- counts them any more. Locks: jobs → ops.stat_sums, the oldest first.
declare
  v_job_ids constant uuid[] := array(select videos.jobs_of(p_user_ids));
  v_counted_at timestamptz[];
begin
  select array_agg(distinct ops.stat_block(c.at)) into v_counted_at
  from (
    select unnest(array[j.created_at, j.completed_at]) as at from videos.jobs as j where j.id = any (v_job_ids)
    union all
    select s.claimed_at from videos.submissions as s where s.job_id = any (v_job_ids)
  ) as c;
  delete from videos.provider_events as e
  using videos.submissions as s
  where s.job_id = any (v_job_ids) and e.submission_id = s.id;
  delete from videos.submissions as s where s.job_id = any (v_job_ids);
  delete from videos.jobs as j where j.id = any (v_job_ids);
  perform safety.close_cases(v_job_ids);
  perform ops.forget_stats(c.at) from unnest(v_counted_at) as c (at) order by c.at;
end;
$$;

-- supabase/schemas/videos/export.sql

create function videos.export_page(p_user_ids uuid[], p_after uuid, p_limit integer)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- The next videos of these users that are in storage, by their jobs' ids, for whoever takes them along: `{ text, next }` as
  -- accounts.export_page says it.
  select jsonb_build_object(
    'text', coalesce(string_agg(p.line::text, e',\n' order by p.id), ''),
    'next', case when count(*) = p_limit then jsonb_build_array((array_agg(p.id order by p.id desc))[1]) end
  )
  from (
    select j.id, jsonb_build_object(
      'job_id', j.id, 'prompt', j.prompt, 'model_name', j.model_name, 'created_at', core.to_iso(j.created_at),
      'completed_at', core.to_iso(j.completed_at), 'content_type', a.content_type, 'bytes', a.bytes,
      'duration_milliseconds', a.duration_milliseconds, 'width', a.width, 'height', a.height
    ) as line
    from videos.jobs as j
    join videos.assets as a on a.job_id = j.id and a.kind = 'video' and a.deleted_at is null
    where j.user_id = any (p_user_ids) and j.deleted_at is null and j.removed_at is null and (p_after is null or j.id > p_after)
    order by j.id
    limit p_limit
  ) as p
$$;

-- supabase/schemas/api/models.sql

-- api: the procedures that functions call, a file an endpoint. The only schema that the Data API exposes, and in it
-- every procedure is service_role's alone.

create schema api;
grant usage on schema api to service_role;

create function api.models(p_user_id uuid, p_session_id uuid default null, p_moderated_by text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The catalogue: `data` is `{ models }`, in the order of the operator. p_moderated_by names the service that judges prompts,
-- if one does. Counts against `reads`.
declare
  v_caller record;
  v_data jsonb;
begin
  v_caller := guard.enter(p_user_id, 'models', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select jsonb_build_object('models', coalesce(jsonb_agg(videos.model_json(m, p_moderated_by) order by m.position, m.id), '[]'))
  into v_data
  from videos.models as m
  where m.is_available;
  return guard.answer(v_data, v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.models to service_role;

-- supabase/schemas/api/admin-adjust-credits.sql

create function api.admin_adjust_credits(
  p_admin_id uuid, p_idempotency_key text, p_fingerprint text, p_request_id text, p_user_id uuid, p_amount bigint,
  p_reason text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Adjusts credits once per idempotency key of an admin. A second call answers what the first did; see
-- ops.adjust_credits for the rest. Locks: idempotency key → rate-limit row → account → lots → the admin.
declare
  v_caller record;
  v_outcome jsonb;
begin
  v_caller := ops.admit_admin(p_admin_id, p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_outcome := guard.claim(p_admin_id, 'admin-adjust-credits', p_idempotency_key, p_fingerprint);
  if v_outcome is null then
    v_outcome := guard.finish(
      p_admin_id, 'admin-adjust-credits', p_idempotency_key, p_fingerprint,
      ops.adjust_credits(p_admin_id, p_request_id, p_user_id, p_amount, p_reason)
    );
  end if;
  return guard.in_language(v_outcome, v_caller.language);
end;
$$;
grant execute on function api.admin_adjust_credits to service_role;

-- supabase/schemas/api/admin-models.sql

create function api.get_admin_models(p_admin_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Every model, offered or not, in the order of the operator: `data` is `{ models }`, each as videos.record_json has it, with
-- `providers`. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-models', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(jsonb_build_object('models', (
    select coalesce(jsonb_agg(
      videos.record_json(m) || jsonb_build_object('providers', videos.providers_json(m.id)) order by m.position, m.id
    ), '[]')
    from videos.models as m
  )), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_models to service_role;

create function api.patch_admin_models(
  p_admin_id uuid, p_request_id text, p_model_id uuid, p_is_available boolean, p_reason text,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Offers a model or takes it out of the catalogue: `data` is the model as videos.record_json has it. model/not-available for an unknown model. A second call changes nothing and writes
-- nothing. Counts against `admin`. Locks: rate-limit row → model.
declare
  v_caller record;
  v_refusal jsonb;
  v_model videos.models;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-models', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select m.* into v_model from videos.models as m where m.id = p_model_id for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_model.id is null then
    return guard.refusal('model/not-available', jsonb_build_object('model_id', p_model_id), v_caller.limits, v_caller.language);
  end if;
  if v_model.is_available <> p_is_available then
    update videos.models as m set is_available = p_is_available where m.id = p_model_id returning m.* into v_model;
    insert into ops.admin_actions (action, admin_id, model_id, reason, request_id, created_at)
    values (
      (case when p_is_available then 'enable_model' else 'disable_model' end)::ops.admin_action, p_admin_id, p_model_id,
      p_reason, p_request_id, core.now()
    );
  end if;
  return guard.answer(videos.record_json(v_model), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_models to service_role;

-- supabase/schemas/api/admin-refund-credits.sql

create function api.admin_refund_credits(
  p_admin_id uuid, p_idempotency_key text, p_fingerprint text, p_request_id text, p_user_id uuid, p_amount bigint,
  p_reason text, p_job_id uuid default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Refunds credits once per idempotency key of an admin. A second call answers what the first did; see
-- ops.refund_credits for the rest. Locks: idempotency key → rate-limit row → account → job → lots → the admin.
declare
  v_caller record;
  v_outcome jsonb;
begin
  v_caller := ops.admit_admin(p_admin_id, p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_outcome := guard.claim(p_admin_id, 'admin-refund-credits', p_idempotency_key, p_fingerprint);
  if v_outcome is null then
    v_outcome := guard.finish(
      p_admin_id, 'admin-refund-credits', p_idempotency_key, p_fingerprint,
      ops.refund_credits(p_admin_id, p_request_id, p_user_id, p_amount, p_reason, p_job_id)
    );
  end if;
  return guard.in_language(v_outcome, v_caller.language);
end;
$$;
grant execute on function api.admin_refund_credits to service_role;

-- supabase/schemas/api/admin-users.sql

create function api.get_admin_users(p_admin_id uuid, p_user_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A user, as ops.user_json. resource/not-found where there is none. Counts against `admin`.
-- Locks: rate-limit row → account → expired lots.
declare
  v_caller record;
  v_refusal jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-users', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if not accounts.find(p_user_id) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  perform credits.lock_account(p_user_id);
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  return guard.answer(ops.user_json(p_user_id), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_users to service_role;

create function api.post_admin_users(
  p_admin_id uuid, p_request_id text, p_user_id uuid, p_action text, p_reason text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Suspends a user, which also ends their sessions, where p_action is `ban`; lets them in again where it is `unban`. With `hold`
-- a user's data are kept as evidence until `lift_hold`, also of a closed account that is not erased yet.
-- Raises case_not_found for another. Jobs that were accepted go on. `data` is the user as in api.get_admin_users.
-- auth/forbidden for oneself and for other admins, who are the operator's affair; resource/not-found where there is no
-- such user; resource/wrong-state for a closed or merged account. A second call ends sessions that have begun since, and writes
-- nothing. Counts against `admin`. Locks: rate-limit row → account → user → sessions or tasks.
declare
  v_caller record;
  v_refusal jsonb;
  v_user accounts.users;
  v_bans boolean;
  v_changes boolean;
begin
  case p_action
    when 'ban' then v_bans := true;
    when 'unban' then v_bans := false;
    when 'hold', 'lift_hold' then v_bans := null;
  end case;
  v_caller := ops.enter_admin(p_admin_id, 'admin-users', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  if not accounts.find(p_user_id) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  perform credits.lock_account(p_user_id);
  select u.* into strict v_user from accounts.users as u where u.id = p_user_id for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_user.is_admin then
    return guard.refusal('auth/forbidden', '{}', v_caller.limits, v_caller.language);
  end if;
  if v_user.closed_at is not null and (
    v_bans is not null or exists (select from accounts.erasures as r where r.user_id = p_user_id)
  ) then
    return guard.refusal('resource/wrong-state', '{"status": "closed"}', v_caller.limits, v_caller.language);
  end if;
  -- Of a guest who became somebody else, what was held before can be let go.
  if v_user.merged_into is not null and p_action <> 'lift_hold' then
    return guard.refusal('resource/wrong-state', '{"status": "merged"}', v_caller.limits, v_caller.language);
  end if;

  v_changes := case p_action
    when 'hold' then safety.hold(p_user_id)
    when 'lift_hold' then safety.lift_hold(p_user_id)
    else accounts.set_banned(p_user_id, v_bans)
  end;
  if v_changes then
    insert into ops.admin_actions (action, admin_id, user_id, reason, request_id, created_at)
    values (p_action::ops.admin_action, p_admin_id, p_user_id, p_reason, p_request_id, core.now());
  end if;
  if v_bans then
    perform accounts.end_sessions(p_user_id);
  end if;
  return guard.answer(ops.user_json(p_user_id), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_admin_users to service_role;

-- supabase/schemas/api/webhook-tasks.sql

-- What the handlers of the domain `webhooks` call, in _shared/webhooks/tasks.ts.

create function api.finish_webhook_delivery(
  p_task_id bigint, p_attempt integer, p_delivery_id uuid, p_answer jsonb default null, p_failure text default null,
  p_retry_after integer default null, p_is_final boolean default false
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends an attempt of a `deliver_webhook` task: `data` is `{ outcome }`, as webhooks.end_attempt says it. p_answer is what
-- the server said, `{ status, duration_ms, text }`, null where none was asked; p_failure why that is no success; p_retry_after,
-- in seconds, what it asked for; p_is_final whether every other attempt would fail alike. A second call changes nothing more. Locks: webhook → deliveries → tasks → alert.
begin
  return guard.answer(jsonb_build_object('outcome', webhooks.end_attempt(
    p_task_id, p_attempt, p_delivery_id, p_answer, p_failure, p_retry_after, p_is_final
  )));
end;
$$;
grant execute on function api.finish_webhook_delivery to service_role;

-- supabase/schemas/api/cancel-video.sql

create function api.cancel_video(p_user_id uuid, p_job_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Cancels a job of the caller's. A pending one ends at once and gives its credits back. One that a provider has, or may
-- have, gets a `cancel` task, and only the provider's word ends it. `data`: `{ job }`. A second call answers as the
-- first. resource/not-found for a job that is not there, is deleted or is another's; resource/wrong-state while it is
-- stored, or ended otherwise. Counts against `writes`. Locks: rate-limit row → account → job → tasks.
declare
  v_caller record;
  v_job videos.jobs;
begin
  v_caller := guard.enter(p_user_id, 'cancel-video', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  -- Asked before locking, so that nobody can hold up another's job by naming it.
  if not exists (
    select from videos.jobs as j where j.id = p_job_id and j.user_id = p_user_id and j.deleted_at is null
  ) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  v_job := videos.lock_job(p_job_id);
  if v_job.storing_at is not null or (v_job.completed_at is not null and v_job.cancel_requested_at is null)
    or v_job.status in ('completed', 'failed')
  then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_job.status), v_caller.limits, v_caller.language);
  end if;

  if v_job.cancel_requested_at is null then
    update videos.jobs as j set cancel_requested_at = core.now() where j.id = p_job_id;
    if v_job.status = 'pending' then
      perform videos.settle_video_job(p_job_id, 'cancelled');
    else
      perform videos.add_task('cancel', v_job, core.now());
    end if;
  end if;
  select j.* into v_job from videos.jobs as j where j.id = p_job_id;
  return guard.answer(jsonb_build_object('job', videos.job_json(v_job)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.cancel_video to service_role;

-- supabase/schemas/api/credits.sql

create function api.credits(
  p_user_id uuid, p_limit integer, p_after jsonb default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What the caller has, and a page of what moved it. `data`: `{ credits_remaining, credits_held, credits_owed, expiring,
-- transactions, next }`, all of one moment: what is due has been booked as expired, and the account is locked.
-- `expiring` is the next 30 days' `[{ credits, expires_at }]`, soonest first. Counts against `reads`.
-- Locks: rate-limit row → account → expired lots.
declare
  v_caller record;
  v_until timestamptz;
  v_expiring jsonb;
  v_transactions jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'credits', '{reads}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_until := core.now() + interval '30 days';

  select coalesce(jsonb_agg(
    jsonb_build_object('credits', e.credits, 'expires_at', e.expires_at) order by e.expires_at
  ), '[]') into v_expiring
  from (
    select sum(l.remaining) as credits, core.to_iso(l.expires_at) as expires_at
    from credits.lots as l
    where l.account_id = v_caller.account_id and not l.is_spent and l.expires_at <= v_until
    group by core.to_iso(l.expires_at)
  ) as e;

  select coalesce(jsonb_agg(p.transaction order by p.number desc) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then
      jsonb_build_object('number', min(p.number) filter (where p.place <= p_limit))
    end
  into v_transactions, v_next
  from (
    select s.number, row_number() over (order by s.number desc) as place,
      jsonb_build_object(
        'id', s.transfer_id, 'amount', s.amount, 'kind', s.kind, 'balance_after', s.balance_after, 'job_id', s.job_id,
        'created_at', core.to_iso(s.created_at)
      ) as transaction
    from credits.statement(p_user_id, p_limit + 1, (p_after ->> 'number')::bigint) as s
  ) as p;

  return guard.answer(
    jsonb_build_object(
      'credits_remaining', v_caller.balance,
      'credits_held', videos.held_credits(p_user_id),
      'credits_owed', credits.owed(p_user_id),
      'expiring', v_expiring, 'transactions', v_transactions, 'next', v_next
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.credits to service_role;

-- supabase/schemas/api/delete-video-job.sql

create function api.delete_video_job(p_user_id uuid, p_job_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Hides an ended job of the caller's for good, with what was told of it, and makes the task that removes its files; the
-- ledger keeps its entries.
-- `data`: `{ deleted_at }`. resource/not-found for a job that is not there, is deleted already or is another's;
-- resource/wrong-state for one that has not ended, or that a running job is made from. Counts against `writes`. Locks: rate-limit row → account → job →
-- events → deliveries → project → task.
declare
  v_caller record;
  v_job videos.jobs;
  v_now timestamptz;
begin
  v_caller := guard.enter(
    p_user_id, 'delete-video-job', '{writes}', null, p_locks => true, p_session_id => p_session_id
  );
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  if not exists (
    select from videos.jobs as j where j.id = p_job_id and j.user_id = p_user_id and j.deleted_at is null
  ) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  v_job := videos.lock_job(p_job_id);
  if v_job.deleted_at is not null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if v_job.completed_at is null then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_job.status), v_caller.limits, v_caller.language);
  end if;
  if videos.is_source(v_job.user_id, p_job_id) then
    return guard.refusal('resource/wrong-state', '{"status": "in_use"}', v_caller.limits, v_caller.language);
  end if;

  v_now := core.now();
  update videos.jobs as j
  set deleted_at = v_now, video_url = null, video_url_expires_at = null, thumbnail_url = null
  where j.id = p_job_id;
  perform videos.untell_job(v_job);
  if v_job.project_id is not null then
    perform videos.count_in_project(v_job.project_id, -1);
  end if;
  -- Of one that was removed just now, its bytes are to be known first: that task makes the other.
  if exists (select from videos.assets as a where a.job_id = p_job_id and a.deleted_at is null)
    and not queue.has_open('fingerprint', p_job_id)
  then
    perform videos.add_task('delete_files', v_job, v_now);
  end if;
  return guard.answer(jsonb_build_object('deleted_at', core.to_iso(v_now)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_video_job to service_role;

-- supabase/schemas/api/device-check.sql

create function api.begin_device_check(
  p_user_id uuid, p_network text, p_session_id uuid default null, p_app_transaction jsonb default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Limits, and what is known. `data`: `{ user_id, app_account_token, credits_remaining, is_new, is_granted, intent_good_in }`, the last one
-- in seconds: until an intent of theirs in this network is good for this check, 0 where one is, null where there is
-- none. Whose grant is settled has nothing left to check: that counts in `reads`, and costs their network nothing.
-- p_app_transaction, `{ environment, app_transaction_id }` and verified, is noted for whoever comes with it first.
-- Locks: rate-limit rows → account → expired lots → the app transaction.
declare
  v_is_granted constant boolean := exists (select from devices.grants as g where g.user_id = p_user_id);
  v_caller record;
  v_now timestamptz;
  v_good_from timestamptz;
begin
  v_caller := guard.enter(
    p_user_id, 'device-check',
    case when v_is_granted then '{reads}' else '{device_check,device_check_network}' end::text[], p_network, p_locks => true,
    p_session_id => p_session_id
  );
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if p_app_transaction is not null then
    perform devices.note_app_transaction(p_user_id, p_app_transaction);
  end if;
  v_now := core.now();
  select min(i.good_from) into v_good_from
  from devices.intents as i
  where i.user_id = p_user_id and i.network = devices.network_of(p_network)
    and i.granted_at is null and i.good_until > v_now;
  return guard.answer(
    jsonb_build_object(
      'user_id', p_user_id, 'app_account_token', (select u.app_account_token from accounts.users as u where u.id = p_user_id),
      'credits_remaining', v_caller.balance, 'is_new', v_caller.is_new,
      'is_granted', exists (select from devices.grants as g where g.user_id = p_user_id),
      'intent_good_in', case
        when v_good_from is not null then greatest(0, ceil(date_part('epoch', v_good_from - v_now)))
      end
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.begin_device_check to service_role;

create function api.enter_device_lane(p_network text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Enters the lane of a network for 10 seconds. `data`: `{ lane, retry_after }`: the holder's id; or null where another
-- check has it, with the seconds until its lease is over. Nobody waits, since who does keeps one of the Data API's
-- connections. A second call finds the lane taken by the first. Locks: the lane.
declare
  v_network constant text := devices.network_of(p_network);
  v_holder constant uuid := gen_random_uuid();
  v_leased_until timestamptz;
begin
  insert into devices.lanes as l (network, holder, leased_until)
  values (v_network, v_holder, core.now() + interval '10 seconds')
  on conflict (network) do update
    set holder = excluded.holder, leased_until = excluded.leased_until
    where l.leased_until <= core.now();
  if found then
    return guard.answer(jsonb_build_object('lane', v_holder, 'retry_after', null));
  end if;
  select l.leased_until into v_leased_until from devices.lanes as l where l.network = v_network;
  return guard.answer(jsonb_build_object(
    -- It may have been left this moment, and its row be gone.
    'lane', null, 'retry_after', greatest(1, ceil(date_part('epoch', v_leased_until - core.now())))
  ));
end;
$$;
grant execute on function api.enter_device_lane to service_role;

create function api.leave_device_lane(p_network text, p_lane uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Leaves the lane by whoever knows that they have set no bit, and never will. The intent that was made in it goes, or
-- any bit that is set would be good for it; so the limits no longer count it. One that is still being recorded is
-- waited for, and one that comes later finds the lane left. `data`: `{ left }`; false where the lease was already
-- another's, as in a second call. Locks: lane → intent.
declare
  v_left boolean;
begin
  delete from devices.lanes as l where l.network = devices.network_of(p_network) and l.holder = p_lane;
  v_left := found;
  delete from devices.intents as i where i.lane = p_lane and i.granted_at is null;
  return guard.answer(jsonb_build_object('left', v_left));
end;
$$;
grant execute on function api.leave_device_lane to service_role;

create function api.record_device_intent(
  p_user_id uuid, p_network text, p_lane uuid, p_session_id uuid default null, p_app_transaction jsonb default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The last step before the device's bit is set. `data`: `{ recorded, is_granted, reason, retry_after }`. Where it is
-- not recorded, the bit must stay as it is: the user, or their Apple Account by p_app_transaction, was granted meanwhile, or
-- there is a reason to come again, in so
-- many seconds: `busy`, the lane is no longer ours, or not for long enough, or grants are switched off; `network_limit`, the grants of the network,
-- or of all, are used up. An intent belongs to this check alone; an earlier one of the account in the network, whose
-- check is over and has not set this device's bit, gives way to it and counts no more. For whoever may no longer act,
-- no bit is set. A second call records nothing new. Locks: account → lane → policies.
declare
  v_network constant text := devices.network_of(p_network);
  v_caller record;
  v_now timestamptz;
  v_admitted record;
begin
  v_caller := accounts.admit(p_user_id, p_session_id => p_session_id);
  if v_caller.refusal is null then
    v_caller := accounts.lock(p_user_id);
  end if;
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  -- The bit is set within 8 of the 10 seconds or not at all: whoever comes later than that has given up.
  perform from devices.lanes as l
  where l.network = v_network and l.holder = p_lane and l.leased_until > core.now() + interval '2 seconds'
  for update;
  if not found then
    return guard.answer('{"recorded": false, "is_granted": false, "reason": "busy", "retry_after": 10}');
  end if;
  if exists (select from devices.grants as g where g.user_id = p_user_id) or devices.is_granted(p_app_transaction) then
    return guard.answer('{"recorded": false, "is_granted": true}');
  end if;
  if exists (select from devices.intents as i where i.lane = p_lane and i.user_id = p_user_id) then
    return guard.answer('{"recorded": true, "is_granted": false}');
  end if;
  if not ops.is_enabled('grants') then
    return guard.answer('{"recorded": false, "is_granted": false, "reason": "busy", "retry_after": 300}');
  end if;
  v_now := core.now();
  delete from devices.intents as i
  where i.user_id = p_user_id and i.network = v_network and i.granted_at is null and i.good_from <= v_now;
  v_admitted := devices.admit_intent(v_network, p_app_transaction is not null);
  if v_admitted.reason is not null then
    return guard.answer(
      jsonb_build_object(
        'recorded', false, 'is_granted', false, 'reason', v_admitted.reason, 'retry_after', v_admitted.retry_after
      ),
      v_admitted.limits
    );
  end if;
  v_now := core.now();
  insert into devices.intents (lane, user_id, network, good_from, good_until)
  values (
    p_lane, p_user_id, v_network,
    -- Its own check has ended by then: 8 seconds for Apple, and two calls of the Data API, which wait 10 each.
    v_now + interval '30 seconds',
    -- For an app that is opened again after a crash, and no longer: it is good for any device whose bit is set.
    v_now + interval '10 minutes'
  );
  return guard.answer('{"recorded": true, "is_granted": false}', v_admitted.limits);
end;
$$;
grant execute on function api.record_device_intent to service_role;

create function api.grant_device_credits(
  p_user_id uuid, p_network text, p_lane uuid, p_session_id uuid default null, p_app_transaction jsonb default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Grants the 10 credits of a device whose bit is set for this user, and leaves the lane, if there is one. It takes the
-- intent of this lane, or one of theirs in this network that is good for a later check. `data`:
-- `{ credits, credits_remaining }`, `credits` being what this call granted: a second call grants 0, and so does one
-- without an intent, or whose Apple Account, by p_app_transaction, has had its grant. Locks: account → lane → intent → the
-- app transaction → lots.
declare
  v_network constant text := devices.network_of(p_network);
  v_caller record;
  v_now timestamptz;
  -- Two videos of the cheapest model.
  v_credits constant bigint := 10;
  v_outcome jsonb;
begin
  v_caller := accounts.admit(p_user_id, p_session_id => p_session_id);
  if v_caller.refusal is null then
    v_caller := accounts.lock(p_user_id);
  end if;
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  delete from devices.lanes as l where l.network = v_network and l.holder = p_lane;
  v_now := core.now();
  update devices.intents as i set granted_at = v_now
  where i.granted_at is null and i.lane = (
    select o.lane from devices.intents as o
    where o.user_id = p_user_id and o.network = v_network and o.granted_at is null and o.good_until > v_now
      and (o.lane = p_lane or o.good_from <= v_now)
      and not exists (select from devices.grants as g where g.user_id = p_user_id)
    order by o.lane = p_lane desc nulls last
    limit 1
  );
  if not found or (p_app_transaction is not null and not devices.claim_grant(p_app_transaction)) then
    return guard.answer(jsonb_build_object('credits', 0, 'credits_remaining', (v_caller.account).balance));
  end if;
  insert into devices.grants (user_id, granted_at) values (p_user_id, v_now);
  v_outcome := credits.add(p_user_id, v_credits, 'grant', 'device_grant:' || p_user_id);
  return guard.answer(
    jsonb_build_object('credits', v_credits, 'credits_remaining', v_outcome -> 'credits_remaining')
  );
end;
$$;
grant execute on function api.grant_device_credits to service_role;

-- supabase/schemas/api/erase-account.sql

create function api.load_erasure(p_user_id uuid)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- What an `erase_account` task removes from storage: `data` is `{ paths, uploads }`, of the buckets `videos` and `uploads`,
  -- of each as many as storage removes within the timeout of a request, and nothing under a legal hold.
  select guard.answer(jsonb_build_object(
    'paths', array(select p.path from videos.files_of(p_user_id, 'videos') as p (path)
      where not safety.is_held(p_user_id) limit 100),
    'uploads', array(select p.path from videos.files_of(p_user_id, 'uploads') as p (path)
      where not safety.is_held(p_user_id) limit 100)
  ))
$$;
grant execute on function api.load_erasure to service_role;

create function api.erase_account(p_task_id bigint, p_attempt integer, p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Erases what a closed account left, as accounts.erase does, once its files are gone from storage, and writes the
-- proof. Under a legal hold, while a job of it runs or a file is there, the task comes back; that costs a try only where not one file was
-- removed since the last time. `data`: `{ state: "erased" | "waiting" | "dead" | "lost" }`. A second call finds no
-- task. Raises no_data_found for an account that is open. Locks: account → task → jobs.
declare
  v_task queue.tasks;
  v_user accounts.users;
  v_erasable_at timestamptz;
  v_now timestamptz;
  v_files bigint;
begin
  perform credits.lock_account(p_user_id);
  select t.* into v_task
  from queue.tasks as t
  where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null
  for update;
  if not found then
    return guard.answer('{"state": "lost"}');
  end if;
  select u.* into strict v_user from accounts.users as u where u.id = p_user_id and u.closed_at is not null;
  if safety.is_held(p_user_id) then
    perform queue.repeat(p_task_id, p_attempt, core.now() + interval '1 day', p_error => 'under a legal hold');
    return guard.answer('{"state": "waiting"}');
  end if;
  v_erasable_at := videos.erasable_at(p_user_id);
  v_now := core.now();
  if v_erasable_at > v_now then
    perform queue.repeat(p_task_id, p_attempt, v_erasable_at);
    return guard.answer('{"state": "waiting"}');
  end if;
  select count(*) into v_files
  from (select videos.files_of(p_user_id, 'videos') union all select videos.files_of(p_user_id, 'uploads')) as f;
  if v_files >= (v_task.payload ->> 'files')::bigint then
    return guard.answer(jsonb_build_object(
      'state', queue.retry(p_task_id, p_attempt, 'storage does not remove the files')
    ));
  elsif v_files > 0 then
    perform queue.repeat(p_task_id, p_attempt, v_now, jsonb_build_object('files', v_files));
    return guard.answer('{"state": "waiting"}');
  end if;

  -- First the jobs, as whoever has one does, then what belongs to them: the rule `deleted_jobs` may be at one of them.
  perform from videos.jobs as j
  where j.id in (select videos.jobs_of(accounts.with_guests(p_user_id)))
  order by j.id
  for update;
  -- What is marked as deleted is shown to nobody and swept with the account.
  update videos.jobs as j set deleted_at = v_now where j.user_id = p_user_id and j.deleted_at is null;
  insert into accounts.erasures (user_id, closed_at, erased_at, erased)
  values (p_user_id, v_user.closed_at, v_now, accounts.erase(p_user_id))
  on conflict (user_id) do nothing;
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer('{"state": "erased"}');
end;
$$;
grant execute on function api.erase_account to service_role;

-- supabase/schemas/api/generate-video.sql

create function api.generate_video(
  p_user_id uuid, p_network text, p_idempotency_key text, p_fingerprint text, p_request_id text, p_model_id uuid,
  p_prompt text, p_settings jsonb, p_image_url text default null,
  p_providers text[] default null, p_client_reference text default null, p_session_id uuid default null,
  p_moderated_by text default null, p_project_id uuid default null, p_image_upload_id uuid default null,
  p_source_job_id uuid default null
)
returns json
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Accepts a video once per idempotency key, where one of p_providers, those that this deployment has keys for, can make
-- it; null is any. p_moderated_by names the service that judges prompts, if one does. A second call answers what the first
-- did; see videos.accept_video for the rest. Locks: idempotency key → rate-limit rows → account → lots → project.
declare
  v_caller record;
  v_outcome jsonb;
  v_accepted record;
  v_limits text;
begin
  v_caller := accounts.admit(p_user_id, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_outcome := guard.claim(p_user_id, 'generate-video', p_idempotency_key, p_fingerprint);
  if v_outcome is null then
    v_accepted := videos.accept_video(
      p_user_id, p_network, p_request_id, p_model_id, p_prompt, p_settings, p_image_url, p_providers, p_client_reference,
      p_moderated_by, p_project_id, p_image_upload_id, p_source_job_id
    );
    v_limits := v_accepted.limits;
    v_outcome := guard.finish(
      p_user_id, 'generate-video', p_idempotency_key, p_fingerprint, v_accepted.outcome
    );
  end if;
  return guard.reply(v_outcome, v_limits, v_caller.language);
end;
$$;
grant execute on function api.generate_video to service_role;

-- supabase/schemas/api/generate-videos.sql

create function api.generate_videos(
  p_user_id uuid, p_network text, p_idempotency_key text, p_fingerprint text, p_request_id text, p_mode text, p_items jsonb,
  p_providers text[] default null, p_session_id uuid default null, p_moderated_by text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Accepts several videos once per idempotency key, which covers them all, as videos.accept_videos does: p_items are requests of
-- api.generate_video, p_mode is `all` or `any`. A second call answers what the first did, the items that were refused in the
-- mode `any` included. Locks: idempotency key → rate-limit rows → account → lots → projects.
declare
  v_caller record;
  v_outcome jsonb;
begin
  v_caller := accounts.admit(p_user_id, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_outcome := guard.claim(p_user_id, 'generate-videos', p_idempotency_key, p_fingerprint);
  if v_outcome is null then
    v_outcome := guard.finish(
      p_user_id, 'generate-videos', p_idempotency_key, p_fingerprint,
      videos.accept_videos(p_user_id, p_network, p_request_id, p_mode, p_items, p_providers, p_moderated_by)
    );
  end if;
  return guard.in_language(v_outcome, v_caller.language);
end;
$$;
grant execute on function api.generate_videos to service_role;

-- supabase/schemas/api/health.sql

create function api.health(p_providers text[] default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- How long the task waits that waits longest tells whether a worker comes by, and how long ago the tick came whether
-- anybody would be told of anything; null where it never came. p_providers are those that the deployment has keys for; null
-- is all. `incidents` are what is away. Raises what a write would, where the database takes none.
begin
  perform core.check_writes();
  return guard.answer(jsonb_build_object(
    'oldest_due_task_seconds', extract(epoch from queue.oldest_due()),
    'last_tick_seconds', extract(epoch from core.now() - core.last_tick_at()),
    'missing', core.missing_parts(),
    'models_without_provider', videos.models_without_provider(p_providers),
    'incidents', (select coalesce(jsonb_agg(i.subject order by i.subject), '[]') from ops.incidents as i where i.ended_at is null)
  ));
end;
$$;
grant execute on function api.health to service_role;

-- supabase/schemas/api/process-jobs.sql

create function api.claim_tasks(p_limit integer, p_subject uuid default null, p_without text[] default '{}')
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- Hands due tasks to a worker, of one subject if it is named and of no kind in p_without: `data` is what
  -- queue.hand_out lists.
  select guard.answer(queue.hand_out(p_limit, p_subject, p_without))
$$;
grant execute on function api.claim_tasks to service_role;

create function api.renew_tasks(p_task_ids bigint[], p_attempts integer[])
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- A worker goes on with these attempts: `data` is `{ kept }`, which tells of each whether it has its task still.
  select guard.answer(jsonb_build_object('kept', queue.renew(p_task_ids, p_attempts)))
$$;
grant execute on function api.renew_tasks to service_role;

create function api.retry_task(
  p_task_id bigint, p_attempt integer, p_error text, p_after_seconds numeric default null, p_code text default null,
  p_alert jsonb default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- An attempt failed: `data` is `{ state }`, as queue.retry says it. With p_code it failed by an error of ours, which is
-- recorded. With p_alert, `{ rule, subject, details }`, only the operator can mend it: they are told, and for a day
-- after the task was made it costs no try, so that the work goes on a minute after it was mended at the latest. Locks:
-- those of the task's domain, where it dies → task → error log → incident → alert.
declare
  v_task queue.tasks;
  v_state text;
begin
  select t.* into v_task from queue.tasks as t where t.id = p_task_id;
  if p_alert is not null and v_task.created_at > core.now() - interval '1 day' then
    v_state := case when queue.repeat(p_task_id, p_attempt, core.now() + interval '1 minute', p_error => p_error)
      then 'waiting' else 'lost' end;
  else
    v_state := queue.retry(p_task_id, p_attempt, p_error, p_after_seconds);
  end if;
  if v_state <> 'lost' and p_code is not null then
    perform ops.record_error(p_code, 'process-jobs', v_task.owner_id, v_task.request_id, jsonb_build_object(
      'task', v_task.kind, 'subject', v_task.subject, 'attempt', p_attempt, 'error', p_error
    ));
  end if;
  if v_state <> 'lost' and p_alert ->> 'rule' = 'storage_away' then
    perform ops.begin_incident('storage', p_alert #>> '{details,cause}');
  end if;
  if v_state <> 'lost' and p_alert is not null then
    perform ops.raise_alert(p_alert ->> 'rule', p_alert ->> 'subject', p_alert -> 'details');
  end if;
  return guard.answer(jsonb_build_object('state', v_state));
end;
$$;
grant execute on function api.retry_task to service_role;

-- supabase/schemas/api/provider-webhook.sql

create function api.provider_webhook(
  p_owner uuid, p_provider text, p_submission_id uuid, p_event_id text, p_request_id text, p_state jsonb,
  p_without text[] default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Stores a webhook that is proved to be the provider's, and does what follows. For a request id that we recorded
-- it applies the state. For a submission whose id we never learned, it makes a `poll` task with the id that the
-- event names: only the provider's answer to us records it; after the job's end a success is noted as late. Any other
-- id changes nothing. Of a job whose account was closed, no more than the name of the state, and whether it is billed,
-- is stored. `data`: `{ job_id, effect: "applied" | "asked" | "ignored" | "replayed", tasks }`: with p_without `tasks` are
-- those of the job that the event made due, of no kind in p_without, claimed for the caller as queue.hand_out lists them.
-- auth/unauthenticated for a submission that is not there, or is another owner's. Locks: account → job → tasks → kinds.
declare
  v_submission videos.submissions;
  v_job videos.jobs;
  v_state jsonb := p_state;
  v_effect text;
begin
  select s.* into v_submission
  from videos.submissions as s
  where s.id = p_submission_id and s.provider = p_provider
    -- The URL was made for whoever they were then.
    and s.owner_id = accounts.heir_of((select u.id from accounts.users as u where u.reference = p_owner));
  if not found then
    return guard.refusal('auth/unauthenticated');
  end if;
  v_job := videos.lock_job(v_submission.job_id);
  select s.* into strict v_submission from videos.submissions as s where s.id = p_submission_id;
  if videos.is_abandoned(v_job) then
    v_state := jsonb_strip_nulls(jsonb_build_object(
      'state', p_state -> 'state', 'is_unbilled', p_state -> 'is_unbilled'
    ));
  end if;

  v_effect := case
    when v_submission.request_id = p_request_id and p_state ->> 'state' = 'unreachable' then 'asked'
    when v_submission.request_id = p_request_id then 'applied'
    when exists (
      select from videos.submissions as s where s.provider = p_provider and s.request_id = p_request_id
    ) then 'ignored'
    when v_submission.state in ('sending', 'unknown') then 'asked'
    else 'ignored'
  end;
  insert into videos.provider_events (
    provider, event_id, submission_id, owner_id, request_id, state, effect, received_at
  )
  values (
    p_provider, p_event_id, p_submission_id, v_job.user_id, p_request_id, v_state, v_effect, core.now()
  )
  on conflict do nothing;
  if not found then
    return guard.answer(jsonb_build_object('job_id', v_job.id, 'effect', 'replayed', 'tasks', '[]'::jsonb));
  end if;

  if v_effect = 'applied' then
    perform videos.apply_state(v_job, v_submission, v_state);
  elsif v_effect = 'asked' and v_job.completed_at is null then
    perform videos.add_task('poll', v_job, core.now(), jsonb_build_object('request_id', p_request_id));
  elsif v_effect = 'asked' and p_state ->> 'state' = 'succeeded' then
    -- Nothing but the operator's knowledge depends on it, so nobody is asked.
    update videos.jobs as j
    set late_success_at = core.now()
    where j.id = v_job.id and j.status <> 'completed' and j.late_success_at is null;
  end if;
  return guard.answer(jsonb_build_object(
    'job_id', v_job.id, 'effect', v_effect,
    'tasks', case when v_effect = 'ignored' or p_without is null then '[]' else queue.hand_out(10, v_job.id, p_without) end
  ));
end;
$$;
grant execute on function api.provider_webhook to service_role;

-- supabase/schemas/api/submit-tasks.sql

create function api.claim_submission(
  p_job_id uuid, p_providers text[], p_moderates boolean default false, p_verdict jsonb default null,
  p_has_files boolean default false
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Claims the sending of a job to a provider, one of p_providers: those that this deployment has keys for. It
-- commits before the request leaves, and from then on nobody sends the job again unless record_submission learns
-- that the provider does not have it. `data`: `{ claimed: true, submission_id, owner_reference, provider,
-- provider_model, prompt, settings, fields }`, `fields` being those of the provider's for what the model takes beside prompt
-- and size, or `{ claimed: false }` when there is nothing to send: the job is not pending or is overdue, or no provider is to
-- be had now and the task waits. With p_moderates nothing is claimed before the moderation service let the prompt pass: `{
-- claimed: false, prompt }` asks the caller to ask it, within the task's lease, and to come back with p_verdict, as the port
-- names it. `passed` is remembered, and goes on as if it had been known; see videos.refuse_claim for the others. A job that is
-- made from files is not claimed without p_has_files: `{ claimed: false, image_path, image_seconds, prompt? }` asks the caller
-- to sign a URL of the cleaned copy for so long, and to have it judged with the prompt; `{ claimed: false, image_url,
-- image_folder, image_upload_id, prompt? }` to fetch the picture into the folder before, and to tell api.record_image; `{
-- source_path, picture_paths, files_seconds }` (videos.files_for) beside them to sign these as well, and to have the pictures
-- judged. A claim whose lease ran out had a worker that died: its submission is
-- `unknown`, for its webhook or its deadline to decide. Locks: job → providers, by name → task; without a pass those of
-- videos.refuse_claim.
declare
  v_job videos.jobs;
  v_now timestamptz;
  v_choice videos.model_providers;
  v_model videos.models;
  v_cost numeric;
  v_counted_on date;
  v_submission_id uuid;
  v_attempts integer;
  v_files jsonb;
  v_has_image boolean;
  v_said text;
begin
  if p_verdict ->> 'verdict' <> 'passed' then
    perform videos.refuse_claim(p_job_id, p_verdict);
    return guard.answer('{"claimed": false}');
  end if;
  select j.* into v_job from videos.jobs as j where j.id = p_job_id for update;
  v_now := core.now();

  if v_job.status is distinct from 'pending' then
    update videos.submissions as s
    set state = 'unknown', cause = 'the worker did not come back'
    where s.job_id = p_job_id and s.state = 'sending' and s.claimed_at <= v_now - queue.timeout('submit');
    if found or v_job.completed_at is not null then
      perform queue.drop(p_job_id, '{submit}');
    end if;
    return guard.answer('{"claimed": false}');
  end if;
  -- Its bound is over: the cancel task ends it, and a provider that takes it now would work for nobody.
  if v_job.due_at <= v_now then
    return guard.answer('{"claimed": false}');
  end if;

  v_files := videos.files_for(v_job, v_now);
  -- The operator removed what it is to be made from: its bound ends it, where that did not.
  if v_job.source_job_id is not null and not v_files ? 'source_path' then
    return guard.answer('{"claimed": false}');
  end if;
  v_said := v_job.prompt;
  if videos.inputs_in(v_job.settings) <> '{}' then
    v_said := videos.said(m.inputs, v_job.prompt, v_job.settings) from videos.models as m where m.id = v_job.model_id;
  end if;
  v_has_image := num_nonnulls(v_job.image_url, v_job.image_upload_id) > 0;
  if (v_has_image or v_files is not null) and not p_has_files then
    perform queue.lease('submit', p_job_id);
    return guard.answer(jsonb_strip_nulls(
      coalesce(v_files, '{}') || case when v_has_image then videos.ask_for_image(v_job, v_now) else '{}' end || jsonb_build_object(
        'claimed', false, 'prompt', case when p_moderates and v_job.moderated_at is null then v_said end
      )
    ));
  end if;
  if p_verdict is not null then
    v_job.moderated_at := coalesce(v_job.moderated_at, v_now);
  elsif p_moderates and v_job.moderated_at is null then
    perform queue.lease('submit', p_job_id);
    return guard.answer(jsonb_build_object('claimed', false, 'prompt', v_said));
  end if;

  select count(*) into v_attempts from videos.submissions as s where s.job_id = p_job_id;
  select m.* into strict v_model from videos.models as m where m.id = v_job.model_id;
  -- In one order for all, since each job prefers them in its own.
  perform from videos.providers as v
  where v.name in (select c.provider from videos.candidates(v_job, p_providers) as c)
  order by v.name
  for update;
  -- The one that turned this job away least often; of several one that has been away for an hour, since a provider that is not
  -- preferred would never be tried again; then the preferred one. The first of them that may be given a job now.
  for v_choice in
    select p.*
    from videos.candidates(v_job, p_providers) as p
    join videos.providers as v on v.name = p.provider
    order by (
      select count(*) from videos.submissions as s where s.job_id = p_job_id and s.provider = p.provider
    ), v.breaker <> 'closed' and v.opened_at <= v_now - interval '1 hour' desc, p.preference
  loop
    v_cost := videos.cost_cents(v_choice, v_model, v_job.settings);
    v_counted_on := videos.admit_submission(v_choice.provider, v_cost);
    exit when v_counted_on is not null;
    v_choice := null;
  end loop;
  if v_choice.provider is null then
    update videos.jobs as j
    set moderated_at = v_job.moderated_at
    where j.id = p_job_id and j.moderated_at is distinct from v_job.moderated_at;
    perform queue.postpone(
      'submit', p_job_id, 'no provider is to be had now', videos.busy_seconds(v_job, p_providers), v_attempts + 1
    );
    return guard.answer('{"claimed": false}');
  end if;

  insert into videos.submissions (job_id, owner_id, provider, provider_model, cost_cents, claimed_at, counted_on)
  values (p_job_id, v_job.user_id, v_choice.provider, v_choice.provider_model, v_cost, v_now, v_counted_on)
  returning id into v_submission_id;
  update videos.jobs as j
  set status = 'processing', moderated_at = v_job.moderated_at,
      flag = (
        select t.reason from videos.moderation_terms as t
        where t.id = videos.find_moderation_term(v_said, 'flag')
      )
  where j.id = p_job_id;
  -- The lease covers the request; when it runs out, the next claim finds out about this one.
  perform queue.lease('submit', p_job_id);

  return guard.answer(jsonb_build_object(
    'claimed', true, 'submission_id', v_submission_id,
    'owner_reference', (select u.reference from accounts.users as u where u.id = v_job.user_id),
    'provider', v_choice.provider,
    'provider_model', v_choice.provider_model, 'prompt', v_job.prompt, 'settings', v_job.settings,
    'fields', case when videos.inputs_in(v_job.settings) = '{}' then '{}' else videos.provider_fields(v_choice, v_job.settings) end
  ));
end;
$$;
grant execute on function api.claim_submission to service_role;

create function api.record_image(p_job_id uuid, p_upload_id uuid, p_outcome jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What became of fetching a job's picture, as api.claim_submission asked for it. `kept`, with the copy's path, content_type,
-- bytes, width and height: the upload is ready, `data` is `{ image_path, image_seconds }`, and the task is leased anew; of several
-- copies the first counts. `unusable`, with its reason: the job ends with upload/not-usable. `unavailable`, with its cause: the
-- task waits by its backoff, and when the patience is over the picture is `missing`. `data` is `{}` for both, and for a job that
-- has gone on or ended. Locks: account → job → lots → upload → tasks.
declare
  v_job videos.jobs;
  v_upload videos.uploads;
  v_outcome constant text := p_outcome ->> 'outcome';
  v_now timestamptz;
begin
  v_job := videos.lock_job(p_job_id);
  v_now := core.now();
  if v_job.status is distinct from 'pending' then
    return guard.answer('{}');
  end if;
  if v_outcome = 'kept' then
    update videos.uploads as u
    set status = 'ready', path = p_outcome ->> 'path', content_type = p_outcome ->> 'content_type',
        bytes = (p_outcome ->> 'bytes')::bigint, width = (p_outcome ->> 'width')::integer,
        height = (p_outcome ->> 'height')::integer
    where u.id = p_upload_id and u.job_id = p_job_id and u.status = 'pending';
  end if;
  select u.* into strict v_upload from videos.uploads as u where u.id = p_upload_id and u.job_id = p_job_id;
  if v_upload.status = 'ready' then
    perform queue.lease('submit', p_job_id);
    return guard.answer(videos.image_to_do(v_job, v_upload, v_now));
  elsif v_outcome = 'unavailable' and v_now < v_upload.created_at + videos.image_patience() then
    perform queue.postpone('submit', p_job_id, p_outcome ->> 'cause', null);
  else
    perform videos.settle_locked_job(
      v_job, 'failed', core.error_code('upload/not-usable'),
      jsonb_build_object('reason', coalesce(p_outcome ->> 'reason', 'missing'))
    );
  end if;
  return guard.answer('{}');
end;
$$;
grant execute on function api.record_image to service_role;

create function api.record_submission(
  p_submission_id uuid, p_outcome jsonb, p_poll_seconds numeric, p_providers text[] default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Records what became of a submission, as the provider port names it: `accepted`, `refused`, `not_accepted` or
-- `unknown`. p_poll_seconds: when to ask the provider for the first time, should no webhook come. Refused, the job goes
-- on to the next of p_providers that might take it; one whose policy is against the prompt has spoken for all. `data`:
-- `{ status, has_others }`, the job's, and whether it may be claimed at once for another provider. A second call, or
-- one after the job's end, changes nothing but what is known. Locks: account → job → submission → provider → tasks →
-- alert.
declare
  v_job videos.jobs;
  v_submission videos.submissions;
  v_outcome constant text := p_outcome ->> 'outcome';
  v_has_others boolean := false;
  v_now timestamptz;
begin
  select s.* into strict v_submission from videos.submissions as s where s.id = p_submission_id;
  v_job := videos.lock_job(v_submission.job_id);
  select s.* into v_submission from videos.submissions as s where s.id = p_submission_id for update;
  v_now := core.now();
  -- `unknown` too: the answer may come after the claim was given up, or an event may have been adopted before.
  if v_submission.state not in ('sending', 'unknown') then
    return guard.answer(jsonb_build_object('status', v_job.status, 'has_others', false));
  end if;

  update videos.submissions as s
  set state = v_outcome::videos.submission_state,
      request_id = p_outcome ->> 'request_id',
      provider_references = p_outcome -> 'references',
      accepted_at = case when v_outcome = 'accepted' then v_now end,
      cause = coalesce(p_outcome ->> 'cause', p_outcome #>> '{failure,cause}')
  where s.id = p_submission_id;
  perform videos.note_submission(v_submission, p_outcome);

  if v_job.completed_at is null then
    if v_outcome = 'accepted' then
      perform queue.drop(v_job.id, '{submit}');
      perform videos.add_task(
        'poll', v_job, v_now + make_interval(secs => p_poll_seconds::double precision)
      );
      -- There is now somebody to ask.
      if v_job.cancel_requested_at is not null then
        perform videos.add_task('cancel', v_job, v_now);
      end if;
      -- A provider that does not tell when it starts is taken to start now.
      if not coalesce((p_outcome ->> 'reports_start')::boolean, false) then
        update videos.jobs as j
        set started_at = v_now, due_at = v_now + m.finish_within
        from videos.models as m
        where j.id = v_job.id and m.id = j.model_id;
      end if;
    elsif v_outcome = 'unknown' then
      perform queue.drop(v_job.id, '{submit}');
    elsif v_outcome = 'refused' and (
      p_outcome #>> '{failure,code}' = core.error_code('prompt/refused')
      or not exists (select from videos.candidates(v_job, p_providers))
    ) then
      perform videos.settle_video_job(
        v_job.id, 'failed', p_outcome #>> '{failure,code}', coalesce(p_outcome #> '{failure,details}', '{}')
      );
    elsif v_job.cancel_requested_at is not null then
      perform videos.settle_video_job(v_job.id, 'cancelled');
    else
      update videos.jobs as j set status = 'pending' where j.id = v_job.id;
      -- Its task is gone where the claim was given up before this proof came.
      perform videos.add_task('submit', v_job, v_now);
      perform queue.postpone(
        'submit', v_job.id, coalesce(p_outcome ->> 'cause', p_outcome #>> '{failure,cause}'),
        videos.busy_seconds(v_job, p_providers),
        (select count(*)::integer from videos.submissions as s where s.job_id = v_job.id)
      );
      v_has_others := exists (
        select from videos.candidates(v_job, p_providers) as c where c.provider <> v_submission.provider
      );
    end if;
  end if;
  perform videos.alert_about(v_submission, p_outcome);
  return guard.answer((
    select jsonb_build_object('status', j.status, 'has_others', v_has_others) from videos.jobs as j where j.id = v_job.id
  ));
end;
$$;
grant execute on function api.record_submission to service_role;

-- supabase/schemas/api/user-profile.sql

create function api.delete_user_profile(
  p_user_id uuid, p_session_id uuid default null, p_apple_authorization_code text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Closes the caller's account, as accounts.close does, also where they are suspended; with a code, Apple is told that the
-- person has left. `data`: `{ user_id, closed_at, subscription }`, the last one where Apple goes on with it: nobody but its
-- buyer can end it. A second call, also one at the same time, is auth/unauthenticated. Counts against `writes`. Locks:
-- rate-limit row → account → user → jobs → lots → sessions → task.
declare
  v_caller record;
  v_closed_at timestamptz;
  v_subscription jsonb;
begin
  v_caller := guard.enter(
    p_user_id, 'user-profile', '{writes}', null, p_locks => true, p_suspended => true, p_session_id => p_session_id
  );
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_closed_at := accounts.close(p_user_id);
  if p_apple_authorization_code is not null then
    perform accounts.revoke_apple_sign_in(p_user_id, p_apple_authorization_code);
  end if;
  v_subscription := purchases.subscription_of(p_user_id);
  return guard.answer(
    jsonb_build_object(
      'user_id', p_user_id, 'closed_at', core.to_iso(v_closed_at),
      -- The best of them comes first: where that one has ended, all have.
      'subscription', case when v_subscription ->> 'status' not in ('expired', 'revoked') then v_subscription end
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.delete_user_profile to service_role;

create function api.get_user_profile(p_user_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The caller's profile, made at the first call: `data` is `{ user_id, display_name, language, theme_preference,
-- credits_remaining, app_account_token, shares_consumption, accepted_processors, notification_preferences, created_at, subscription,
-- export }`.
-- Counts against `reads`.
-- Locks: rate-limit row → account → expired lots.
declare
  v_caller record;
  v_user accounts.users;
begin
  v_caller := guard.enter(p_user_id, 'user-profile', '{reads}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select u.* into strict v_user from accounts.users as u where u.id = p_user_id;
  return guard.answer(
    accounts.profile_json(v_user, v_caller.balance)
      || jsonb_build_object(
        'subscription', purchases.subscription_of(p_user_id), 'export', accounts.export_json(p_user_id)
      ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_user_profile to service_role;

create function api.patch_user_profile(p_user_id uuid, p_changes jsonb, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes what `p_changes` names of `display_name` (null takes it away), `language`, `theme_preference`,
-- `shares_consumption`, `accepted_processors`, all of which it names, and `notification_preferences`, of which it names what
-- changes, and answers as api.get_user_profile. A second call changes nothing more. Counts against `writes`.
-- Locks: rate-limit row → account → expired lots → user.
declare
  v_caller record;
  v_user accounts.users;
begin
  v_caller := guard.enter(p_user_id, 'user-profile', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  update accounts.users as u
  set display_name = case when p_changes ? 'display_name' then p_changes ->> 'display_name' else u.display_name end,
      language = coalesce(p_changes ->> 'language', u.language),
      theme_preference = coalesce(p_changes ->> 'theme_preference', u.theme_preference),
      shares_consumption = coalesce((p_changes ->> 'shares_consumption')::boolean, u.shares_consumption),
      accepted_processors = case jsonb_typeof(p_changes -> 'accepted_processors')
        when 'array' then array(select jsonb_array_elements_text(p_changes -> 'accepted_processors') order by 1)
        else u.accepted_processors
      end,
      notification_preferences = notify.with_changes(u.notification_preferences, p_changes -> 'notification_preferences')
  -- Asked with the row locked, too: what is erased from a closed account stays erased, by whatever hand it was closed.
  where u.id = p_user_id and u.closed_at is null
  returning u.* into v_user;
  if not found then
    return guard.refusal('auth/unauthenticated', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(
    accounts.profile_json(v_user, v_caller.balance)
      || jsonb_build_object(
        'subscription', purchases.subscription_of(p_user_id), 'export', accounts.export_json(p_user_id)
      ),
    v_caller.limits, v_user.language
  );
end;
$$;
grant execute on function api.patch_user_profile to service_role;

-- supabase/schemas/api/video-jobs.sql

create function api.video_jobs(
  p_user_id uuid, p_limit integer, p_status text default null, p_after jsonb default null,
  p_client_reference text default null, p_session_id uuid default null, p_project_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
-- A plan for this page's length is no better, and costs twice as much as reading the page.
set plan_cache_mode = force_generic_plan
as $$
-- A page of the caller's jobs, or of those with one status, reference or project, without the deleted ones: `data` is
-- `{ videos, next }`, videos being `{ job, paths }` as in api.video_status. resource/not-found for a project that is not
-- there or is another's. Counts against `reads`, and each URL that is to
-- be renewed against `signed_urls`. Locks: rate-limit rows.
declare
  v_caller record;
  v_statuses constant videos.job_status[] := case
    when p_status is null then enum_range(null::videos.job_status) else array[p_status::videos.job_status]
  end;
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_videos jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'video-jobs', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if p_project_id is not null and not videos.has_project(p_user_id, p_project_id) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;

  select coalesce(jsonb_agg(p.video order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(p.position order by p.place) -> p_limit - 1 end
  into v_videos, v_next
  from (
    select row_number() over (order by (f.job).created_at desc, (f.job).id desc) as place,
      jsonb_build_object('created_at', (f.job).created_at, 'id', (f.job).id) as position,
      jsonb_build_object('job', videos.job_json(f.job), 'paths', (
        select coalesce(jsonb_object_agg(a.kind, a.path), '{}') from videos.assets as a
        where a.job_id = (f.job).id and (f.job).removed_at is null
      )) as video
    from unnest(v_statuses) as s (status)
    -- A page of each status, from its own part of the index, so that a page costs the same in any history. One more
    -- than the page tells whether there is another.
    cross join lateral (
      select c.job
      from (
        (
          select j as job
          from videos.jobs as j
          where p_client_reference is null and p_project_id is null
            and j.user_id = p_user_id and j.status = s.status and j.deleted_at is null
            and (j.created_at, j.id) < (v_before, v_before_id)
          order by j.created_at desc, j.id desc
          limit p_limit + 1
        )
        union all
        -- Apart, by an index of its own: a reference has few jobs, and a history many. Without one it finds none.
        (
          select j as job
          from videos.jobs as j
          where j.client_reference = p_client_reference and (p_project_id is null or j.project_id = p_project_id)
            and j.user_id = p_user_id and j.status = s.status and j.deleted_at is null
            and (j.created_at, j.id) < (v_before, v_before_id)
          order by j.created_at desc, j.id desc
          limit p_limit + 1
        )
        union all
        -- And of a project, whose part of another index pages it as fast as the whole.
        (
          select j as job
          from videos.jobs as j
          where p_client_reference is null
            and j.project_id = p_project_id and j.user_id = p_user_id and j.status = s.status and j.deleted_at is null
            and (j.created_at, j.id) < (v_before, v_before_id)
          order by j.created_at desc, j.id desc
          limit p_limit + 1
        )
      ) as c
    ) as f
    order by place
    limit p_limit + 1
  ) as p;
  return guard.answer(
    jsonb_build_object('videos', videos.admit_renewals(p_user_id, v_videos), 'next', v_next), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.video_jobs to service_role;

-- supabase/schemas/api/video-status.sql

create function api.video_status(p_user_id uuid, p_job_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- One job of the caller's: `data` is `{ job, progress, next_poll_seconds, paths }`, where `paths` names the files
-- in storage, for signing. resource/not-found for a job that is not there, is deleted or is another's. Counts against
-- `reads`, and a URL that is to be renewed against `signed_urls`. Locks: rate-limit rows.
declare
  v_caller record;
  v_job videos.jobs;
  v_shown jsonb;
begin
  v_caller := guard.enter(p_user_id, 'video-status', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select j.* into v_job
  from videos.jobs as j
  where j.id = p_job_id and j.user_id = p_user_id and j.deleted_at is null;
  if not found then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;

  v_shown := jsonb_build_object(
    'job', videos.job_json(v_job),
    'progress', jsonb_build_object(
      'stage', videos.job_stage(v_job),
      'percent', case when v_job.status = 'completed' then 100 else v_job.percent end
    ),
    'next_poll_seconds', videos.poll_seconds(v_job, v_caller.limits, core.now()),
    'paths', '{}'::jsonb
  );
  -- Most that are asked about are still being made, and have no files; those of a removed one are shown to nobody.
  if v_job.status = 'completed' and v_job.removed_at is null then
    v_shown := videos.admit_renewals(p_user_id, jsonb_build_array(v_shown || jsonb_build_object('paths', (
      select coalesce(jsonb_object_agg(a.kind, a.path), '{}') from videos.assets as a where a.job_id = v_job.id
    )))) -> 0;
  end if;
  return guard.answer(v_shown, v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.video_status to service_role;

create function api.keep_signed_urls(p_urls jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Keeps freshly signed URLs for the next reader: `p_urls` is a list of `{ job_id, video_url, thumbnail_url,
-- video_url_expires_at }`. `data`: `{ kept }`, how many. Jobs that have others with a later expiry are passed over, and
-- those that are locked: nothing waits for this, and it waits for nothing. Locks: jobs.
declare
  v_kept integer;
begin
  update videos.jobs as j
  set video_url = n.video_url, thumbnail_url = n.thumbnail_url, video_url_expires_at = n.video_url_expires_at
  from (
    select u.*
    from jsonb_to_recordset(p_urls) as u (
      job_id uuid, video_url text, thumbnail_url text, video_url_expires_at timestamptz
    )
    join videos.jobs as v on v.id = u.job_id
    where v.status = 'completed' and v.deleted_at is null and v.removed_at is null
      -- One that was removed and is shown again has none.
      and coalesce(v.video_url_expires_at, '-infinity') < u.video_url_expires_at
    for update of v skip locked
  ) as n
  where j.id = n.job_id;
  get diagnostics v_kept = row_count;
  return guard.answer(jsonb_build_object('kept', v_kept));
end;
$$;
grant execute on function api.keep_signed_urls to service_role;

-- supabase/schemas/api/video-tasks.sql

create function api.record_poll(
  p_task_id bigint, p_attempt integer, p_submission_id uuid, p_request_id text, p_state jsonb,
  p_interval_seconds numeric
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Records the provider's answer to a poll. An id that an event named becomes the submission's own here, unless the
-- provider does not know it, or it is another submission's. While the job runs, the task comes back by its backoff, at
-- least p_interval_seconds later. `data`: `{ status }`. An attempt that lost its lease only adds what it learned.
-- Locks: account → job → submission → task → alert.
declare
  v_submission videos.submissions;
  v_job videos.jobs;
  v_now timestamptz;
  v_state constant text := p_state ->> 'state';
begin
  select s.* into strict v_submission from videos.submissions as s where s.id = p_submission_id;
  v_job := videos.lock_job(v_submission.job_id);
  select s.* into strict v_submission from videos.submissions as s where s.id = p_submission_id for update;
  v_now := core.now();

  if v_submission.request_id is null and v_submission.state in ('sending', 'unknown')
    and v_state not in ('not_found', 'unreachable')
  then
    begin
      update videos.submissions as s
      set state = 'accepted', request_id = p_request_id, accepted_at = v_now
      where s.id = p_submission_id
      returning s.* into v_submission;
      perform queue.drop(v_job.id, '{submit}');
      -- There is now somebody to ask.
      if v_job.cancel_requested_at is not null and v_job.completed_at is null then
        perform videos.add_task('cancel', v_job, v_now);
      end if;
    exception
      -- It is another submission's.
      when unique_violation then null;
    end;
  end if;
  if v_submission.request_id = p_request_id then
    perform videos.apply_state(v_job, v_submission, p_state);
  end if;

  -- Still there: the job goes on. An id that is another submission's is not asked for again; one that the provider does
  -- not know yet is.
  if v_submission.request_id is null and v_state not in ('unreachable', 'not_found') then
    perform queue.finish(p_task_id, p_attempt);
  else
    perform queue.retry(p_task_id, p_attempt, p_state ->> 'cause', p_interval_seconds);
  end if;
  perform videos.alert_about(v_submission, p_state);
  return guard.answer((select jsonb_build_object('status', j.status) from videos.jobs as j where j.id = v_job.id));
end;
$$;
grant execute on function api.record_poll to service_role;

create function api.record_cancel(p_task_id bigint, p_attempt integer, p_job_id uuid, p_outcome jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Records the answer to a cancellation, as the provider port names it, or `{ outcome: "no_request_id" }` where no
-- provider could be asked. Past its deadline the job ends whatever the answer: with provider/timed-out where a provider
-- has or may have it, else provider/unavailable; and so does one whose account was closed, unless its request is still
-- on its way, and its provider to be asked when it has the id. Before, only the provider's word cancels; `requested` is
-- not that word yet. Where the provider does not serve us until the operator has mended it, a job that it has gets 10
-- minutes more, for a day: what it makes is to be paid, and the user may still get it. What it cancelled without a bill
-- is given back to the day's spending. `data`: `{ status }`. Locks: account → job → submission → provider → its
-- spending → lots → task → alert.
declare
  v_job videos.jobs;
  v_submission videos.submissions;
  v_outcome constant text := p_outcome ->> 'outcome';
  v_now timestamptz;
begin
  v_job := videos.lock_job(p_job_id);
  v_now := core.now();
  select s.* into v_submission from videos.submissions as s where s.job_id = p_job_id and s.state = 'accepted';
  if v_outcome = 'cancelled' and (p_outcome ->> 'is_unbilled')::boolean then
    perform videos.note_unbilled(v_job, s.id)
    from videos.submissions as s
    where s.job_id = p_job_id and s.state in ('accepted', 'ended');
  end if;
  if v_job.due_at <= v_now and (p_outcome ->> 'needs_operator')::boolean and v_submission.id is not null
    and v_job.created_at > v_now - interval '1 day' and not videos.is_abandoned(v_job)
  then
    update videos.jobs as j set due_at = v_now + interval '10 minutes' where j.id = p_job_id;
    perform queue.finish(p_task_id, p_attempt);
  elsif v_job.completed_at is null and (
    v_job.due_at <= v_now
    or videos.is_abandoned(v_job) and coalesce(videos.sending_until(p_job_id) <= v_now, true)
  ) then
    perform videos.settle_overdue_job(v_job);
  elsif v_job.completed_at is null and v_job.storing_at is null and v_outcome = 'cancelled' then
    perform videos.settle_video_job(p_job_id, 'cancelled');
  elsif v_outcome in ('requested', 'too_late', 'not_found') then
    perform queue.finish(p_task_id, p_attempt);
    -- Its next poll brings the word.
    perform queue.hasten('poll', p_job_id);
  else
    perform queue.retry(p_task_id, p_attempt, coalesce(p_outcome ->> 'cause', v_outcome));
  end if;
  perform videos.alert_about(v_submission, p_outcome);
  return guard.answer((select jsonb_build_object('status', j.status) from videos.jobs as j where j.id = p_job_id));
end;
$$;
grant execute on function api.record_cancel to service_role;

create function api.record_stored(
  p_task_id bigint, p_attempt integer, p_job_id uuid, p_assets jsonb, p_urls jsonb
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The files are in storage: writes their assets, captures the hold and completes the job, at once; or, where the video has
-- the size and the length of one that was removed, makes the `fingerprint` task that decides. p_assets is a list of `{ kind,
-- path, bytes, content_type, duration_milliseconds, width, height, codec, frames }`; p_urls is `{ video_url, thumbnail_url,
-- video_url_expires_at }`, the first signed URLs. A video that is not what was ordered (videos.judge) is an unusable result
-- instead, and an alert. `data`: `{ status }`. A second call, or one after the job's end, changes no job; where that ended
-- without its video, the files are removed. Locks: account → job → lots → task → alert.
declare
  v_job videos.jobs;
  v_judged record;
begin
  v_job := videos.lock_job(p_job_id);
  if v_job.completed_at is null then
    select j.differences, j.quality into v_judged
    from jsonb_to_recordset(p_assets) as a (
      kind videos.asset_kind, duration_milliseconds integer, width integer, height integer, codec text, frames integer
    )
    join videos.models as m on m.id = v_job.model_id
    cross join lateral videos.judge(
      v_job.settings, m.unpromised, a.duration_milliseconds, a.width, a.height, a.codec, a.frames
    ) as j
    where a.kind = 'video';
    if v_judged.differences is not null then
      v_job := videos.refuse_result(v_job, p_task_id, p_attempt, format('not what was ordered: %s', v_judged.differences));
      if v_job.status = 'failed' then
        perform ops.raise_alert('wrong_video', s.provider || ' ' || s.provider_model, jsonb_build_object(
          'job_id', p_job_id, 'ordered', v_job.settings, 'delivered', v_judged.differences
        ))
        from videos.submissions as s where s.job_id = p_job_id and s.state = 'ended';
      end if;
      return guard.answer(jsonb_build_object('status', v_job.status));
    end if;
    if exists (
      select from jsonb_to_recordset(p_assets) as a (kind text, bytes bigint, duration_milliseconds integer)
      where a.kind = 'video' and safety.may_be_removed(a.bytes, a.duration_milliseconds)
    ) then
      perform videos.add_task('fingerprint', v_job, core.now(), jsonb_build_object(
        'assets', p_assets, 'urls', p_urls, 'quality', v_judged.quality
      ));
    else
      perform videos.complete_stored(v_job, p_assets, p_urls, v_judged.quality);
    end if;
  elsif v_job.status <> 'completed' then
    perform videos.add_task('delete_files', v_job, core.now());
  end if;
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer((select jsonb_build_object('status', j.status) from videos.jobs as j where j.id = p_job_id));
end;
$$;
grant execute on function api.record_stored to service_role;

create function api.record_unusable_result(p_task_id bigint, p_attempt integer, p_job_id uuid, p_cause text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The provider's result is not a video that we could keep: see videos.refuse_result. `data`: `{ status }`. Locks: account →
-- job → task.
begin
  return guard.answer(jsonb_build_object(
    'status', (videos.refuse_result(videos.lock_job(p_job_id), p_task_id, p_attempt, p_cause)).status
  ));
end;
$$;
grant execute on function api.record_unusable_result to service_role;

create function api.record_fingerprint(p_task_id bigint, p_attempt integer, p_job_id uuid, p_sha256 text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The SHA-256 of a video in storage, in hex; null where there is no file. What it means, videos.apply_fingerprint says; a
-- video that is to be completed and is not there is looked for again, and when no try is left its credits go back. `data`:
-- `{ status }`. An attempt that lost its lease changes nothing, and so does a second call. Locks: account → job → lots → task.
declare
  v_job videos.jobs;
  v_payload jsonb;
begin
  v_job := videos.lock_job(p_job_id);
  select t.payload into v_payload
  from queue.tasks as t
  where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null;
  if found and p_sha256 is null and v_job.completed_at is null then
    perform queue.retry(p_task_id, p_attempt, 'the video is not in storage');
  elsif found then
    perform videos.apply_fingerprint(v_job, v_payload, p_sha256);
    perform queue.finish(p_task_id, p_attempt);
  end if;
  return guard.answer((select jsonb_build_object('status', j.status) from videos.jobs as j where j.id = p_job_id));
end;
$$;
grant execute on function api.record_fingerprint to service_role;

create function api.record_files_deleted(p_task_id bigint, p_attempt integer, p_job_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The files of a deleted or removed job are gone from storage. `data`: `{ deleted }`, how many. A second call finds none. Under a
-- legal hold none are, and the task comes back: what is lifted hastens it.
declare
  v_deleted integer;
begin
  if (select safety.is_held(j.user_id) from videos.jobs as j where j.id = p_job_id) then
    perform queue.repeat(p_task_id, p_attempt, core.now() + interval '1 day', p_error => 'under a legal hold');
    return guard.answer('{"deleted": 0}');
  end if;
  update videos.assets as a
  set deleted_at = core.now()
  from videos.jobs as j
  where a.job_id = p_job_id and j.id = a.job_id and (j.deleted_at is not null or j.removed_at is not null)
    and a.deleted_at is null;
  get diagnostics v_deleted = row_count;
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer(jsonb_build_object('deleted', v_deleted));
end;
$$;
grant execute on function api.record_files_deleted to service_role;

create function api.record_provider_accounts(p_task_id bigint, p_attempt integer, p_accounts jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Notes what providers say of our account, and ends the task: p_accounts is `[{ provider, balance_cents, is_locked, day,
-- billed_cents }]`. `data`: `{ finished }`, false for an attempt that has lost its task, which notes nothing. Locks: task →
-- accounts, in the order of their names.
declare
  v_account record;
begin
  if not queue.finish(p_task_id, p_attempt) then
    return guard.answer('{"finished": false}');
  end if;
  for v_account in
    select a.*
    from jsonb_to_recordset(p_accounts) as a (
      provider text, balance_cents numeric, is_locked boolean, day date, billed_cents numeric
    )
    join videos.providers as v on v.name = a.provider
    order by a.provider
  loop
    perform videos.note_provider_account(
      v_account.provider, v_account.balance_cents, v_account.is_locked, v_account.day, v_account.billed_cents
    );
  end loop;
  return guard.answer('{"finished": true}');
end;
$$;
grant execute on function api.record_provider_accounts to service_role;

-- supabase/schemas/api/record-error.sql

create function api.record_error(
  p_code text, p_endpoint text, p_user_id uuid, p_request_id text, p_context jsonb, p_count integer default 1
)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
-- Called after an answer that was an error of ours or a provider's; see ops.record_error.
select ops.record_error(p_code, p_endpoint, p_user_id, p_request_id, p_context, p_count);
$$;
grant execute on function api.record_error to service_role;

-- supabase/schemas/api/record-metrics.sql

create function api.record_metrics(p_rows jsonb)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
-- Called after an answer, with what an isolate has counted since it last told; see ops.record_metrics.
select ops.record_metrics(p_rows);
$$;
grant execute on function api.record_metrics to service_role;

-- supabase/schemas/api/merge-guest.sql

create function api.merge_guest(
  p_user_id uuid, p_guest_id uuid, p_guest_session_id uuid, p_is_fresh boolean, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Makes the guest of a token a part of the caller, as accounts.merge does. The token is proved to be Auth's and alive;
-- p_is_fresh says that it is young enough. `data`: `{ user_id, merged_user_id, credits_moved, jobs_moved,
-- credits_remaining }`; a second call answers the same, whatever became of the token's session since. auth/forbidden for a
-- caller who is a guest. request/malformed where the token is old or its session has ended, and for the caller's own;
-- resource/wrong-state with the status `not_guest`, `merged` (into another), `closed` or `suspended`. Counts against
-- `writes`. Locks: rate-limit row → guest's account → caller's account → the guest's row in Auth, and those of
-- accounts.merge.
declare
  v_caller record;
  v_merge accounts.merges;
  v_guest accounts.users;
  v_account credits.accounts;
  v_refusal jsonb;
  v_is_anonymous boolean;
begin
  v_caller := guard.enter(p_user_id, 'merge-guest', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select m.* into v_merge from accounts.merges as m where m.guest_id = p_guest_id and m.heir_id = p_user_id;
  if found then
    return guard.answer(accounts.merge_json(v_merge), v_caller.limits, v_caller.language);
  end if;
  if (select a.is_anonymous from auth.users as a where a.id = p_user_id) then
    return guard.refusal('auth/forbidden', '{}', v_caller.limits, v_caller.language);
  end if;
  if p_guest_id = p_user_id or not p_is_fresh or not accounts.find(p_guest_id) then
    return accounts.refuse_guest_token(v_caller.limits, v_caller.language);
  end if;

  -- The guest's first: nobody who has an account waits for that of a guest whom it may come to include.
  v_account := credits.lock_account(p_guest_id);
  v_refusal := (accounts.lock(p_user_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  -- Another call may have been first.
  select m.* into v_merge from accounts.merges as m where m.guest_id = p_guest_id and m.heir_id = p_user_id;
  if found then
    return guard.answer(accounts.merge_json(v_merge), v_caller.limits, v_caller.language);
  end if;
  select u.* into strict v_guest from accounts.users as u where u.id = p_guest_id;
  if v_guest.merged_into is null and v_guest.closed_at is null
    and not accounts.is_session(p_guest_id, p_guest_session_id)
  then
    return accounts.refuse_guest_token(v_caller.limits, v_caller.language);
  end if;
  -- Whoever links an identity at this moment is somebody, or comes to nothing: their row is not to be waited for, since
  -- who has it may wait for the account.
  select a.is_anonymous into v_is_anonymous from auth.users as a where a.id = p_guest_id for share nowait;
  if v_guest.merged_into is not null or v_guest.closed_at is not null or v_guest.is_banned or not coalesce(v_is_anonymous, false) then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', case
      when v_guest.merged_into is not null then 'merged'
      when v_guest.closed_at is not null then 'closed'
      when v_guest.is_banned then 'suspended'
      else 'not_guest'
    end), v_caller.limits, v_caller.language);
  end if;
  return guard.answer(accounts.merge_json(accounts.merge(p_guest_id, p_user_id)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.merge_guest to service_role;

-- supabase/schemas/api/sessions.sql

create function api.get_sessions(p_user_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Where the caller is signed in: `data` is `{ sessions: [{ id, created_at, last_used_at, is_current }] }`, the one that was
-- used last first. A session is used when its tokens are refreshed. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := guard.enter(p_user_id, 'sessions', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(
    jsonb_build_object('sessions', accounts.sessions_json(p_user_id, p_session_id)), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_sessions to service_role;

create function api.delete_sessions(p_user_id uuid, p_ended_session_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends one of the caller's sessions, the current one too; or, where none is named, all the others. `data`: `{ ended }`, how
-- many. resource/not-found for one that is not there, as in a second call, or another's. Whatever comes with a token of it
-- is refused from then on. Counts against `writes`. Locks: rate-limit row → sessions.
declare
  v_caller record;
  v_ended integer := 1;
begin
  v_caller := guard.enter(p_user_id, 'sessions', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if p_ended_session_id is null then
    v_ended := accounts.end_sessions(p_user_id, p_session_id);
  elsif not accounts.end_session(p_user_id, p_ended_session_id) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(jsonb_build_object('ended', v_ended), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_sessions to service_role;

-- supabase/schemas/api/products.sql

create function api.products(p_user_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What is sold: `data` is `{ products }`, in the order of the operator. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_data jsonb;
begin
  v_caller := guard.enter(p_user_id, 'products', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select jsonb_build_object(
    'products', coalesce(jsonb_agg(purchases.product_json(p) order by p.position, p.product_id), '[]')
  ) into v_data
  from purchases.products as p
  where p.is_available;
  return guard.answer(v_data, v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.products to service_role;

-- supabase/schemas/api/purchases.sql

create function api.get_purchases(p_user_id uuid, p_limit integer, p_after jsonb default null, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of what the caller bought and was credited for, newest first, with their subscription: `data` is `{ purchases,
-- subscription, next }`. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'purchased_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_purchases jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'purchases', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select coalesce(jsonb_agg(p.purchase order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(p.position order by p.place) -> p_limit - 1 end
  into v_purchases, v_next
  from (
    select row_number() over (order by t.purchased_at desc, t.id desc) as place,
      jsonb_build_object('purchased_at', t.purchased_at, 'id', t.id) as position, purchases.transaction_json(t) as purchase
    from purchases.transactions as t
    where t.owner_id = p_user_id and t.credited_at is not null and (t.purchased_at, t.id) < (v_before, v_before_id)
    order by t.purchased_at desc, t.id desc
    limit p_limit + 1
  ) as p;
  return guard.answer(
    jsonb_build_object(
      'purchases', v_purchases, 'subscription', purchases.subscription_of(p_user_id), 'next', v_next
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_purchases to service_role;

create function api.post_purchases(p_user_id uuid, p_transaction jsonb, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Credits a verified transaction to whose it is, as purchases.settle does. `data`: `{ transaction_id, product_id, status,
-- credits_added, credits_remaining, expires_at }`, where `status` is `credited` for the call that did it, and
-- `already_credited` after that. purchase/not-verified with a `reason` where the caller is not credited,
-- limit/rate-exceeded beyond what the sandbox may have in a day, feature/switched-off while purchases are; it is stored all
-- the same, and credited by itself when what it waits for is there. Counts against `purchases`.
-- Locks: rate-limit row → as purchases.settle.
declare
  v_caller record;
  v_settled record;
  v_transaction purchases.transactions;
  v_refusal jsonb;
  v_reason text;
begin
  v_caller := guard.enter(p_user_id, 'purchases', '{purchases}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select * into v_settled
  from purchases.settle(jsonb_populate_record(null::purchases.transactions, p_transaction), p_user_id);
  v_transaction := v_settled.settled;

  -- It waited for locks, and the account may have been closed meanwhile, or its user suspended.
  v_refusal := (accounts.admit(p_user_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  v_reason := case
    when v_transaction.reason = 'family_shared' then 'family_shared'
    when v_transaction.owner_id is distinct from p_user_id then 'other_account'
    when v_transaction.revoked_share = 100000 then 'revoked'
    when v_transaction.reason is not null then v_transaction.reason::text
  end;
  if v_reason = 'sandbox_limit' then
    v_refusal := coalesce(v_settled.refusal, guard.refusal('database/unavailable'));
  elsif v_reason = 'switched_off' then
    v_refusal := guard.refusal('feature/switched-off', '{"feature": "purchases"}');
  elsif v_reason is not null then
    v_refusal := guard.refusal('purchase/not-verified', jsonb_build_object('reason', v_reason));
  end if;
  if v_refusal is not null then
    return guard.in_language(v_refusal || jsonb_build_object('limits', v_caller.limits), v_caller.language);
  end if;
  return guard.answer(
    jsonb_build_object(
      'transaction_id', v_transaction.transaction_id, 'product_id', v_transaction.product_id,
      'status', case when v_settled.is_new then 'credited' else 'already_credited' end,
      'credits_added', purchases.added_by(v_transaction), 'credits_remaining', (credits.lock_account(p_user_id)).balance,
      'expires_at', core.to_iso(v_transaction.expires_at)
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.post_purchases to service_role;

-- supabase/schemas/api/purchase-tasks.sql

-- What the handlers of the domain `purchases` call, in _shared/purchases/tasks.ts.

create function api.load_consumption(p_transaction_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What an `answer_consumption` task sends, of the latest request for the transaction: `data` is `{ state, transaction_id,
-- environment, body }`. `state`: `due`; `silent` where the user has not agreed, or is nobody; `late` 12 hours after the
-- request was signed; `answered`. Takes no lock; a second call looks again.
declare
  v_transaction purchases.transactions;
  v_request purchases.notifications;
  v_state text;
begin
  select t.* into v_transaction from purchases.transactions as t where t.id = p_transaction_id;
  select n.* into v_request
  from purchases.notifications as n
  where n.environment = v_transaction.environment and n.transaction_id = v_transaction.transaction_id
    and n.type = 'CONSUMPTION_REQUEST'
  order by n.signed_at desc
  limit 1;
  v_state := case
    when v_request.answered_at is not null then 'answered'
    when not exists (
      select from accounts.users as u
      where u.id = v_transaction.owner_id and u.closed_at is null and u.shares_consumption
    ) then 'silent'
    when v_request.signed_at is null or core.now() >= v_request.signed_at + interval '12 hours' then 'late'
    else 'due'
  end;
  return guard.answer(jsonb_build_object(
    'state', v_state, 'transaction_id', v_transaction.transaction_id, 'environment', v_transaction.environment,
    'body', case when v_state = 'due' then purchases.consumption_of(v_transaction) end
  ));
end;
$$;
grant execute on function api.load_consumption to service_role;

create function api.finish_consumption(
  p_task_id bigint, p_attempt integer, p_transaction_id uuid, p_answer jsonb default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends an `answer_consumption` task, with what Apple was told, if it was: that is kept with the requests that it answers.
-- `data`: `{ finished }`, false for an attempt that has lost its task. Locks: task → notifications.
declare
  v_finished boolean;
begin
  v_finished := queue.finish(p_task_id, p_attempt);
  if v_finished and p_answer is not null then
    update purchases.notifications as n
    set answer = p_answer, answered_at = core.now()
    from purchases.transactions as t
    where t.id = p_transaction_id and n.environment = t.environment and n.transaction_id = t.transaction_id
      and n.type = 'CONSUMPTION_REQUEST' and n.answered_at is null;
  end if;
  return guard.answer(jsonb_build_object('finished', v_finished));
end;
$$;
grant execute on function api.finish_consumption to service_role;

create function api.load_notification_history(p_environment text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- From when on Apple's history of an environment is to be read: `data` is `{ read_from, read_until }`. An hour more than
-- is needed, since Apple may write a notification down later than it signed it; of a project that never read it, 29 days.
-- Never from before what Apple still tells, which it would refuse each time. Takes no lock.
declare
  v_now constant timestamptz := core.now();
  -- Apple says 30 days in the sandbox and 180 in production. A request arrives later than its times are chosen, by a clock
  -- that is not Apple's, and in production 170 days have been refused (developer forums, 766328).
  v_earliest constant timestamptz := v_now - case p_environment when 'sandbox' then interval '29 days' else interval '150 days' end;
  v_from timestamptz;
begin
  select h.read_until - interval '1 hour' into v_from
  from purchases.history_reads as h where h.environment = p_environment::purchases.environment;
  return guard.answer(jsonb_build_object(
    'read_from', core.to_iso(greatest(v_earliest, coalesce(v_from, v_now - interval '29 days'))),
    'read_until', core.to_iso(v_now)
  ));
end;
$$;
grant execute on function api.load_notification_history to service_role;

create function api.record_notification_history(
  p_environment text, p_notifications jsonb, p_read_until timestamptz default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Stores a page of Apple's history; what had not come is acted upon at the next tick. p_read_until, with the last page:
-- until when the history is known now. `data`: `{ missing }`, how many had not come. A second call finds none.
-- Locks: notifications → the environment's row.
declare
  v_notification jsonb;
  v_missing integer := 0;
begin
  for v_notification in
    select n.notification from jsonb_array_elements(p_notifications) as n (notification)
    order by n.notification ->> 'notification_id'
  loop
    if purchases.store_notification(v_notification) then
      v_missing := v_missing + 1;
    end if;
  end loop;
  if p_read_until is not null then
    insert into purchases.history_reads as h (environment, read_until)
    values (p_environment::purchases.environment, p_read_until)
    on conflict (environment) do update set read_until = greatest(h.read_until, excluded.read_until);
  end if;
  return guard.answer(jsonb_build_object('missing', v_missing));
end;
$$;
grant execute on function api.record_notification_history to service_role;

create function api.finish_notification_history(p_task_id bigint, p_attempt integer)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- Ends a `read_notification_history` task: `data` is `{ finished }`, false for an attempt that has lost it.
  select guard.answer(jsonb_build_object('finished', queue.finish(p_task_id, p_attempt)))
$$;
grant execute on function api.finish_notification_history to service_role;

-- supabase/schemas/api/account-tasks.sql

-- What the handlers of the domain `accounts` call, in _shared/accounts/tasks.ts, beside erase-account.sql.

create function api.keep_apple_token(p_task_id bigint, p_attempt integer, p_refresh_token text)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- Of a `revoke_apple_sign_in` task: the code is spent, and from now on the task holds what Apple gave for it. `data` is
  -- `{ kept }`, false for an attempt that has lost its task. A second call keeps the same. Locks: task.
  select guard.answer(jsonb_build_object(
    'kept', queue.keep(p_task_id, p_attempt, jsonb_build_object('refresh_token', p_refresh_token))
  ))
$$;
grant execute on function api.keep_apple_token to service_role;

create function api.finish_apple_revocation(
  p_task_id bigint, p_attempt integer, p_user_id uuid, p_failure text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends a `revoke_apple_sign_in` task: Apple has revoked, or never will, which p_failure tells the operator. `data` is
-- `{ finished }`, false for an attempt that has lost its task and failed, which then tells nobody. That Apple has revoked
-- holds whoever has the task by now: the next attempt found the code spent, and what it told the operator is withdrawn. A
-- second call does the same. Locks: task → alert.
declare
  v_finished boolean;
begin
  if p_failure is null then
    perform accounts.note_revoked(p_user_id);
    return guard.answer(jsonb_build_object('finished', true));
  end if;
  v_finished := queue.finish(p_task_id, p_attempt);
  if v_finished then
    perform accounts.note_unrevoked(p_user_id, p_failure);
  end if;
  return guard.answer(jsonb_build_object('finished', v_finished));
end;
$$;
grant execute on function api.finish_apple_revocation to service_role;

create function api.load_export(p_export_id uuid)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- What an `export_account` or a `delete_export` task is about: `data` is `{ user_id, path, tables }`, the tables null where
  -- nothing is to be made, since it is made, or nobody is there for it. `data` is null for one that is not there.
  select guard.answer((
    select jsonb_build_object(
      'user_id', e.user_id, 'path', accounts.export_path(e),
      'tables', case
        when e.made_at is null and e.failed_at is null and not accounts.is_out(u)
          then (select jsonb_agg(t.relation) from accounts.exported_tables() as t (relation))
      end
    )
    from accounts.exports as e join accounts.users as u on u.id = e.user_id
    where e.id = p_export_id
  ))
$$;
grant execute on function api.load_export to service_role;

create function api.load_export_page(p_export_id uuid, p_table text, p_after jsonb default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The next rows for an export, of one of its tables or of `videos`, which is the list of the user's files: `data` is
-- `{ text, next }`, as accounts.export_page says it. Raises no_data_found for an export that is not there, and for a table that has no rows
-- of persons. Takes no lock.
declare
  -- A row is some hundred bytes, and 20 kB at most: pages of 10 MB at the worst.
  v_limit constant integer := 500;
  v_user_id uuid;
begin
  select e.user_id into strict v_user_id from accounts.exports as e where e.id = p_export_id;
  return guard.answer(case
    when p_table = 'videos' then videos.export_page(accounts.with_guests(v_user_id), (p_after ->> 0)::uuid, v_limit)
    else accounts.export_page(v_user_id, p_table, p_after, v_limit)
  end);
end;
$$;
grant execute on function api.load_export_page to service_role;

create function api.finish_export(p_task_id bigint, p_attempt integer, p_export_id uuid, p_bytes bigint default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends an `export_account` task: the file is in storage, and kept for 7 days; without p_bytes there is nobody for it. `data`
-- is `{ finished }`, false for an attempt that has lost its task. Locks: task → export → rate-limit row.
declare
  v_now constant timestamptz := core.now();
  v_finished boolean;
begin
  v_finished := queue.finish(p_task_id, p_attempt);
  if v_finished and p_bytes is not null then
    update accounts.exports as e
    set made_at = v_now, bytes = p_bytes, expires_at = v_now + interval '7 days'
    where e.id = p_export_id and e.made_at is null and e.failed_at is null;
  elsif v_finished then
    perform accounts.fail_export(p_export_id);
  end if;
  return guard.answer(jsonb_build_object('finished', v_finished));
end;
$$;
grant execute on function api.finish_export to service_role;

create function api.finish_export_deletion(p_task_id bigint, p_attempt integer, p_export_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends a `delete_export` task: the file is gone from storage. `data` is `{ finished }`, false for an attempt that has lost
-- its task. Locks: task → export.
declare
  v_finished boolean;
begin
  v_finished := queue.finish(p_task_id, p_attempt);
  if v_finished then
    delete from accounts.exports as e where e.id = p_export_id;
  end if;
  return guard.answer(jsonb_build_object('finished', v_finished));
end;
$$;
grant execute on function api.finish_export_deletion to service_role;

-- supabase/schemas/api/app-store-notifications.sql

create function api.app_store_notifications(p_notification jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Stores a notification that is proved to be Apple's, and does what it means. What cannot be done now is done by the tick:
-- it is stored all the same. `data`: `{ effect: "handled" | "stored" | "replayed" }`. A second call changes nothing.
-- Locks: notification → as purchases.settle.
declare
  v_id constant uuid := p_notification ->> 'notification_id';
begin
  if not purchases.store_notification(p_notification) then
    return guard.answer('{"effect": "replayed"}');
  end if;
  if not ops.is_enabled('purchases') then
    return guard.answer('{"effect": "stored"}');
  end if;
  begin
    perform purchases.handle(v_id);
  exception
    -- The caller tries the whole again.
    when deadlock_detected or serialization_failure then
      raise;
    when others then
      perform ops.record_error(
        core.error_code('internal/error'), 'app-store-notifications', null, null,
        jsonb_build_object('notification_id', v_id, 'error', format('%s: %s', sqlstate, sqlerrm))
      );
      return guard.answer('{"effect": "stored"}');
  end;
  return guard.answer('{"effect": "handled"}');
end;
$$;
grant execute on function api.app_store_notifications to service_role;

-- supabase/schemas/api/apple-identity-notifications.sql

create function api.apple_identity_notifications(p_notification jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Does what a notification that is proved to be Apple's tells of an identity, and keeps that it was told. `p_notification`:
-- `{ notification_id, type, subject, event_at }`. `data`: `{ effect }`, as accounts.heed_identity_notification says it. A second
-- call, also one at the same time, changes nothing, and is `replayed`. Locks: notification → as
-- accounts.heed_identity_notification.
declare
  v_id constant text := p_notification ->> 'notification_id';
  v_heeded record;
begin
  insert into accounts.identity_notifications (notification_id, type, subject, event_at, received_at, effect)
  values (
    v_id, p_notification ->> 'type', p_notification ->> 'subject', (p_notification ->> 'event_at')::timestamptz, core.now(), 'noted'
  )
  on conflict do nothing;
  if not found then
    return guard.answer('{"effect": "replayed"}');
  end if;
  select h.* into v_heeded
  from accounts.heed_identity_notification(
    p_notification ->> 'type', p_notification ->> 'subject', (p_notification ->> 'event_at')::timestamptz
  ) as h;
  update accounts.identity_notifications as n
  set effect = v_heeded.effect, user_id = v_heeded.user_id
  where n.notification_id = v_id;
  return guard.answer(jsonb_build_object('effect', v_heeded.effect));
end;
$$;
grant execute on function api.apple_identity_notifications to service_role;

-- supabase/schemas/api/recover-guest.sql

create function api.recover_guest(
  p_user_id uuid, p_app_transaction jsonb, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Makes the guest who was noted for an Apple Account a part of the caller, who is a guest, too; `{ environment,
-- app_transaction_id }` is verified, and was signed a moment ago. `data` is as in api.merge_guest; a second call answers the
-- same. resource/not-found where nobody was noted, or the caller; resource/wrong-state with the status `not_guest` where
-- either has an identity, `in_use` while the guest's session is in use, which is so for 7 days after its last use,
-- `recovered` within a day of the last time, `closed` or `suspended`. Counts against `writes`. Locks: rate-limit row →
-- both accounts, the older guest's first → the guest's row in Auth, and those of accounts.merge.
declare
  v_caller record;
  v_found devices.app_transactions;
  v_merge accounts.merges;
  v_refusal jsonb;
  v_status text;
begin
  v_caller := guard.enter(p_user_id, 'recover-guest', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_found := devices.find_guest(p_app_transaction);
  if v_found.user_id = p_user_id then
    select m.* into v_merge from accounts.merges as m where m.heir_id = p_user_id order by m.merged_at desc limit 1;
    if found then
      return guard.answer(accounts.merge_json(v_merge), v_caller.limits, v_caller.language);
    end if;
  end if;
  if v_found.user_id is null or v_found.user_id = p_user_id then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;

  -- What was found is asked again: another call may have been first.
  perform accounts.lock_all(array[v_found.user_id, p_user_id]);
  v_refusal := (accounts.lock(p_user_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if (devices.find_guest(p_app_transaction)).user_id is distinct from v_found.user_id then
    return guard.refusal('resource/wrong-state', '{"status": "recovered"}', v_caller.limits, v_caller.language);
  end if;
  v_status := accounts.not_recoverable(v_found.user_id, p_user_id);
  if v_status is null and v_found.recovered_at > core.now() - interval '1 day' then
    v_status := 'recovered';
  end if;
  if v_status is not null then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_status), v_caller.limits, v_caller.language);
  end if;
  perform devices.note_recovery(v_found);
  return guard.answer(
    accounts.merge_json(accounts.merge(v_found.user_id, p_user_id, true)), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.recover_guest to service_role;

-- supabase/schemas/api/uploads.sql

create function api.get_uploads(
  p_user_id uuid, p_limit integer, p_after jsonb default null, p_session_id uuid default null,
  p_project_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the caller's uploads, or of those of one project, newest first, those that were begun and are not over among them:
-- `data` is `{ uploads, next }`. resource/not-found for a project that is not there or is another's. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_now constant timestamptz := core.now();
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_uploads jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'uploads', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if p_project_id is not null and not videos.has_project(p_user_id, p_project_id) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;

  select coalesce(jsonb_agg(videos.upload_json(p.upload) order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'created_at', (p.upload).created_at, 'id', (p.upload).id
    ) order by p.place) -> p_limit - 1 end
  into v_uploads, v_next
  from (
    select c.upload, row_number() over (order by (c.upload).created_at desc, (c.upload).id desc) as place
    from (
      (
        select u as upload from videos.uploads as u
        where p_project_id is null
          and u.owner_id = p_user_id and (u.created_at, u.id) < (v_before, v_before_id) and videos.is_shown(u, v_now)
        order by u.created_at desc, u.id desc
        limit p_limit + 1
      )
      union all
      -- Apart, by an index of its own.
      (
        select u as upload from videos.uploads as u
        where u.project_id = p_project_id
          and u.owner_id = p_user_id and (u.created_at, u.id) < (v_before, v_before_id) and videos.is_shown(u, v_now)
        order by u.created_at desc, u.id desc
        limit p_limit + 1
      )
    ) as c
    order by place
    limit p_limit + 1
  ) as p;
  return guard.answer(
    jsonb_build_object('uploads', v_uploads, 'next', v_next), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_uploads to service_role;

create function api.post_uploads(
  p_user_id uuid, p_content_type text, p_bytes bigint, p_session_id uuid default null, p_project_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Begins an upload of so many bytes: `data` is `{ upload_id, folder, expires_at }`. A second call begins another.
-- resource/not-found for a project that is not theirs; resource/wrong-state where the caller has as many pending ones as their
-- tier may; upload/quota-exceeded where there is no room for it. Counts against `writes`. Locks: rate-limit row → account → task.
declare
  v_caller record;
  v_begun record;
begin
  v_caller := guard.enter(p_user_id, 'uploads', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_begun := videos.begin_upload(p_user_id, p_content_type, p_bytes, p_project_id);
  if v_begun.refusal is not null then
    return guard.in_language(v_begun.refusal || jsonb_build_object('limits', v_caller.limits), v_caller.language);
  end if;
  return guard.answer(
    jsonb_build_object(
      'upload_id', (v_begun.upload).id, 'folder', (v_begun.upload).folder,
      'expires_at', core.to_iso((v_begun.upload).expires_at)
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.post_uploads to service_role;

create function api.load_upload(p_user_id uuid, p_upload_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What is to be looked at, before an upload of the caller's is completed: `data` is `{ folder, content_type, bytes, upload }`,
-- `upload` being null until it is ready, when nothing is left to do. resource/not-found for one that is deleted, was given
-- up, or is another's. Counts against `writes`. Locks: rate-limit row.
declare
  v_caller record;
  v_upload videos.uploads;
begin
  v_caller := guard.enter(p_user_id, 'uploads', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_upload := videos.find_upload(p_user_id, p_upload_id, core.now());
  if v_upload.id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(
    jsonb_build_object(
      'folder', v_upload.folder, 'content_type', v_upload.content_type, 'bytes', v_upload.bytes,
      'upload', case when v_upload.status = 'ready' then videos.upload_json(v_upload) end
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.load_upload to service_role;

create function api.patch_uploads(
  p_user_id uuid, p_upload_id uuid, p_path text, p_content_type text, p_bytes bigint, p_width integer, p_height integer
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The cleaned copy of an upload that api.load_upload told of is in storage: the upload is ready. `data` is the upload; of
-- several copies the first one counts, and a second call changes nothing. resource/not-found where it was deleted
-- meanwhile. Locks: account → upload.
declare
  v_caller record;
  v_now timestamptz;
  v_upload videos.uploads;
begin
  v_caller := accounts.lock(p_user_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_now := core.now();
  update videos.uploads as u
  set status = 'ready', path = p_path, content_type = p_content_type, bytes = p_bytes, width = p_width, height = p_height
  where u.id = p_upload_id and u.owner_id = p_user_id and u.status = 'pending' and videos.is_shown(u, v_now);
  v_upload := videos.find_upload(p_user_id, p_upload_id, v_now);
  if v_upload.id is null then
    return guard.refusal('resource/not-found', p_language => v_caller.language);
  end if;
  return guard.answer(videos.upload_json(v_upload) || jsonb_build_object('is_first', v_upload.path = p_path));
end;
$$;
grant execute on function api.patch_uploads to service_role;

create function api.delete_uploads(p_user_id uuid, p_upload_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Hides an upload of the caller's for good, and has its files removed. `data`: `{ deleted_at }`. resource/not-found for one
-- that is deleted already, was given up, or is another's; resource/wrong-state while a running job is made from it. Counts
-- against `writes`. Locks: rate-limit row → account → upload → task.
declare
  v_caller record;
  v_now timestamptz;
begin
  v_caller := guard.enter(p_user_id, 'uploads', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_now := core.now();
  if (videos.find_upload(p_user_id, p_upload_id, v_now)).id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if videos.uses_upload(p_user_id, p_upload_id) then
    return guard.refusal('resource/wrong-state', '{"status": "in_use"}', v_caller.limits, v_caller.language);
  end if;
  update videos.uploads as u set deleted_at = v_now where u.id = p_upload_id;
  perform queue.add('tidy_upload', p_upload_id, p_user_id, v_now);
  return guard.answer(jsonb_build_object('deleted_at', core.to_iso(v_now)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_uploads to service_role;

-- supabase/schemas/api/upload-tasks.sql

create function api.load_upload_files(p_upload_id uuid)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- What a `tidy_upload` task removes from storage: `data` is `{ paths }`, nothing under a legal hold.
  select guard.answer(jsonb_build_object('paths', coalesce((
    select to_jsonb(videos.untidy_files(u)) from videos.uploads as u where u.id = p_upload_id and not safety.is_held(u.owner_id)
  ), '[]')))
$$;
grant execute on function api.load_upload_files to service_role;

create function api.record_upload_tidied(p_task_id bigint, p_attempt integer, p_upload_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What api.load_upload_files named is gone from storage. While more can come, by the upload's URL or by whoever is at it,
-- and while a job needs its copy, the task comes back, as it does under a legal hold; then the row of what nobody needs goes too. `data`: `{ state }`, `waiting` or
-- `tidy`. A second call finds no task. Locks: upload → task.
declare
  v_upload videos.uploads;
  v_now constant timestamptz := core.now();
  v_again_at timestamptz;
begin
  select u.* into v_upload from videos.uploads as u where u.id = p_upload_id for update;
  if safety.is_held(v_upload.owner_id) then
    perform queue.repeat(p_task_id, p_attempt, v_now + interval '1 day', p_error => 'under a legal hold');
    return guard.answer('{"state": "waiting"}');
  end if;
  v_again_at := greatest(
    videos.upload_closes_at(v_upload), videos.copy_needed_until(v_upload) + videos.tidying_delay()
  );
  if v_again_at > v_now then
    perform queue.repeat(p_task_id, p_attempt, v_again_at);
    return guard.answer('{"state": "waiting"}');
  elsif cardinality(videos.untidy_files(v_upload)) > 0 then
    perform queue.retry(p_task_id, p_attempt, 'storage does not remove the files');
    return guard.answer('{"state": "waiting"}');
  end if;
  if not videos.is_shown(v_upload, v_now) then
    delete from videos.uploads as u where u.id = p_upload_id;
  end if;
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer('{"state": "tidy"}');
end;
$$;
grant execute on function api.record_upload_tidied to service_role;

-- supabase/schemas/api/projects.sql

create function api.get_projects(p_user_id uuid, p_limit integer, p_after jsonb default null, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the caller's projects, newest first: `data` is `{ projects, next }`, projects being `{ project_id, name, job_count,
-- created_at }`. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_projects jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'projects', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select coalesce(jsonb_agg(p.project order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(p.position order by p.place) -> p_limit - 1 end
  into v_projects, v_next
  from (
    select row_number() over (order by t.created_at desc, t.id desc) as place,
      jsonb_build_object('created_at', t.created_at, 'id', t.id) as position, videos.project_json(t) as project
    from videos.projects as t
    where t.user_id = p_user_id and (t.created_at, t.id) < (v_before, v_before_id)
    order by t.created_at desc, t.id desc
    limit p_limit + 1
  ) as p;
  return guard.answer(jsonb_build_object('projects', v_projects, 'next', v_next), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_projects to service_role;

create function api.post_projects(p_user_id uuid, p_name text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Makes a project of the caller's: `data` is it, as in api.get_projects. A second call makes another. Counts against
-- `writes`. Locks: rate-limit row → account, so that none is made for an account that is being erased.
declare
  v_caller record;
  v_project videos.projects;
begin
  v_caller := guard.enter(p_user_id, 'projects', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  insert into videos.projects (user_id, name, created_at) values (p_user_id, p_name, core.now()) returning * into v_project;
  return guard.answer(videos.project_json(v_project), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_projects to service_role;

create function api.patch_projects(p_user_id uuid, p_project_id uuid, p_name text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Gives a project of the caller's another name: `data` is it, as in api.get_projects. resource/not-found for one that is not
-- there or is another's. A second call changes nothing more. Counts against `writes`. Locks: rate-limit row → project.
declare
  v_caller record;
  v_project videos.projects;
begin
  v_caller := guard.enter(p_user_id, 'projects', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  update videos.projects as p set name = p_name where p.id = p_project_id and p.user_id = p_user_id returning * into v_project;
  if not found then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(videos.project_json(v_project), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_projects to service_role;

create function api.delete_projects(p_user_id uuid, p_project_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Deletes a project of the caller's and none of its jobs, which then are in none: `data` is `{ project_id }`.
-- resource/not-found for one that is not there, as in a second call, or is another's. It takes as long for 100,000 jobs as
-- for one. Counts against `writes`. Locks: rate-limit row → account, whose lock whoever adds a job has → project.
declare
  v_caller record;
begin
  v_caller := guard.enter(p_user_id, 'projects', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  delete from videos.projects as p where p.id = p_project_id and p.user_id = p_user_id;
  if not found then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(jsonb_build_object('project_id', p_project_id), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_projects to service_role;

-- supabase/schemas/api/user-export.sql

create function api.user_export(p_user_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Has a file made of all that is kept of the caller: `data` is `{ status, requested_at, path, bytes, expires_at }` of the
-- export, which is `pending`. While one is pending a second call answers with that one, and counts as none; when it is there,
-- limit/rate-exceeded by the policy `exports`, until a day is over. One that failed does not count. Counts against
-- `writes`. Locks: rate-limit rows → account.
declare
  v_caller record;
  v_export jsonb;
  v_taken guard.taken;
  v_id uuid;
begin
  v_caller := guard.enter(p_user_id, 'user-export', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_export := accounts.export_json(p_user_id);
  if v_export ->> 'status' is distinct from 'pending' then
    v_taken := guard.take('{exports}', p_user_id, null, 'user-export');
    if v_taken.refusal is not null then
      return v_taken.refusal;
    end if;
    insert into accounts.exports (user_id, requested_at, hit) values (p_user_id, core.now(), v_taken.hits[1])
    returning id into v_id;
    perform queue.add('export_account', v_id, p_user_id, core.now());
    v_export := accounts.export_json(p_user_id);
  end if;
  return guard.answer(v_export, v_caller.limits || guard.limits_json(v_taken.limits), v_caller.language);
end;
$$;
grant execute on function api.user_export to service_role;

-- supabase/schemas/api/notifications.sql

create function api.get_notifications(
  p_user_id uuid, p_limit integer, p_after jsonb default null, p_unread boolean default false, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the caller's inbox, newest first, of the unread ones alone where that is asked: `data` is `{ notifications,
-- unread, next }`, notifications being `{ id, type, data, read_at, created_at }`, and unread the number of all that are.
-- Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_notifications jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'notifications', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select coalesce(jsonb_agg(p.notification order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(p.position order by p.place) -> p_limit - 1 end
  into v_notifications, v_next
  from (
    select row_number() over (order by n.created_at desc, n.id desc) as place,
      jsonb_build_object('created_at', n.created_at, 'id', n.id) as position, notify.notification_json(n) as notification
    -- Each from its index: one condition for both would read all to find the few that are unread.
    from (
      (
        select a.* from notify.notifications as a
        where not p_unread and a.user_id = p_user_id and (a.created_at, a.id) < (v_before, v_before_id)
        order by a.created_at desc, a.id desc
        limit p_limit + 1
      )
      union all
      (
        select u.* from notify.notifications as u
        where p_unread and u.user_id = p_user_id and u.read_at is null and (u.created_at, u.id) < (v_before, v_before_id)
        order by u.created_at desc, u.id desc
        limit p_limit + 1
      )
    ) as n
  ) as p;
  return guard.answer(
    jsonb_build_object('notifications', v_notifications, 'unread', notify.unread(p_user_id), 'next', v_next),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_notifications to service_role;

create function api.patch_notifications(p_user_id uuid, p_ids uuid[] default null, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Marks as read what p_ids names of the caller's inbox, all of it where that is null: `data` is `{ unread }`, how many are
-- left. What is another's, or gone, is passed over. A second call changes nothing. Counts against `writes`. Locks:
-- rate-limit row → account, so that of two calls at once the second counts what the first has marked → notifications.
declare
  v_caller record;
begin
  v_caller := guard.enter(p_user_id, 'notifications', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  perform notify.mark_read(p_user_id, p_ids);
  return guard.answer(jsonb_build_object('unread', notify.unread(p_user_id)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_notifications to service_role;

-- supabase/schemas/api/notify-tasks.sql

-- What the handlers of the domain `notify` call, in _shared/notify/tasks.ts.

create function api.deliver_inbox(p_task_id bigint, p_attempt integer, p_delivery_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Does a `deliver_inbox` task and ends it: `data` is `{ outcome }`, `delivered` or `dropped`, null where the delivery is gone.
-- A second call writes no second notification. Locks: user → delivery → task.
declare
  v_outcome events.outcome;
begin
  v_outcome := notify.deliver(p_delivery_id);
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer(jsonb_build_object('outcome', v_outcome));
end;
$$;
grant execute on function api.deliver_inbox to service_role;

-- supabase/schemas/api/push-tasks.sql

-- What the handler of pushes calls, in _shared/notify/push.ts. What it sends comes with its task, as notify.push_facts has it.

create function api.finish_push(
  p_task_id bigint, p_attempt integer, p_delivery_id uuid, p_answers jsonb default '[]', p_reason text default null,
  p_error text default null, p_after_seconds numeric default null, p_goes_on boolean default false
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What came of an attempt at a `deliver_push` task: Apple's answers, as notify.learn_of_tokens takes them with the `apns_id`
-- of each. With p_error some device is to be tried again, by the kind's backoff and not before p_after_seconds, and the
-- task keeps which were sent to. With p_goes_on it keeps them, and the attempt has it still, to say why it ends by itself.
-- Else the task ends, p_reason being why nothing was sent. `data` is `{ outcome }`: `delivered`, `dropped`
-- or `dead`, null where it goes on or the delivery is gone. A second call, and an attempt that has lost its task, change
-- nothing but the tokens, and that it was delivered. Locks: user → tokens → delivery → task.
declare
  v_event constant events.log := events.of_delivery(p_delivery_id);
  v_sent jsonb;
  v_outcome events.outcome;
begin
  perform accounts.hold_user(v_event.user_id);
  perform notify.learn_of_tokens(p_answers);
  select coalesce(t.payload -> 'sent', '[]') into v_sent from queue.tasks as t where t.id = p_task_id;
  v_sent := coalesce(v_sent, '[]') || coalesce((
    select jsonb_agg(a.answer -> 'apns_id')
    from jsonb_array_elements(p_answers) as a (answer)
    where a.answer ->> 'outcome' = 'sent'
  ), '[]');
  if p_error is not null or p_goes_on then
    perform queue.keep(p_task_id, p_attempt, jsonb_build_object('sent', v_sent));
  end if;
  if p_goes_on then
    return guard.answer(jsonb_build_object('outcome', null));
  end if;
  if p_error is not null then
    return guard.answer(jsonb_build_object('outcome', case queue.retry(p_task_id, p_attempt, p_error, p_after_seconds)
      when 'dead' then 'dead'
    end));
  end if;
  if v_sent <> '[]' or exists (
    select from queue.tasks as t where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null
  ) then
    v_outcome := notify.end_push(p_delivery_id, v_sent <> '[]', p_reason);
  end if;
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer(jsonb_build_object('outcome', v_outcome));
end;
$$;
grant execute on function api.finish_push to service_role;

-- supabase/schemas/api/reports.sql

create function api.reports(
  p_user_id uuid, p_job_id uuid, p_reason text, p_details text default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A user reports a video, their own or another's whose id they know: `data` is `{ report_id, job_id, reason, created_at }`. A
-- second report of the same video answers the first. resource/not-found for a video that is not there, not made yet, or
-- deleted. Counts against `writes`. Locks: rate-limit row → case.
declare
  v_caller record;
  v_report safety.reports;
begin
  v_caller := guard.enter(p_user_id, 'reports', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if (videos.reportable(p_job_id)).id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  v_report := safety.report(p_job_id, p_user_id, p_reason, p_details, core.now());
  return guard.answer(
    jsonb_build_object(
      'report_id', v_report.id, 'job_id', p_job_id, 'reason', v_report.reason, 'created_at', core.to_iso(v_report.created_at)
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.reports to service_role;

-- supabase/schemas/api/takedown-notices.sql

create function api.takedown_notices(p_network text, p_job_id uuid, p_contact text, p_statement text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Somebody, of whom nothing is known but how to reach them, wants a video removed: `data` is `{ notice_id, job_id,
-- received_at, due_at }`, `due_at` being when the operator has decided at the latest, null where that is done. The same again
-- answers the first. It hides nothing. resource/not-found for a video that is not there, not made yet, or deleted. Counts
-- against `takedown_notices` and `takedown_notices_network`. Locks: rate-limit rows → case.
declare
  v_taken guard.taken;
  v_job videos.jobs;
  v_notice safety.notices;
begin
  v_taken := guard.take('{takedown_notices,takedown_notices_network}', null, p_network, 'takedown-notices');
  if v_taken.refusal is not null then
    return v_taken.refusal;
  end if;
  v_job := videos.reportable(p_job_id);
  if v_job.id is null then
    return guard.refusal('resource/not-found', '{}', guard.limits_json(v_taken.limits));
  end if;
  v_notice := safety.notify(p_job_id, p_contact, p_statement, core.now());
  return guard.answer(
    jsonb_build_object(
      'notice_id', v_notice.id, 'job_id', p_job_id, 'received_at', core.to_iso(v_notice.received_at),
      'due_at', core.to_iso((safety.case_of(v_notice.case_id)).due_at)
    ),
    guard.limits_json(v_taken.limits)
  );
end;
$$;
grant execute on function api.takedown_notices to service_role;

-- supabase/schemas/api/appeals.sql

create function api.appeals(p_user_id uuid, p_job_id uuid, p_statement text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The user of a removed video objects, once for each removal, also where they are suspended: `data` is `{ job_id, status }`,
-- `appealed`; said again in the same words, it is the same appeal. resource/not-found for a job that is not there, is deleted
-- or is another's; resource/wrong-state, with `completed` where nothing was removed, or what became of the case: `appealed`
-- where other words were said before, `removed` where the appeal was rejected, `restored` where it was granted. Counts
-- against `writes`. Locks: rate-limit row → case.
declare
  v_caller record;
  v_job videos.jobs;
  v_case safety.cases;
begin
  v_caller := guard.enter(p_user_id, 'appeals', '{writes}', null, p_suspended => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_job := videos.reportable(p_job_id);
  if v_job.user_id is distinct from p_user_id then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if v_job.removed_at is not null then
    v_case := safety.appeal(p_job_id, p_statement);
  end if;
  if v_case.status is distinct from 'appealed' or v_case.appeal is distinct from p_statement then
    return guard.refusal('resource/wrong-state', jsonb_build_object(
      'status', coalesce(v_case.status::text, v_job.status::text)
    ), v_caller.limits, v_caller.language);
  end if;
  return guard.answer(jsonb_build_object('job_id', p_job_id, 'status', 'appealed'), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.appeals to service_role;

-- supabase/schemas/api/admin-reports.sql

create function api.get_admin_reports(
  p_admin_id uuid, p_limit integer, p_status text default null, p_after jsonb default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the cases, newest first, or of those in one state: `data` is `{ cases, next }`, cases being as ops.case_json has
-- them. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'opened_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_cases jsonb;
  v_next jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-reports', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select coalesce(jsonb_agg(ops.case_json(p.shown) order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'opened_at', (p.shown).opened_at, 'id', (p.shown).id
    ) order by p.place) -> p_limit - 1 end
  into v_cases, v_next
  from (
    select f.shown, row_number() over (order by (f.shown).opened_at desc, (f.shown).id desc) as place
    from (
      (
        select c as shown from safety.cases as c
        where p_status is null and (c.opened_at, c.id) < (v_before, v_before_id)
        order by c.opened_at desc, c.id desc
        limit p_limit + 1
      )
      union all
      (
        select c as shown from safety.cases as c
        where c.status = p_status::safety.case_status and (c.opened_at, c.id) < (v_before, v_before_id)
        order by c.opened_at desc, c.id desc
        limit p_limit + 1
      )
    ) as f
  ) as p;
  return guard.answer(jsonb_build_object('cases', v_cases, 'next', v_next), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_reports to service_role;

create function api.patch_admin_reports(
  p_admin_id uuid, p_request_id text, p_case_id uuid, p_decision text, p_reason text, p_ground text default null,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Decides a case, or its appeal, as ops.decide_case: `data` is the case as it is then. Counts against `admin`.
-- Locks: rate-limit row, and those of ops.decide_case.
declare
  v_caller record;
  v_refusal jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-reports', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_refusal := ops.decide_case(p_admin_id, p_request_id, p_case_id, p_decision, p_ground, p_reason);
  if v_refusal is not null then
    return guard.in_language(v_refusal || jsonb_build_object('limits', v_caller.limits), v_caller.language);
  end if;
  return guard.answer(ops.case_json(safety.case_of(p_case_id)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_reports to service_role;

-- supabase/schemas/api/push-tokens.sql

create function api.post_push_tokens(
  p_user_id uuid, p_token text, p_environment text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Makes a device the caller's, as notify.register_token does: `data` is `{}`. A second call says that it is still there.
-- Counts against `writes`. Locks: rate-limit row → account → tokens.
declare
  v_caller record;
begin
  v_caller := guard.enter(p_user_id, 'push-tokens', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  perform notify.register_token(p_user_id, p_token, p_environment::notify.push_environment);
  return guard.answer('{}', v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_push_tokens to service_role;

create function api.delete_push_tokens(p_user_id uuid, p_token text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Tells a device of the caller's nothing any more: `data` is `{}`, also where it is another's, which it stays. A second call
-- changes nothing. Counts against `writes`. Locks: rate-limit row → account → token.
declare
  v_caller record;
begin
  v_caller := guard.enter(p_user_id, 'push-tokens', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  delete from notify.push_tokens as t where t.token = p_token and t.user_id = p_user_id;
  return guard.answer('{}', v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_push_tokens to service_role;

-- supabase/schemas/api/metrics.sql

create function api.metrics()
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
-- What isolates ever counted, and what the tables know now; see ops.metric_families. It writes nothing and takes no lock; a
-- second call asks again.
select guard.answer(ops.metric_families());
$$;
grant execute on function api.metrics to service_role;

-- supabase/schemas/api/admin-webhooks.sql

create function api.get_admin_webhooks(p_admin_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- All webhooks, newest first, 20 at most: `data` is `{ webhooks }`, as webhooks.webhook_json has them. Counts against `admin`.
-- Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhooks', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(
    jsonb_build_object('webhooks', (
      select coalesce(jsonb_agg(webhooks.webhook_json(w) order by w.created_at desc, w.id desc), '[]') from webhooks.webhooks as w
    )),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_admin_webhooks to service_role;

create function api.post_admin_webhooks(
  p_admin_id uuid, p_request_id text, p_webhook_id uuid, p_url text, p_types text[], p_sealed_secret text, p_reason text,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Makes a webhook, as webhooks.add: `data` is it. resource/wrong-state (`too_many`) where there are 20. A second call, with
-- another id, makes another. Counts against `admin`. Locks: rate-limit row → the table against others that add.
declare
  v_caller record;
  v_refusal jsonb;
  v_webhook webhooks.webhooks;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhooks', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  -- As webhooks.add does.
  lock table webhooks.webhooks in share row exclusive mode;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  v_webhook := webhooks.add(p_webhook_id, p_url, p_types, p_sealed_secret);
  if v_webhook.id is null then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', 'too_many'), v_caller.limits, v_caller.language);
  end if;
  insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
  values (
    'create_webhook', p_admin_id, format('webhook %s', p_webhook_id),
    jsonb_build_object('before', null, 'after', webhooks.record_json(v_webhook)), p_reason, p_request_id, core.now()
  );
  return guard.answer(webhooks.webhook_json(v_webhook), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_admin_webhooks to service_role;

create function api.patch_admin_webhooks(
  p_admin_id uuid, p_request_id text, p_webhook_id uuid, p_reason text, p_url text default null, p_types text[] default null,
  p_is_enabled boolean default null, p_sealed_secret text default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes what is given of a webhook, as webhooks.change, and its secret, as webhooks.rotate_secret: `data` is the webhook.
-- resource/not-found for one that is not there; resource/wrong-state (`dropping`) where it is to be enabled while something that
-- waited for it is still to be dropped. A second call changes nothing, and writes nothing down, but for a secret. Counts
-- against `admin`. Locks: rate-limit row → webhook → its deliveries → their tasks.
declare
  v_caller record;
  v_refusal jsonb;
  v_before webhooks.webhooks;
  v_after webhooks.webhooks;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhooks', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select w.* into v_before from webhooks.webhooks as w where w.id = p_webhook_id for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_before.id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  v_after := webhooks.change(p_webhook_id, p_url, p_types, p_is_enabled);
  if v_after.id is null then
    return guard.refusal('resource/wrong-state', '{"status": "dropping"}', v_caller.limits, v_caller.language);
  end if;
  if v_after is distinct from v_before then
    insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
    values (
      'change_webhook', p_admin_id, format('webhook %s', p_webhook_id),
      jsonb_build_object('before', webhooks.record_json(v_before), 'after', webhooks.record_json(v_after)),
      p_reason, p_request_id, core.now()
    );
  end if;
  if p_sealed_secret is not null then
    perform webhooks.rotate_secret(p_webhook_id, p_sealed_secret);
    insert into ops.admin_actions (action, admin_id, subject, reason, request_id, created_at)
    values (
      'rotate_webhook_secret', p_admin_id, format('webhook %s', p_webhook_id), p_reason, p_request_id, core.now()
    );
  end if;
  return guard.answer(webhooks.webhook_json(v_after), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_webhooks to service_role;

create function api.delete_admin_webhooks(
  p_admin_id uuid, p_request_id text, p_webhook_id uuid, p_reason text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Deletes a webhook with its secrets, and silences it, as webhooks.silence: `data` is `{ webhook_id }`. resource/not-found for one that
-- is not there, as in a second call. Counts against `admin`. Locks: rate-limit row → webhook → its deliveries → their tasks.
declare
  v_caller record;
  v_refusal jsonb;
  v_webhook webhooks.webhooks;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhooks', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select w.* into v_webhook from webhooks.webhooks as w where w.id = p_webhook_id for update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_webhook.id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  delete from webhooks.webhooks as w where w.id = p_webhook_id;
  perform webhooks.silence(p_webhook_id);
  insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
  values (
    'delete_webhook', p_admin_id, format('webhook %s', p_webhook_id),
    jsonb_build_object('before', webhooks.record_json(v_webhook), 'after', null), p_reason, p_request_id, core.now()
  );
  return guard.answer(jsonb_build_object('webhook_id', p_webhook_id), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_admin_webhooks to service_role;

-- supabase/schemas/api/admin-webhook-deliveries.sql

create function api.get_admin_webhook_deliveries(
  p_admin_id uuid, p_webhook_id uuid, p_limit integer, p_status text default null, p_after jsonb default null,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of what a webhook was told or is to be told, newest first, or of what is in one state: `data` is `{ deliveries,
-- next }`, deliveries being as webhooks.delivery_json has them; none where there is no such webhook. Counts against `admin`.
-- Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_deliveries jsonb;
  v_next jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhook-deliveries', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select coalesce(jsonb_agg(webhooks.delivery_json(p.shown) order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'created_at', (p.shown).created_at, 'id', (p.shown).id
    ) order by p.place) -> p_limit - 1 end
  into v_deliveries, v_next
  from (
    select f.shown, row_number() over (order by (f.shown).created_at desc, (f.shown).id desc) as place
    -- Each from its index: one condition for all would read the whole to find the few.
    from (
      (
        select d as shown from events.deliveries as d
        where p_status is null and d.target = p_webhook_id and (d.created_at, d.id) < (v_before, v_before_id)
        order by d.created_at desc, d.id desc
        limit p_limit + 1
      )
      union all
      (
        select d as shown from events.deliveries as d
        where p_status = 'pending' and d.target = p_webhook_id and d.outcome is null
          and (d.created_at, d.id) < (v_before, v_before_id)
        order by d.created_at desc, d.id desc
        limit p_limit + 1
      )
      union all
      (
        select d as shown from events.deliveries as d
        where p_status <> 'pending' and d.target = p_webhook_id and d.outcome = nullif(p_status, 'pending')::events.outcome
          and (d.created_at, d.id) < (v_before, v_before_id)
        order by d.created_at desc, d.id desc
        limit p_limit + 1
      )
    ) as f
  ) as p;
  return guard.answer(jsonb_build_object('deliveries', v_deliveries, 'next', v_next), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_webhook_deliveries to service_role;

create function api.post_admin_webhook_deliveries(
  p_admin_id uuid, p_request_id text, p_delivery_id uuid default null, p_webhook_id uuid default null,
  p_test boolean default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Sends what a delivery told once more, under the same id and with all its tries; or, with p_webhook_id and p_test, an event
-- of the type `webhook.test` to that webhook: `data` is the delivery. One that waits is tried at once. resource/not-found
-- where it is not there, or its webhook is gone; resource/wrong-state (`disabled`) where the webhook is disabled. A second
-- call sends it again. Counts against `admin`. Locks: rate-limit row → webhook → delivery → task.
declare
  v_caller record;
  v_refusal jsonb;
  v_delivery_id uuid;
  v_delivery jsonb;
  v_webhook webhooks.webhooks;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhook-deliveries', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select w.* into v_webhook
  from webhooks.webhooks as w
  where w.id = coalesce(
    p_webhook_id, (select d.target from events.deliveries as d where d.id = p_delivery_id and d.channel = 'webhook')
  )
  for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_webhook.id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if not v_webhook.is_enabled then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', 'disabled'), v_caller.limits, v_caller.language);
  end if;
  if p_test then
    v_delivery_id := events.tell(
      'webhook.test', jsonb_build_object('webhook_id', v_webhook.id), 'webhook', v_webhook.id,
      jsonb_build_object('request_id', p_request_id)
    );
  else
    v_delivery_id := p_delivery_id;
    if not events.deliver_again(v_delivery_id) then
      perform queue.hasten('deliver_webhook', v_delivery_id);
    end if;
  end if;
  select webhooks.delivery_json(d) into v_delivery from events.deliveries as d where d.id = v_delivery_id;
  -- Its event went while its lock was waited for.
  if v_delivery is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(v_delivery, v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_admin_webhook_deliveries to service_role;

-- supabase/schemas/api/admin-limits.sql

create function api.get_admin_limits(p_admin_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The rate limits, by name: `data` is `{ policies }`, each as ops.policy_json has it. Counts against `admin`. Locks:
-- rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-limits', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(
    jsonb_build_object('policies', (select jsonb_agg(ops.policy_json(p) order by p.name) from guard.policies as p)),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_admin_limits to service_role;

create function api.patch_admin_limits(
  p_admin_id uuid, p_request_id text, p_policy text, p_reason text, p_max_hits integer default null,
  p_window_seconds integer default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes a rate limit, from the next request on: `data` is the policy as it is then. auth/forbidden for those that bound
-- admins themselves, which the owner alone changes; resource/not-found for one that is none; request/malformed for what it cannot
-- be. A second call changes nothing and writes nothing. Counts against `admin`. Locks: rate-limit row → policy.
declare
  v_caller record;
  v_refusal jsonb;
  v_before guard.policies;
  v_after guard.policies;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-limits', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select p.* into v_before from guard.policies as p where p.name = p_policy for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_before.name is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if p_policy in ('admin', 'admin_credits') then
    return guard.refusal('auth/forbidden', '{}', v_caller.limits, v_caller.language);
  end if;
  -- As the table has it, which would raise.
  if v_before.counts = 'hits' and p_max_hits > 300 then
    return guard.refusal('request/malformed', jsonb_build_object('fields', jsonb_build_array(
      jsonb_build_object('path', 'max_hits', 'message', 'Must be at most 300 for what counts hits')
    )), v_caller.limits, v_caller.language);
  end if;
  v_after := guard.set_limit(p_policy, p_max_hits, p_window_seconds);
  if v_after is distinct from v_before then
    insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
    values (
      'change_limit', p_admin_id, 'policy ' || p_policy,
      jsonb_build_object('before', ops.policy_json(v_before), 'after', ops.policy_json(v_after)), p_reason, p_request_id, core.now()
    );
  end if;
  return guard.answer(ops.policy_json(v_after), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_limits to service_role;

-- supabase/schemas/api/admin-alerts.sql

create function api.get_admin_alerts(
  p_admin_id uuid, p_limit integer, p_status text default null, p_after jsonb default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the alerts, newest first, or of those that are `open` or `resolved`: `data` is `{ alerts, rules, incidents, next }`,
-- with all rules, and the newest 20 incidents. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'raised_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  v_alerts jsonb;
  v_next jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-alerts', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select coalesce(jsonb_agg(ops.alert_json(p.shown) order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'raised_at', (p.shown).raised_at, 'id', (p.shown).id
    ) order by p.place) -> p_limit - 1 end
  into v_alerts, v_next
  from (
    select f.shown, row_number() over (order by (f.shown).raised_at desc, (f.shown).id desc) as place
    from (
      -- Apart, so that each is found by its index.
      (
        select a as shown from ops.alerts as a
        where p_status is distinct from 'open' and (a.raised_at, a.id) < (v_before, v_before_id)
          and (p_status is null or a.resolved_at is not null)
        order by a.raised_at desc, a.id desc
        limit p_limit + 1
      )
      union all
      (
        select a as shown from ops.alerts as a
        where p_status = 'open' and a.resolved_at is null and (a.raised_at, a.id) < (v_before, v_before_id)
        order by a.raised_at desc, a.id desc
        limit p_limit + 1
      )
    ) as f
  ) as p;
  return guard.answer(
    jsonb_build_object(
      'alerts', v_alerts,
      'rules', (select coalesce(jsonb_agg(ops.rule_json(r) order by r.name), '[]') from ops.alert_rules as r),
      'incidents', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'incident_id', i.id, 'subject', i.subject, 'began_at', core.to_iso(i.began_at), 'ended_at', core.to_iso(i.ended_at),
          'cause', i.cause, 'taken_over_by', coalesce(to_jsonb(i.taken_over_by), '[]')
        ) order by i.id desc), '[]')
        from ops.incident_log as i
        where i.ended_at is null or i.id in (select n.id from ops.incidents as n order by n.id desc limit 20)
      ),
      'next', v_next
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_admin_alerts to service_role;

create function api.patch_admin_alerts(
  p_admin_id uuid, p_request_id text, p_reason text, p_alert_id uuid default null, p_acknowledged boolean default null,
  p_rule text default null, p_warning numeric default null, p_critical numeric default null, p_action text default null,
  p_policies text[] default null, p_throttle_percent integer default null, p_flags text[] default null,
  p_is_pinned boolean default null, p_is_enabled boolean default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Acknowledges an alert that is open, or changes a rule; null is what stays as it is. `data` is `{ alert, rule }`, of which one
-- is null. resource/not-found where there is no such thing, request/malformed for what a rule cannot be. A second call changes
-- nothing and writes nothing. Counts against `admin`. Locks: rate-limit row → alert, or rule → targets.
declare
  v_caller record;
  v_refusal jsonb;
  v_alert ops.alerts;
  v_answer jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-alerts', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  perform from ops.alerts as a where a.id = p_alert_id for no key update;
  perform from ops.alert_rules as r where r.name = p_rule for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if p_alert_id is not null then
    v_alert := ops.acknowledge_alert(p_alert_id, p_acknowledged);
    if v_alert.id is null then
      return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
    end if;
    if p_acknowledged <> (v_alert.acknowledged_at is not null) then
      insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
      values ('acknowledge_alert', p_admin_id, 'alert ' || p_alert_id, jsonb_build_object(
        'before', jsonb_build_object('acknowledged', not p_acknowledged),
        'after', jsonb_build_object('acknowledged', p_acknowledged)
      ), p_reason, p_request_id, core.now());
    end if;
    return guard.answer(
      jsonb_build_object('alert', (select ops.alert_json(a) from ops.alerts as a where a.id = p_alert_id), 'rule', null),
      v_caller.limits, v_caller.language
    );
  end if;
  v_answer := ops.change_rule(
    p_admin_id, p_request_id, p_reason, p_rule, p_warning, p_critical, p_action, p_policies, p_throttle_percent, p_flags, p_is_pinned,
    p_is_enabled
  );
  if v_answer ? 'error' then
    return guard.in_language(v_answer || jsonb_build_object('limits', v_caller.limits), v_caller.language);
  end if;
  return guard.answer(jsonb_build_object('alert', null, 'rule', v_answer), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_alerts to service_role;

-- supabase/schemas/api/flags.sql

create function api.flags(
  p_user_id uuid, p_context jsonb, p_key text default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What the flags are for the caller, as OFREP tells it, by key: `data` is `{ flags }`. With p_key that one alone, and
-- resource/not-found where it is not there. Of experiments those are counted, once, whom a split gave a variant; a second call answers the same. OFREP knows no
-- DEFAULT and no ERROR: both are UNKNOWN, and the metadata says which. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_flags jsonb;
begin
  v_caller := guard.enter(p_user_id, 'flags', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select jsonb_agg(jsonb_build_object('key', f.key, 'reason', case
      when e.reason in ('DEFAULT', 'ERROR') then 'UNKNOWN' else e.reason end)
    || case when e.variant is null then '{}' else jsonb_build_object(
      'variant', e.variant, 'value', e.value) end
    || case
      when e.reason = 'ERROR' then jsonb_build_object('metadata', jsonb_build_object('reason', 'ERROR', 'error', e.detail))
      when e.reason = 'DEFAULT' then '{"metadata": {"reason": "DEFAULT"}}'
      else '{}' end
    order by f.key collate "C")
  into v_flags
  from ops.feature_flags as f
  cross join lateral ops.evaluate(f, p_user_id, p_context) as e
  where p_key is null or f.key = p_key;
  if v_flags is null and p_key is not null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  perform ops.count_exposure(f.key, p_user_id, x.flag ->> 'variant')
  from ops.feature_flags as f
  join jsonb_array_elements(v_flags) as x (flag) on x.flag ->> 'key' = f.key
  -- Whoever is given what everybody else is, while it is off or for want of a rule, was not chosen by chance.
  where f.is_experiment and x.flag ->> 'reason' = 'SPLIT';
  return guard.answer(jsonb_build_object('flags', coalesce(v_flags, '[]')), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.flags to service_role;

-- supabase/schemas/api/admin-flags.sql

create function api.get_admin_flags(p_admin_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Every flag, by key: `data` is `{ flags }`, each as ops.flag_json has it. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-flags', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(jsonb_build_object('flags', (
    select coalesce(jsonb_agg(ops.flag_json(f) order by f.key collate "C"), '[]') from ops.feature_flags as f
  )), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_flags to service_role;

create function api.patch_admin_flags(
  p_admin_id uuid, p_request_id text, p_key text, p_reason text, p_is_enabled boolean default null,
  p_is_experiment boolean default null, p_default_variant text default null, p_rules jsonb default null,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes of a flag what is given, for whoever asks from then on. `data` is the flag as ops.flag_json has it. resource/not-found for one
-- that is not there, request/malformed for what a flag cannot be. A second call changes nothing and writes nothing. Whether
-- it is on is the admin's decision from then on: no rule that has turned it off turns it on again. Counts against `admin`.
-- Locks: rate-limit row → flag → what rules have done to it.
declare
  v_caller record;
  v_refusal jsonb;
  v_flag ops.feature_flags;
  v_faults jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-flags', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select f.* into v_flag from ops.feature_flags as f where f.key = p_key for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_flag.key is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  v_flag.is_enabled := coalesce(p_is_enabled, v_flag.is_enabled);
  v_flag.is_experiment := coalesce(p_is_experiment, v_flag.is_experiment);
  v_flag.default_variant := coalesce(p_default_variant, v_flag.default_variant);
  v_flag.rules := nullif(coalesce(p_rules, v_flag.rules), '[]');
  v_faults := ops.flag_faults(v_flag);
  if v_faults <> '[]' then
    return guard.refusal('request/malformed', jsonb_build_object('fields', v_faults), v_caller.limits, v_caller.language);
  end if;
  if p_is_enabled is not null then
    perform ops.take_over(p_key);
  end if;
  perform ops.put_flag(v_flag, p_admin_id, p_reason, p_request_id);
  select f.* into strict v_flag from ops.feature_flags as f where f.key = p_key;
  return guard.answer(ops.flag_json(v_flag), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_flags to service_role;

-- supabase/schemas/api/admin-products.sql

create function api.get_admin_products(p_admin_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What is sold and what was, in the order of the operator, and 50 purchases at most that wait for a product: `data` is
-- `{ products, waiting }`, as purchases.record_json and purchases.waiting_for_product have them. Counts against `admin`.
-- Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-products', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(jsonb_build_object(
    'products', (
      select coalesce(jsonb_agg(purchases.record_json(p) order by p.position, p.product_id), '[]') from purchases.products as p
    ),
    'waiting', purchases.waiting_for_product(50)
  ), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_products to service_role;

create function api.post_admin_products(
  p_admin_id uuid, p_request_id text, p_product_id text, p_kind text, p_name text, p_description text, p_credits bigint,
  p_reason text, p_trial_credits bigint default 0, p_is_available boolean default true, p_is_featured boolean default false,
  p_position integer default 0, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Adds a product: `data` is it, as purchases.record_json has it. What waits for it is credited from the next tick on.
-- resource/wrong-state (`exists`) for an id that is there, as in a second call. Counts against `admin`. Locks: rate-limit
-- row → the table against others that change it → the scheduled task.
declare
  v_caller record;
  v_refusal jsonb;
  v_product purchases.products;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-products', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  -- Whoever credits only reads it, and does not wait.
  lock table purchases.products in share row exclusive mode;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  insert into purchases.products (
    product_id, kind, name, description, credits, trial_credits, is_available, is_featured, position
  )
  values (
    p_product_id, p_kind::purchases.product_kind, p_name, p_description, p_credits, p_trial_credits, p_is_available,
    p_is_featured, p_position
  )
  on conflict do nothing
  returning * into v_product;
  if v_product.product_id is null then
    return guard.refusal('resource/wrong-state', '{"status": "exists"}', v_caller.limits, v_caller.language);
  end if;
  perform core.run_soon('credit_purchases');
  insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
  values (
    'create_product', p_admin_id, 'product ' || p_product_id,
    jsonb_build_object('before', null, 'after', purchases.record_json(v_product)), p_reason, p_request_id, core.now()
  );
  return guard.answer(purchases.record_json(v_product), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_admin_products to service_role;

create function api.patch_admin_products(
  p_admin_id uuid, p_request_id text, p_product_id text, p_reason text, p_kind text default null, p_name text default null,
  p_description text default null, p_credits bigint default null, p_trial_credits bigint default null,
  p_is_available boolean default null, p_is_featured boolean default null, p_position integer default null,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes what is given of a product: `data` is it as it is then. What was credited stays as it was; what waits for a product
-- of this kind is credited from the next tick on. resource/not-found for one that is not there. A second call changes nothing
-- and writes nothing. Counts against `admin`. Locks: rate-limit row → the table against others that change it → the scheduled
-- task.
declare
  v_caller record;
  v_refusal jsonb;
  v_before purchases.products;
  v_after purchases.products;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-products', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  lock table purchases.products in share row exclusive mode;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  select p.* into v_before from purchases.products as p where p.product_id = p_product_id;
  if v_before.product_id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  update purchases.products as p
  set kind = coalesce(p_kind::purchases.product_kind, p.kind), name = coalesce(p_name, p.name),
      description = coalesce(p_description, p.description), credits = coalesce(p_credits, p.credits),
      trial_credits = coalesce(p_trial_credits, p.trial_credits), is_available = coalesce(p_is_available, p.is_available),
      is_featured = coalesce(p_is_featured, p.is_featured), position = coalesce(p_position, p.position)
  where p.product_id = p_product_id
  returning p.* into v_after;
  if v_after is distinct from v_before then
    perform core.run_soon('credit_purchases');
    insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
    values (
      'change_product', p_admin_id, 'product ' || p_product_id,
      jsonb_build_object('before', purchases.record_json(v_before), 'after', purchases.record_json(v_after)),
      p_reason, p_request_id, core.now()
    );
  end if;
  return guard.answer(purchases.record_json(v_after), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_products to service_role;

-- supabase/schemas/api/admin-stats.sql

create function api.admin_stats(p_admin_id uuid, p_span text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- How the last `hour`, `day` or `month` went, as ops.stats_json has it, and under `now` how things stand, as ops.now_json has
-- it. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-stats', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(
    ops.stats_json(p_span) || jsonb_build_object('now', ops.now_json()), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.admin_stats to service_role;

-- supabase/schemas/api/admin-errors.sql

create function api.admin_errors(
  p_admin_id uuid, p_limit integer, p_codes text[] default null, p_endpoint text default null, p_request_id text default null,
  p_after jsonb default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
-- What is not asked for is then no condition.
set plan_cache_mode = force_custom_plan
as $$
-- A page of the error log, the newest minute first: `data` is `{ errors, next }`; of those codes, that endpoint and that request,
-- where they are named. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
  v_minute constant timestamptz := coalesce((p_after ->> 'minute')::timestamptz, 'infinity');
  v_code constant text := coalesce(p_after ->> 'code', '');
  v_endpoint constant text := coalesce(p_after ->> 'endpoint', '');
  v_place constant smallint := coalesce((p_after ->> 'place')::smallint, 0);
  v_errors jsonb;
  v_next jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-errors', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select coalesce(jsonb_agg(ops.error_json(p.shown) order by p.number) filter (where p.number <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'minute', (p.shown).minute, 'code', (p.shown).code, 'endpoint', (p.shown).endpoint, 'place', (p.shown).place
    ) order by p.number) -> p_limit - 1 end
  into v_errors, v_next
  from (
    select e as shown, row_number() over (order by e.minute desc, e.code desc, e.endpoint desc, e.place desc) as number
    from ops.error_log as e
    where (e.minute, e.code, e.endpoint, e.place) < (v_minute, v_code, v_endpoint, v_place)
      -- Code and endpoint stand in the index of the minutes: of what is passed over no row is read.
      and (p_codes is null or e.code = any (p_codes)) and (p_endpoint is null or e.endpoint = p_endpoint)
      and (p_request_id is null or e.request_id = p_request_id)
    order by e.minute desc, e.code desc, e.endpoint desc, e.place desc
    limit p_limit + 1
  ) as p;
  return guard.answer(jsonb_build_object('errors', v_errors, 'next', v_next), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.admin_errors to service_role;

-- supabase/schemas/api/admin-queue.sql

create function api.get_admin_queue(
  p_admin_id uuid, p_limit integer, p_kind text default null, p_after jsonb default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What the queue has of each kind, and a page of the dead letters, or of those of a kind, the newest first: `data` is `{ kinds,
-- tasks, next }`, tasks being as queue.task_json has them. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'failed_at')::timestamptz, 'infinity');
  v_before_id constant bigint := coalesce((p_after ->> 'id')::bigint, 0);
  v_tasks jsonb;
  v_next jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-queue', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select coalesce(jsonb_agg(queue.task_json(p.shown) order by p.number) filter (where p.number <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'failed_at', (p.shown).failed_at, 'id', (p.shown).id
    ) order by p.number) -> p_limit - 1 end
  into v_tasks, v_next
  from (
    select t as shown, row_number() over (order by t.failed_at desc, t.id desc) as number
    from queue.tasks as t
    where t.failed_at is not null and (t.failed_at, t.id) < (v_before, v_before_id) and (p_kind is null or t.kind = p_kind)
    order by t.failed_at desc, t.id desc
    limit p_limit + 1
  ) as p;
  return guard.answer(
    jsonb_build_object(
      'kinds', (
        select jsonb_agg(jsonb_build_object(
          'kind', q.kind, 'due', q.due, 'running', q.running, 'dead', q.dead, 'oldest_due_seconds', q.oldest_due_seconds
        ) order by q.kind)
        from ops.queue_now as q
      ),
      'tasks', v_tasks, 'next', v_next
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_admin_queue to service_role;

create function api.post_admin_queue(
  p_admin_id uuid, p_request_id text, p_task_id bigint, p_reason text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Has a dead letter tried again, at once and with all its tries: `data` is `{ task }`. resource/not-found where there is no such
-- task; resource/wrong-state for one that is not dead (`waiting`, `running`), as after a first call, and for one in whose place
-- another was made since (`replaced`). A delivery waits again with its task. Counts against `admin`. Locks: rate-limit row →
-- delivery → task.
declare
  v_caller record;
  v_refusal jsonb;
  v_task queue.tasks;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-queue', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  -- Before its task, as everybody does who ends a delivery or has it sent again.
  perform events.begin_delivery(t.subject) from queue.tasks as t where t.id = p_task_id;
  select t.* into v_task from queue.tasks as t where t.id = p_task_id for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_task.id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if not queue.replay(p_task_id) then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', case
        when v_task.failed_at is not null then 'replaced'
        when v_task.leased_until > core.now() then 'running'
        else 'waiting'
      end), v_caller.limits, v_caller.language);
  end if;
  perform events.reopen(v_task.subject);
  insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
  values (
    'replay_task', p_admin_id, 'task ' || p_task_id, jsonb_build_object('kind', v_task.kind, 'subject', v_task.subject), p_reason,
    p_request_id, core.now()
  );
  return guard.answer(
    jsonb_build_object('task', (select queue.task_json(t) from queue.tasks as t where t.id = p_task_id)), v_caller.limits,
    v_caller.language
  );
end;
$$;
grant execute on function api.post_admin_queue to service_role;

-- supabase/schemas/api/admin-jobs.sql

create function api.get_admin_jobs(
  p_admin_id uuid, p_limit integer, p_status text default null, p_user_id uuid default null, p_model_id uuid default null,
  p_provider text default null, p_error_code text default null, p_job_id uuid default null, p_after jsonb default null,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the jobs, as ops.find_jobs: `data` is `{ jobs, story, next }`, `story` being null. Or one job, where p_job_id is given,
-- with its story, as ops.job_story; resource/not-found where there is none. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
  v_story jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-jobs', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if p_job_id is null then
    return guard.answer(
      ops.find_jobs(p_limit, p_status, p_user_id, p_model_id, p_provider, p_error_code, p_after) || '{"story": null}',
      v_caller.limits, v_caller.language
    );
  end if;
  v_story := ops.job_story(p_job_id);
  if v_story is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(
    jsonb_build_object('jobs', '[]'::jsonb, 'story', v_story, 'next', null), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_admin_jobs to service_role;

create function api.post_admin_jobs(
  p_admin_id uuid, p_request_id text, p_job_id uuid, p_reason text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Reads what a user wrote, and writes down that it was read: `data` is `{ job_id, prompt }`, `prompt` being null once it is erased.
-- resource/not-found where there is no such job. A second call reads, and is written down, again. Counts against `admin`. Locks:
-- rate-limit row.
declare
  v_caller record;
  v_job videos.jobs;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-jobs', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select j.* into v_job from videos.jobs as j where j.id = p_job_id;
  if not found then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  insert into ops.admin_actions (action, admin_id, user_id, job_id, reason, request_id, created_at)
  values ('read_prompt', p_admin_id, v_job.user_id, p_job_id, p_reason, p_request_id, core.now());
  return guard.answer(
    jsonb_build_object('job_id', p_job_id, 'prompt', nullif(v_job.prompt, '')), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.post_admin_jobs to service_role;

-- supabase/schemas/api/admin-search.sql

create function api.admin_search(p_admin_id uuid, p_query text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Whom and what somebody's words may name, as ops.search. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-search', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(ops.search(p_query), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.admin_search to service_role;
