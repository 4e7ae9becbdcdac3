create function notify.tell(p_event_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
-- Realtime makes and drops the partitions of its table, which whoever sends then waits for; with them would wait a user's
-- account, until the call is cancelled and the fact undone.
set lock_timeout = '100ms'
as $$
-- Sends an event to its user over Realtime, on the channel that accounts.may_listen opens, when the transaction commits. Who is
-- suspended, closed or merged is sent nothing: a channel that they joined before stays open until its token ends. It may be
-- lost, as where the table of messages cannot be had at once, and is sent once: a second call sends it again. Locks: nothing.
begin
  perform realtime.send(
    jsonb_build_object(
      'id', l.id, 'type', split_part(l.type, '.', 1), 'action', split_part(l.type, '.', 2), 'data', l.data,
      'timestamp', core.to_iso(l.created_at)
    ),
    split_part(l.type, '.', 1), accounts.channel_of(l.user_id), true
  )
  from events.log as l
  where l.id = p_event_id and l.user_id is not null and accounts.is_active(l.user_id);
end;
$$;
