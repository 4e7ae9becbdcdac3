create function api.app_store_notifications(p_notification jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Stores a notification that is proved to be Apple's, and does what it means. What cannot be done now is done by the tick:
-- it is stored all the same. `data`: `{ effect: "handled" | "stored" | "replayed" }`. A second call changes nothing.
-- Locks: notification → as purchases.settle.
declare
  v_id constant uuid := p_notification ->> 'notification_id';
begin
  if not purchases.store_notification(p_notification) then
    return guard.answer('{"effect": "replayed"}');
  end if;
  if not ops.is_enabled('purchases') then
    return guard.answer('{"effect": "stored"}');
  end if;
  begin
    perform purchases.handle(v_id);
  exception
    -- The caller tries the whole again.
    when deadlock_detected or serialization_failure then
      raise;
    when others then
      perform ops.record_error(
        core.error_code('internal/error'), 'app-store-notifications', null, null,
        jsonb_build_object('notification_id', v_id, 'error', format('%s: %s', sqlstate, sqlerrm))
      );
      return guard.answer('{"effect": "stored"}');
  end;
  return guard.answer('{"effect": "handled"}');
end;
$$;
grant execute on function api.app_store_notifications to service_role;
