-- generation: the queue. A task is claimed for a lease; its attempt number fences off a worker that comes back
-- too late.

create function generation.add_task(
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
  insert into generation.tasks as t (kind, subject, payload, priority, run_at, created_at)
  values (
    p_kind, p_subject, p_payload, (select k.priority from generation.task_kinds as k where k.kind = p_kind), p_run_at,
    ops.now()
  )
  on conflict (subject, kind) where failed_at is null do update
    set run_at = least(t.run_at, excluded.run_at), payload = t.payload || excluded.payload;
end;
$$;

revoke all on function generation.add_task(text, uuid, timestamptz, jsonb)
  from public, anon, authenticated, service_role;
comment on function generation.add_task(text, uuid, timestamptz, jsonb) is
  'Makes a task, or brings forward the one that is open.';

create function generation.retry_at(p_kind text, p_attempts integer)
returns timestamptz
language sql
volatile
set search_path = ''
as $$
  select ops.now() + make_interval(secs =>
    (least(k.max_seconds,
      -- 2^30 seconds are beyond every maximum; more would overflow.
      case k.backoff when 'fixed' then k.base_seconds else k.base_seconds * 2 ^ least(30, greatest(0, p_attempts - 1)) end
    ) * (1 - k.jitter * random()))::double precision
  )
  from generation.task_kinds as k
  where k.kind = p_kind
$$;

revoke all on function generation.retry_at(text, integer) from public, anon, authenticated, service_role;
comment on function generation.retry_at(text, integer) is 'When a kind of task runs again after so many attempts.';

create function generation.count_due_tasks()
returns integer
language sql
volatile
set search_path = ''
as $$
  select count(*)::integer
  from (
    select from generation.tasks as t
    where t.failed_at is null and t.run_at <= ops.now() and (t.leased_until is null or t.leased_until <= ops.now())
    limit 1000
  ) as due
$$;

revoke all on function generation.count_due_tasks() from public, anon, authenticated, service_role;
comment on function generation.count_due_tasks() is 'Tasks that wait for a worker; 1000 stands for more.';

create function public.claim_tasks(p_limit integer, p_job_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Leases up to p_limit due tasks, of one job if it is named, in order of priority and age, within each kind's
-- concurrency. `data` is a list of `{ task_id, kind, subject, attempt, payload, user_id, paths, submission }`, where
-- `paths` are the files that a `delete_files` or `erase_account` task removes, and `submission` is the one that a
-- provider has or may have: `{ submission_id, provider, provider_model, request_id, references }` or null.
-- Locks: an advisory lock, so that concurrent claims count right; it is held for about a millisecond. Rows that
-- another transaction holds are passed over.
declare
  v_now timestamptz;
  v_tasks jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended('generation.claim_tasks', 0));
  v_now := ops.now();

  with due as (
    select t.id, t.kind, row_number() over (partition by t.kind order by t.priority, t.run_at, t.id) as place
    from generation.tasks as t
    join generation.task_kinds as k on k.kind = t.kind
    where t.failed_at is null
      and t.run_at <= v_now
      and (t.leased_until is null or t.leased_until <= v_now)
      and (k.tries is null or t.attempts < k.tries)
      and (p_job_id is null or t.subject = p_job_id)
  ),
  admitted as (
    select d.id
    from due as d
    join generation.task_kinds as k on k.kind = d.kind
    where d.place <= k.concurrency - (
      select count(*) from generation.tasks as busy
      where busy.kind = d.kind and busy.failed_at is null and busy.leased_until > v_now
    )
  ),
  locked as (
    select t.id
    from generation.tasks as t
    where t.id in (select a.id from admitted as a)
    order by t.priority, t.run_at, t.id
    limit p_limit
    for update of t skip locked
  ),
  leased as (
    update generation.tasks as t
    set attempts = t.attempts + 1, leased_until = v_now + make_interval(secs => k.timeout_seconds)
    from locked as l, generation.task_kinds as k
    where t.id = l.id and k.kind = t.kind
    returning t.*
  )
  select coalesce(jsonb_agg(
    jsonb_build_object(
      'task_id', l.id, 'kind', l.kind, 'subject', l.subject, 'attempt', l.attempts, 'payload', l.payload,
      'user_id', case l.kind when 'erase_account' then l.subject else j.user_id end,
      'paths', case l.kind
        when 'delete_files' then (
          select coalesce(jsonb_agg(a.path), '[]')
          from generation.assets as a
          where a.job_id = l.subject and a.deleted_at is null
        )
        when 'erase_account' then (
          -- As many as storage removes within the time-out of a request.
          select coalesce(jsonb_agg(f.path), '[]')
          from (select p.path from generation.files_of(l.subject) as p (path) limit 100) as f
        )
        else '[]'
      end,
      'submission', case when s.id is not null then jsonb_build_object(
        'submission_id', s.id, 'provider', s.provider, 'provider_model', s.provider_model,
        'request_id', s.request_id, 'references', s.provider_references
      ) end
    ) order by l.priority, l.run_at, l.id
  ), '[]')
  into v_tasks
  from leased as l
  left join public.video_jobs as j on j.id = l.subject
  -- The newest submission that the provider has or may have had.
  left join lateral (
    select x.* from generation.submissions as x
    where x.job_id = l.subject and x.state in ('sending', 'accepted', 'unknown', 'ended')
    order by x.claimed_at desc
    limit 1
  ) as s on true;
  return guard.answer(v_tasks);
end;
$$;

revoke all on function public.claim_tasks(integer, uuid) from public, anon, authenticated;
grant execute on function public.claim_tasks(integer, uuid) to service_role;
comment on function public.claim_tasks(integer, uuid) is 'Hands due tasks to a worker, each to one at a time.';

create function generation.fail_task(p_task generation.tasks, p_error text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a task a dead letter. A dead `store` ends its job with ERR_6002 in the same statement of the caller; the
-- settlement deletes the tasks of the job, so only tasks without a job to end stay as dead letters.
begin
  update generation.tasks as t
  set failed_at = ops.now(), leased_until = null, last_error = p_error
  where t.id = p_task.id;
  if p_task.kind = 'store' then
    perform generation.settle_video_job(p_task.subject, 'failed', 'ERR_6002');
  end if;
end;
$$;

revoke all on function generation.fail_task(generation.tasks, text) from public, anon, authenticated, service_role;
comment on function generation.fail_task(generation.tasks, text) is 'The end of a task that has no tries left.';

create function public.retry_task(
  p_task_id bigint, p_attempt integer, p_error text, p_after_seconds numeric default null, p_code text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Gives a task back after an attempt that came to nothing: later by its kind's backoff (at least
-- p_after_seconds, where whoever refused named a time), or as a dead letter when no try is left. An attempt that
-- lost its lease to another changes nothing. With p_code, the attempt failed by an error of ours, which is recorded.
-- `data`: `{ state: "waiting" | "dead" | "lost" }`.
-- Locks: account → job → task → error log, since a dead task can end its job.
declare
  v_task generation.tasks;
  v_job public.video_jobs;
  v_tries integer;
begin
  perform generation.lock_job(t.subject) from generation.tasks as t where t.id = p_task_id;
  select t.* into v_task from generation.tasks as t where t.id = p_task_id for update;
  if not found or v_task.attempts <> p_attempt or v_task.failed_at is not null then
    return guard.answer('{"state": "lost"}');
  end if;
  if p_code is not null then
    -- Null where the subject is no job.
    select j.* into v_job from public.video_jobs as j where j.id = v_task.subject;
    perform public.record_error(p_code, 'process-jobs', v_job.user_id, v_job.request_id, jsonb_build_object(
      'task', v_task.kind, 'subject', v_task.subject, 'attempt', p_attempt, 'error', p_error
    ));
  end if;

  select k.tries into v_tries from generation.task_kinds as k where k.kind = v_task.kind;
  if v_task.attempts >= v_tries then
    perform generation.fail_task(v_task, p_error);
    return guard.answer('{"state": "dead"}');
  end if;
  update generation.tasks as t
  set leased_until = null, last_error = p_error,
      run_at = greatest(
        generation.retry_at(t.kind, t.attempts), ops.now() + make_interval(secs => p_after_seconds::double precision)
      )
  where t.id = v_task.id;
  return guard.answer('{"state": "waiting"}');
end;
$$;

revoke all on function public.retry_task(bigint, integer, text, numeric, text) from public, anon, authenticated;
grant execute on function public.retry_task(bigint, integer, text, numeric, text) to service_role;
comment on function public.retry_task(bigint, integer, text, numeric, text) is 'An attempt failed; the task goes on.';

create function generation.bury_tasks()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Makes dead letters of tasks whose last try ended with its worker, up to 100 a run. Returns how many.
-- Locks: account → job → task, one task at a time.
declare
  v_task generation.tasks;
  v_buried integer := 0;
begin
  for v_task in
    select t.*
    from generation.tasks as t
    join generation.task_kinds as k on k.kind = t.kind
    where t.failed_at is null and t.leased_until <= ops.now() and t.attempts >= k.tries
    order by t.id
    limit 100
  loop
    perform generation.lock_job(v_task.subject);
    perform from generation.tasks as t
    where t.id = v_task.id and t.failed_at is null and t.attempts = v_task.attempts
    for update;
    if found then
      perform generation.fail_task(v_task, 'the worker did not come back from the last try');
      v_buried := v_buried + 1;
    end if;
  end loop;
  return v_buried;
end;
$$;

revoke all on function generation.bury_tasks() from public, anon, authenticated, service_role;
comment on function generation.bury_tasks() is 'Scheduled: ends tasks whose worker died in the last try.';

insert into ops.scheduled_tasks (name, procedure, every)
values ('bury_tasks', 'generation.bury_tasks', interval '5 seconds');
