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
