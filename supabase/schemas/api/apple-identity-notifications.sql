create function api.apple_identity_notifications(p_notification jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Does what a notification that is proved to be Apple's tells of an identity, and keeps that it was told. `p_notification`:
-- `{ notification_id, type, subject, event_at }`. `data`: `{ effect }`, as accounts.heed_identity_notification says it. A second
-- call, also one at the same time, changes nothing, and is `replayed`. Locks: notification → as
-- accounts.heed_identity_notification.
declare
  v_id constant text := p_notification ->> 'notification_id';
  v_heeded record;
begin
  insert into accounts.identity_notifications (notification_id, type, subject, event_at, received_at, effect)
  values (
    v_id, p_notification ->> 'type', p_notification ->> 'subject', (p_notification ->> 'event_at')::timestamptz, core.now(), 'noted'
  )
  on conflict do nothing;
  if not found then
    return guard.answer('{"effect": "replayed"}');
  end if;
  select h.* into v_heeded
  from accounts.heed_identity_notification(
    p_notification ->> 'type', p_notification ->> 'subject', (p_notification ->> 'event_at')::timestamptz
  ) as h;
  update accounts.identity_notifications as n
  set effect = v_heeded.effect, user_id = v_heeded.user_id
  where n.notification_id = v_id;
  return guard.answer(jsonb_build_object('effect', v_heeded.effect));
end;
$$;
grant execute on function api.apple_identity_notifications to service_role;
