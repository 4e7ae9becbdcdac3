create function api.get_notifications(
  p_user_id uuid, p_limit integer, p_after jsonb default null, p_unread boolean default false, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the caller's inbox, newest first, of the unread ones alone where that is asked: `data` is `{ notifications,
-- unread, next }`, notifications being `{ id, type, data, read_at, created_at }`, and unread the number of all that are.
-- Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_notifications jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'notifications', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select coalesce(jsonb_agg(p.notification order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(p.position order by p.place) -> p_limit - 1 end
  into v_notifications, v_next
  from (
    select row_number() over (order by n.created_at desc, n.id desc) as place,
      jsonb_build_object('created_at', n.created_at, 'id', n.id) as position, notify.notification_json(n) as notification
    -- Each from its index: one condition for both would read all to find the few that are unread.
    from (
      (
        select a.* from notify.notifications as a
        where not p_unread and a.user_id = p_user_id and (a.created_at, a.id) < (v_before, v_before_id)
        order by a.created_at desc, a.id desc
        limit p_limit + 1
      )
      union all
      (
        select u.* from notify.notifications as u
        where p_unread and u.user_id = p_user_id and u.read_at is null and (u.created_at, u.id) < (v_before, v_before_id)
        order by u.created_at desc, u.id desc
        limit p_limit + 1
      )
    ) as n
  ) as p;
  return guard.answer(
    jsonb_build_object('notifications', v_notifications, 'unread', notify.unread(p_user_id), 'next', v_next),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_notifications to service_role;

create function api.patch_notifications(p_user_id uuid, p_ids uuid[] default null, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Marks as read what p_ids names of the caller's inbox, all of it where that is null: `data` is `{ unread }`, how many are
-- left. What is another's, or gone, is passed over. A second call changes nothing. Counts against `writes`. Locks:
-- rate-limit row → account, so that of two calls at once the second counts what the first has marked → notifications.
declare
  v_caller record;
begin
  v_caller := guard.enter(p_user_id, 'notifications', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  perform notify.mark_read(p_user_id, p_ids);
  return guard.answer(jsonb_build_object('unread', notify.unread(p_user_id)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_notifications to service_role;
