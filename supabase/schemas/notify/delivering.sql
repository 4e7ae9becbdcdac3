create function notify.deliver(p_delivery_id uuid)
returns events.outcome
language plpgsql
volatile
set search_path = ''
as $$
-- Writes the notification that a delivery to the inbox stands for, to whoever its user is by now: `delivered`. `dropped`
-- where the account is closed, or its user does not want to hear it there; null where the delivery is gone. A second call
-- writes nothing more. Locks: user, so that nobody merges or closes them meanwhile → delivery.
declare
  v_event events.log := events.of_delivery(p_delivery_id);
  v_user accounts.users;
  v_reason text;
  v_outcome events.outcome := 'dropped';
begin
  if v_event.id is null then
    return null;
  end if;
  v_user := accounts.hold_user(v_event.user_id);
  -- What it is about may have been deleted meanwhile.
  v_event := events.begin_delivery(p_delivery_id);
  if v_event.id is null then
    return null;
  end if;
  v_reason := case
    when v_user.id is null then 'it is about no user'
    when v_user.closed_at is not null then 'the account is closed'
    when not notify.wants(v_user, v_event.type, 'inbox') then 'its user does not want it'
  end;
  if v_reason is null then
    v_outcome := 'delivered';
    insert into notify.notifications (id, user_id, type, data, created_at)
    values (p_delivery_id, v_user.id, v_event.type, v_event.data, core.now())
    on conflict (id) do nothing;
  end if;
  perform events.end_delivery(p_delivery_id, v_outcome, v_reason);
  return v_outcome;
end;
$$;

create function notify.wants(p_user accounts.users, p_type text, p_channel text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether a user is told of a type by a channel: one by which it can be told, and that they have not switched off.
begin
  return exists (
    select from unnest(events.types()) as t
    where t.type = p_type and p_channel = any (t.channels)
      and coalesce((p_user.notification_preferences -> p_type ->> p_channel)::boolean, true)
  );
end;
$$;

create function notify.give_up_delivery(p_delivery_id uuid, p_error text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- No try is left to deliver to the inbox, or to a device: the operator is told by which channel. A second call tells once
-- more. Locks: delivery → alert.
begin
  perform events.end_delivery(p_delivery_id, 'dead', coalesce(p_error, 'no cause was given'));
  perform ops.raise_alert('delivery_dead', d.channel, jsonb_build_object('delivery_id', p_delivery_id))
  from events.deliveries as d
  where d.id = p_delivery_id;
end;
$$;
