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
