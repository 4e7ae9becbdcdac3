create function webhooks.delivery_facts(p_delivery_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- What the worker sends for a delivery, where to, and the sealed secrets to sign it with, the one in use first: `{ event,
-- webhook }`. Null where the event or the webhook is gone, or the webhook is disabled.
begin
  return (
    select jsonb_build_object(
      'event', jsonb_build_object(
        'id', l.id, 'type', l.type, 'user_id', l.user_id, 'data', l.data, 'created_at', core.to_iso(l.created_at)
      ),
      'webhook', jsonb_build_object('id', w.id, 'url', w.url, 'secrets', (
        select jsonb_agg(s.sealed order by s.expires_at desc nulls first)
        from webhooks.secrets as s
        where s.webhook_id = w.id and coalesce(s.expires_at > core.now(), true)
      ))
    )
    from events.deliveries as d
    join events.log as l on l.id = d.event_id
    join webhooks.webhooks as w on w.id = d.target
    where d.id = p_delivery_id and w.is_enabled
  );
end;
$$;

create function webhooks.retry_delay(p_tries integer)
returns interval
language sql
volatile
set search_path = ''
as $$
  -- How long to wait after so many attempts: the schedule of Standard Webhooks, which ends after three days, and up to a
  -- tenth more, so that what failed together does not come back together.
  select (
    '{5 seconds, 5 minutes, 30 minutes, 2 hours, 5 hours, 10 hours, 14 hours, 20 hours, 24 hours}'::interval[]
  )[least(greatest(p_tries, 1), 9)] * (1 + 0.1 * random())
$$;

create function webhooks.end_attempt(
  p_task_id bigint, p_attempt integer, p_delivery_id uuid, p_answer jsonb, p_failure text, p_retry_after integer,
  p_is_final boolean
)
returns text
language plpgsql
volatile
set search_path = ''
as $$
-- What became of an attempt, with the answer as the operator reads it (`{ status, duration_ms, text }`): `delivered` where
-- p_failure is null; else `waiting` for the next try, `dead` after the last one or with p_is_final, `dropped` where the webhook is gone or
-- disabled meanwhile, `disabled` where this attempt disabled it: it answered 410, or nothing has succeeded for five days. Its own delivery is dropped
-- with it, and others as webhooks.silence says.
-- `lost`, and nothing changes, for a failure of an attempt that lost its task to another; what was delivered stays so.
-- Locks: webhook → deliveries → tasks → alert.
declare
  v_now timestamptz;
  v_delivery events.deliveries;
  v_webhook webhooks.webhooks;
  v_task queue.tasks;
  v_reason webhooks.disabled_reason;
begin
  select d.* into v_delivery from events.deliveries as d where d.id = p_delivery_id;
  if p_failure is null then
    update webhooks.webhooks as w set failing_since = null where w.id = v_delivery.target and w.failing_since is not null;
    perform events.note_attempt(p_delivery_id, p_answer);
    perform events.end_delivery(p_delivery_id, 'delivered');
    perform queue.finish(p_task_id, p_attempt);
    return 'delivered';
  end if;

  select w.* into v_webhook from webhooks.webhooks as w where w.id = v_delivery.target for no key update;
  select t.* into v_task from queue.tasks as t where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null;
  if v_task.id is null then
    return 'lost';
  end if;
  if p_answer is not null then
    perform events.note_attempt(p_delivery_id, p_answer);
  end if;
  if v_webhook.is_enabled is not true then
    perform events.end_delivery(p_delivery_id, 'dropped', 'the webhook is disabled');
    perform queue.finish(p_task_id, p_attempt);
    return 'dropped';
  end if;

  if p_is_final then
    perform queue.finish(p_task_id, p_attempt);
    perform webhooks.give_up_delivery(p_delivery_id, p_failure);
    return 'dead';
  end if;

  v_now := core.now();
  v_reason := case
    when (p_answer ->> 'status')::integer = 410 then 'gone'
    when p_answer is not null and v_webhook.failing_since <= v_now - interval '5 days' then 'failing'
  end;
  if v_reason is not null then
    update webhooks.webhooks as w
    set is_enabled = false, disabled_reason = v_reason, failing_since = coalesce(w.failing_since, v_now)
    where w.id = v_webhook.id;
    perform events.end_delivery(p_delivery_id, 'dropped', 'the webhook is disabled');
    perform queue.finish(p_task_id, p_attempt);
    perform webhooks.silence(v_webhook.id);
    perform ops.raise_alert('webhook_disabled', format('webhook %s', v_webhook.id), jsonb_build_object(
      'host', webhooks.record_json(v_webhook) -> 'host', 'reason', v_reason, 'failure', p_failure
    ));
    return 'disabled';
  end if;
  -- What failed before the server was asked says nothing of it.
  if v_webhook.failing_since is null and p_answer is not null then
    update webhooks.webhooks as w set failing_since = v_now where w.id = v_webhook.id;
  end if;
  return queue.retry(p_task_id, p_attempt, p_failure, extract(epoch from greatest(
    webhooks.retry_delay(v_task.attempts - v_task.uncounted_attempts),
    -- Whoever asks for more than a day is asked again after one.
    case when p_retry_after is not null then make_interval(secs => least(p_retry_after, 86400)) end
  )));
end;
$$;

create function webhooks.give_up_delivery(p_delivery_id uuid, p_error text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- No try is left to tell a webhook: the operator is told, but of an alert that could not be told, which would raise the
-- next one for ever. A second call tells once more. Locks: delivery → alert.
declare
  v_event constant events.log := events.of_delivery(p_delivery_id);
begin
  perform events.end_delivery(p_delivery_id, 'dead', coalesce(p_error, 'no cause was given'));
  if coalesce(v_event.type not like 'alert.%', true) then
    perform ops.raise_alert(
      'delivery_dead',
      (select format('webhook %s', d.target) from events.deliveries as d where d.id = p_delivery_id),
      jsonb_build_object('delivery_id', p_delivery_id)
    );
  end if;
end;
$$;

create function webhooks.delivery_json(p_delivery events.deliveries)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- A delivery as the operator sees it.
  select jsonb_build_object(
    'delivery_id', (p_delivery).id, 'webhook_id', (p_delivery).target, 'event_id', (p_delivery).event_id, 'type', l.type,
    'status', coalesce((p_delivery).outcome::text, 'pending'), 'attempts', (p_delivery).attempts,
    'attempted_at', core.to_iso((p_delivery).attempted_at),
    'next_attempt_at', core.to_iso(queue.next_run('deliver_webhook', (p_delivery).id)),
    'response', (p_delivery).answer, 'reason', (p_delivery).reason, 'created_at', core.to_iso((p_delivery).created_at),
    'ended_at', core.to_iso((p_delivery).ended_at)
  )
  from events.log as l where l.id = (p_delivery).event_id
$$;
