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
