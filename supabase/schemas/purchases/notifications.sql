create table purchases.notifications (
  -- Apple's UUID: the same each time that it is sent, and in its history.
  notification_id uuid primary key,
  environment purchases.environment not null,
  -- Apple's own words, also those that nobody here knows yet.
  type text not null check (char_length(type) between 1 and 100),
  subtype text check (char_length(subtype) between 1 and 100),
  signed_at timestamptz not null,
  -- The transaction that it is about, if it is about one.
  transaction_id text check (char_length(transaction_id) between 1 and 40),
  -- All of it, in our words: what is done about it is read from here.
  content jsonb not null,
  received_at timestamptz not null,
  -- Null until what it means is done.
  handled_at timestamptz,
  -- To a request for consumption: what we answered, and when Apple had it.
  answer jsonb,
  answered_at timestamptz
);
alter table purchases.notifications enable row level security;
create index notifications_unhandled on purchases.notifications (signed_at) where handled_at is null;
create index notifications_transaction on purchases.notifications (environment, transaction_id)
  where transaction_id is not null;
create index notifications_received_at on purchases.notifications using brin (received_at);
comment on table purchases.notifications is 'What Apple told, each notification once, and whether it was acted upon.';

-- How far Apple's history of notifications has been read.
create table purchases.history_reads (
  environment purchases.environment primary key,
  -- All that is older was asked for.
  read_until timestamptz not null
);
alter table purchases.history_reads enable row level security;
comment on table purchases.history_reads is 'Until when the notifications of an environment are known to be complete.';

create function purchases.store_notification(p_notification jsonb)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Stores a verified notification, and says whether it is new. A second call changes nothing.
begin
  insert into purchases.notifications (
    notification_id, environment, type, subtype, signed_at, transaction_id, content, received_at
  )
  values (
    (p_notification ->> 'notification_id')::uuid, (p_notification ->> 'environment')::purchases.environment,
    p_notification ->> 'type', p_notification ->> 'subtype', (p_notification ->> 'signed_at')::timestamptz,
    p_notification #>> '{transaction,transaction_id}', p_notification, core.now()
  )
  on conflict do nothing;
  return found;
end;
$$;

create function purchases.ask_for_history()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `read_notification_history`: has a worker ask Apple what was told and did not come. There is one such
-- task at a time. Its subject is no row: a name that is always the same.
begin
  perform queue.add('read_notification_history', '0190a000-0000-7000-8000-00000000a991', null, core.now());
end;
$$;

create function purchases.unhandled(p_limit integer)
returns setof uuid
language plpgsql
stable
set search_path = ''
as $$
-- Notifications that were stored and not acted upon, the oldest first, while purchases are switched on.
begin
  if ops.is_enabled('purchases') then
    return query
    select n.notification_id from purchases.notifications as n
    where n.handled_at is null
    order by n.signed_at
    limit p_limit;
  end if;
end;
$$;

create function purchases.handle(p_notification_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Does what a stored notification means: whatever its type is, its transaction is settled as it says. A request for
-- consumption becomes a task; consent that was rescinded suspends. One of a type that nobody knows is handled with that.
-- What is told about a closed account's purchase is forgotten with that, as its erasure forgets what was told before.
-- A second call changes nothing. Locks: notification → as purchases.settle.
declare
  v_notification purchases.notifications;
  v_told purchases.transactions;
  v_renewal jsonb;
  v_settled purchases.transactions;
begin
  select n.* into v_notification
  from purchases.notifications as n
  where n.notification_id = p_notification_id and n.handled_at is null
  for update;
  if not found then
    return;
  end if;
  if jsonb_typeof(v_notification.content -> 'transaction') = 'object' then
    v_told := jsonb_populate_record(null::purchases.transactions, v_notification.content -> 'transaction');
    v_renewal := nullif(v_notification.content -> 'renewal', 'null');
    -- It is the period whose successor was not paid that the customer is served for. What is told of a refund may be about an
    -- older one, and has the grace of the subscription with it all the same.
    if v_notification.type not in ('CONSUMPTION_REQUEST', 'REFUND', 'REFUND_DECLINED', 'REFUND_REVERSED', 'REVOKE') then
      v_told.grace_until := v_renewal ->> 'grace_period_expires_at';
    end if;
    select (s.settled).* into v_settled from purchases.settle(v_told, null, v_renewal) as s;
  end if;
  if v_notification.type = 'CONSUMPTION_REQUEST' and v_settled.id is not null then
    perform queue.add(
      'answer_consumption', v_settled.id, v_settled.owner_id, core.now(),
      jsonb_build_object('notification_id', p_notification_id)
    );
  elsif v_notification.type = 'RESCIND_CONSENT' then
    perform purchases.rescind_consent(v_notification.content #>> '{app_data,app_transaction_id}');
  end if;
  update purchases.notifications as n
  set handled_at = core.now(),
      content = case
        when v_settled.reason = 'closed_account'
          -- Settling has locked the account: it closes after this, and then its erasure finds it, or has closed before.
          or exists (select from accounts.users as u where u.id = v_settled.owner_id and u.closed_at is not null)
        then '{}' else n.content
      end
  where n.notification_id = p_notification_id;
end;
$$;

create function purchases.rescind_consent(p_app_transaction_id text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A parent has taken back that their child may use the app: who bought with that Apple Account, or came with it to a device
-- check, is suspended, which the operator sees, in ops.admin_actions and as an alert. A second call changes nothing. Locks: users.
declare
  v_user_ids constant uuid[] := array(
    select t.owner_id from purchases.transactions as t
    where t.app_transaction_id = p_app_transaction_id and t.owner_id is not null
    union
    select devices.users_of_app_transaction(p_app_transaction_id)
    order by 1
  );
  v_user_id uuid;
begin
  foreach v_user_id in array v_user_ids loop
    perform ops.suspend(v_user_id, 'Apple: consent for this app account was rescinded (RESCIND_CONSENT)');
  end loop;
  perform ops.raise_alert('consent_rescinded', 'RESCIND_CONSENT', jsonb_build_object('users', v_user_ids));
end;
$$;

select core.keep_rows_out_of_logs('purchases.notifications');
