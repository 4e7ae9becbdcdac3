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
