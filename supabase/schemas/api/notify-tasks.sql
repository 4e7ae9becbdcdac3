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
