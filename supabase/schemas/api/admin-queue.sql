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
