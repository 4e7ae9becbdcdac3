create function api.claim_tasks(p_limit integer, p_job_id uuid default null)
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
  perform pg_advisory_xact_lock(hashtextextended('queue.claim_tasks', 0));
  v_now := core.now();

  with due as (
    select t.id, t.kind, row_number() over (partition by t.kind order by t.priority, t.run_at, t.id) as place
    from queue.tasks as t
    join queue.kinds as k on k.kind = t.kind
    where t.failed_at is null
      and t.run_at <= v_now
      and (t.leased_until is null or t.leased_until <= v_now)
      and (k.tries is null or t.attempts < k.tries)
      and (p_job_id is null or t.subject = p_job_id)
  ),
  admitted as (
    select d.id
    from due as d
    join queue.kinds as k on k.kind = d.kind
    where d.place <= k.concurrency - (
      select count(*) from queue.tasks as busy
      where busy.kind = d.kind and busy.failed_at is null and busy.leased_until > v_now
    )
  ),
  locked as (
    select t.id
    from queue.tasks as t
    where t.id in (select a.id from admitted as a)
    order by t.priority, t.run_at, t.id
    limit p_limit
    for update of t skip locked
  ),
  leased as (
    update queue.tasks as t
    set attempts = t.attempts + 1, leased_until = v_now + make_interval(secs => k.timeout_seconds)
    from locked as l, queue.kinds as k
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
          from videos.assets as a
          where a.job_id = l.subject and a.deleted_at is null
        )
        when 'erase_account' then (
          -- As many as storage removes within the time-out of a request.
          select coalesce(jsonb_agg(f.path), '[]')
          from (select p.path from videos.files_of(l.subject) as p (path) limit 100) as f
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
  left join videos.jobs as j on j.id = l.subject
  -- The newest submission that the provider has or may have had.
  left join lateral (
    select x.* from videos.submissions as x
    where x.job_id = l.subject and x.state in ('sending', 'accepted', 'unknown', 'ended')
    order by x.claimed_at desc
    limit 1
  ) as s on true;
  return guard.answer(v_tasks);
end;
$$;
grant execute on function api.claim_tasks to service_role;

create function api.retry_task(
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
  v_task queue.tasks;
  v_job videos.jobs;
  v_tries integer;
begin
  perform videos.lock_job(t.subject) from queue.tasks as t where t.id = p_task_id;
  select t.* into v_task from queue.tasks as t where t.id = p_task_id for update;
  if not found or v_task.attempts <> p_attempt or v_task.failed_at is not null then
    return guard.answer('{"state": "lost"}');
  end if;
  if p_code is not null then
    -- Null where the subject is no job.
    select j.* into v_job from videos.jobs as j where j.id = v_task.subject;
    perform ops.record_error(p_code, 'process-jobs', v_job.user_id, v_job.request_id, jsonb_build_object(
      'task', v_task.kind, 'subject', v_task.subject, 'attempt', p_attempt, 'error', p_error
    ));
  end if;

  select k.tries into v_tries from queue.kinds as k where k.kind = v_task.kind;
  if v_task.attempts >= v_tries then
    perform queue.fail(v_task, p_error);
    return guard.answer('{"state": "dead"}');
  end if;
  update queue.tasks as t
  set leased_until = null, last_error = p_error,
      run_at = greatest(
        queue.retry_at(t.kind, t.attempts), core.now() + make_interval(secs => p_after_seconds::double precision)
      )
  where t.id = v_task.id;
  return guard.answer('{"state": "waiting"}');
end;
$$;
grant execute on function api.retry_task to service_role;
