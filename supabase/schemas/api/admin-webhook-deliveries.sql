create function api.get_admin_webhook_deliveries(
  p_admin_id uuid, p_webhook_id uuid, p_limit integer, p_status text default null, p_after jsonb default null,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of what a webhook was told or is to be told, newest first, or of what is in one state: `data` is `{ deliveries,
-- next }`, deliveries being as webhooks.delivery_json has them; none where there is no such webhook. Counts against `admin`.
-- Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_deliveries jsonb;
  v_next jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhook-deliveries', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select coalesce(jsonb_agg(webhooks.delivery_json(p.shown) order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'created_at', (p.shown).created_at, 'id', (p.shown).id
    ) order by p.place) -> p_limit - 1 end
  into v_deliveries, v_next
  from (
    select f.shown, row_number() over (order by (f.shown).created_at desc, (f.shown).id desc) as place
    -- Each from its index: one condition for all would read the whole to find the few.
    from (
      (
        select d as shown from events.deliveries as d
        where p_status is null and d.target = p_webhook_id and (d.created_at, d.id) < (v_before, v_before_id)
        order by d.created_at desc, d.id desc
        limit p_limit + 1
      )
      union all
      (
        select d as shown from events.deliveries as d
        where p_status = 'pending' and d.target = p_webhook_id and d.outcome is null
          and (d.created_at, d.id) < (v_before, v_before_id)
        order by d.created_at desc, d.id desc
        limit p_limit + 1
      )
      union all
      (
        select d as shown from events.deliveries as d
        where p_status <> 'pending' and d.target = p_webhook_id and d.outcome = nullif(p_status, 'pending')::events.outcome
          and (d.created_at, d.id) < (v_before, v_before_id)
        order by d.created_at desc, d.id desc
        limit p_limit + 1
      )
    ) as f
  ) as p;
  return guard.answer(jsonb_build_object('deliveries', v_deliveries, 'next', v_next), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_webhook_deliveries to service_role;

create function api.post_admin_webhook_deliveries(
  p_admin_id uuid, p_request_id text, p_delivery_id uuid default null, p_webhook_id uuid default null,
  p_test boolean default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Sends what a delivery told once more, under the same id and with all its tries; or, with p_webhook_id and p_test, an event
-- of the type `webhook.test` to that webhook: `data` is the delivery. One that waits is tried at once. resource/not-found
-- where it is not there, or its webhook is gone; resource/wrong-state (`disabled`) where the webhook is disabled. A second
-- call sends it again. Counts against `admin`. Locks: rate-limit row → webhook → delivery → task.
declare
  v_caller record;
  v_refusal jsonb;
  v_delivery_id uuid;
  v_delivery jsonb;
  v_webhook webhooks.webhooks;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhook-deliveries', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select w.* into v_webhook
  from webhooks.webhooks as w
  where w.id = coalesce(
    p_webhook_id, (select d.target from events.deliveries as d where d.id = p_delivery_id and d.channel = 'webhook')
  )
  for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_webhook.id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if not v_webhook.is_enabled then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', 'disabled'), v_caller.limits, v_caller.language);
  end if;
  if p_test then
    v_delivery_id := events.tell(
      'webhook.test', jsonb_build_object('webhook_id', v_webhook.id), 'webhook', v_webhook.id,
      jsonb_build_object('request_id', p_request_id)
    );
  else
    v_delivery_id := p_delivery_id;
    if not events.deliver_again(v_delivery_id) then
      perform queue.hasten('deliver_webhook', v_delivery_id);
    end if;
  end if;
  select webhooks.delivery_json(d) into v_delivery from events.deliveries as d where d.id = v_delivery_id;
  -- Its event went while its lock was waited for.
  if v_delivery is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(v_delivery, v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_admin_webhook_deliveries to service_role;
