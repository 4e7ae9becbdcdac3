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
