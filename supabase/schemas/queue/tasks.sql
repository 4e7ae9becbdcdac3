create function queue.add(
  p_kind text, p_subject uuid, p_run_at timestamptz, p_payload jsonb default '{}'
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- An open task of the same kind and subject is the same work: it runs at the earlier time. Raises not_null_violation
-- for a kind that is none.
begin
  insert into queue.tasks as t (kind, subject, payload, priority, run_at, created_at)
  values (
    p_kind, p_subject, p_payload, (select k.priority from queue.kinds as k where k.kind = p_kind), p_run_at,
    core.now()
  )
  on conflict (subject, kind) where failed_at is null do update
    set run_at = least(t.run_at, excluded.run_at), payload = t.payload || excluded.payload;
end;
$$;

-- When a kind of task runs again after so many attempts.
create function queue.retry_at(p_kind text, p_attempts integer)
returns timestamptz
language sql
volatile
set search_path = ''
as $$
  select core.now() + make_interval(secs =>
    (least(k.max_seconds,
      -- 2^30 seconds are beyond every maximum; more would overflow.
      case k.backoff when 'fixed' then k.base_seconds else k.base_seconds * 2 ^ least(30, greatest(0, p_attempts - 1)) end
    ) * (1 - k.jitter * random()))::double precision
  )
  from queue.kinds as k
  where k.kind = p_kind
$$;

-- Tasks that wait for a worker; 1000 stands for more.
create function queue.count_due()
returns integer
language sql
volatile
set search_path = ''
as $$
  select count(*)::integer
  from (
    select from queue.tasks as t
    where t.failed_at is null and t.run_at <= core.now() and (t.leased_until is null or t.leased_until <= core.now())
    limit 1000
  ) as due
$$;

create function queue.fail(p_task queue.tasks, p_error text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a task a dead letter. A dead `store` ends its job with ERR_6002 in the same statement of the caller; the
-- settlement deletes the tasks of the job, so only tasks without a job to end stay as dead letters.
begin
  update queue.tasks as t
  set failed_at = core.now(), leased_until = null, last_error = p_error
  where t.id = p_task.id;
  if p_task.kind = 'store' then
    perform videos.settle_video_job(p_task.subject, 'failed', 'ERR_6002');
  end if;
end;
$$;

create function queue.bury()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Makes dead letters of tasks whose last try ended with its worker, up to 100 a run. Returns how many.
-- Locks: account → job → task, one task at a time.
declare
  v_task queue.tasks;
  v_buried integer := 0;
begin
  for v_task in
    select t.*
    from queue.tasks as t
    join queue.kinds as k on k.kind = t.kind
    where t.failed_at is null and t.leased_until <= core.now() and t.attempts >= k.tries
    order by t.id
    limit 100
  loop
    perform videos.lock_job(v_task.subject);
    perform from queue.tasks as t
    where t.id = v_task.id and t.failed_at is null and t.attempts = v_task.attempts
    for update;
    if found then
      perform queue.fail(v_task, 'the worker did not come back from the last try');
      v_buried := v_buried + 1;
    end if;
  end loop;
  return v_buried;
end;
$$;
