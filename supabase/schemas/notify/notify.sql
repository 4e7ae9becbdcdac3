-- notify: what users are told. In this order: notify.sql (the inbox), preferences.sql (what they want to hear),
-- delivering.sql, push.sql (devices, and what they are told), realtime.sql (what is told at once).

create schema notify;

create table notify.notifications (
  -- The delivery's: an attempt that comes again finds it.
  id uuid primary key,
  user_id uuid not null,
  -- The event's. The words are made of both when somebody reads them, in their language.
  type text not null,
  data jsonb not null,
  created_at timestamptz not null,
  read_at timestamptz
) with (fillfactor = 80);
alter table notify.notifications enable row level security;
-- A user's, newest first; and the same of those that are unread, which are also counted here.
create index notifications_user on notify.notifications (user_id, created_at desc, id desc);
create index notifications_unread on notify.notifications (user_id, created_at desc, id desc) where read_at is null;
create index notifications_created_at on notify.notifications using brin (created_at) with (autosummarize = on);
comment on table notify.notifications is 'What users find in their inbox.';

create function notify.unread(p_user_id uuid)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- How many of a user's notifications are unread.
  select count(*) from notify.notifications as n where n.user_id = p_user_id and n.read_at is null
$$;

-- A notification as the API shows it; its title and body are added in the caller's language.
create function notify.notification_json(p_notification notify.notifications)
returns jsonb
language sql
stable
return jsonb_build_object(
  'id', (p_notification).id, 'type', (p_notification).type, 'data', (p_notification).data,
  'read_at', core.to_iso((p_notification).read_at), 'created_at', core.to_iso((p_notification).created_at)
);

create function notify.mark_read(p_user_id uuid, p_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Marks notifications of a user as read, all of them where p_ids is null; those that are not theirs are passed over. A second
-- call changes nothing. The caller has locked the account. Locks: those notifications.
declare
  v_now constant timestamptz := core.now();
begin
  update notify.notifications as n set read_at = v_now
  where n.user_id = p_user_id and n.read_at is null and (p_ids is null or n.id = any (p_ids));
end;
$$;

create function notify.forget(p_user_id uuid, p_about jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes out of a user's inbox what is about what they have deleted: those whose data contain p_about. Comes after events.forget,
-- which waits for whoever is writing one. A second call finds none. Locks: those notifications.
begin
  delete from notify.notifications as n where n.user_id = p_user_id and n.data @> p_about;
end;
$$;

select core.keep_rows_out_of_logs('notify.notifications');
