-- Push: the devices that are told, and how each delivery to them ends.

create type notify.push_environment as enum ('production', 'sandbox');

create table notify.push_tokens (
  -- Apple's name of an app on a device, in hexadecimal. A device belongs to whoever registered it last.
  token text primary key check (token ~ '^[0-9a-f]{64,200}$'),
  user_id uuid not null,
  -- Where Apple knows it; mended where it turns out to be the other one.
  environment notify.push_environment not null,
  registered_at timestamptz not null
);
alter table notify.push_tokens enable row level security;
create index push_tokens_user on notify.push_tokens (user_id, registered_at desc);
comment on table notify.push_tokens is 'The devices that are told, each of one user.';

select core.keep_rows_out_of_logs('notify.push_tokens');

create function notify.register_token(p_user_id uuid, p_token text, p_environment notify.push_environment)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a device its user's, whoever had it before; of eleven that a user has, the one that was registered longest ago goes. A
-- second call says that it is still there. The caller has locked the account. Locks: that token → the user's oldest ones,
-- unless another takes them just now.
begin
  insert into notify.push_tokens as t (token, user_id, environment, registered_at)
  values (p_token, p_user_id, p_environment, core.now())
  on conflict (token) do update
    set user_id = excluded.user_id, environment = excluded.environment, registered_at = excluded.registered_at;
  delete from notify.push_tokens as t
  where t.token in (
    select o.token from notify.push_tokens as o
    where o.user_id = p_user_id and o.token <> p_token
    order by o.registered_at desc, o.token
    offset 9
    for update skip locked
  );
end;
$$;

create function notify.has_devices(p_user_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether there is a device to be told of what happens to a user; to the others no push is delivered at all.
begin
  return exists (select from notify.push_tokens as t where t.user_id = p_user_id);
end;
$$;

create function notify.push_silence(p_event events.log, p_user accounts.users)
returns text
language sql
stable
set search_path = ''
as $$
  -- Why an event is pushed to nobody; null where it is to be pushed.
  select case
    when p_user.id is null then 'it is about no user'
    when p_user.closed_at is not null then 'the account is closed'
    when p_user.is_banned then 'the account is suspended'
    when not notify.wants(p_user, p_event.type, 'push') then 'its user does not want it'
    when not notify.has_devices(p_user.id) then 'no device is registered'
  end
$$;

create function notify.push_facts(p_delivery_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- What a `deliver_push` task is to send, and where to: `{ event: { id, type, data, created_at }, language, devices: [{ token,
-- environment, registered_at, apns_id }] }`, the devices being those of whoever the event's user is by now, and none where
-- it is pushed to nobody. A device's `apns_id` is the same at each try. Null where the delivery is gone. Takes no lock.
declare
  v_event constant events.log := events.of_delivery(p_delivery_id);
  v_user accounts.users;
begin
  if v_event.id is null then
    return null;
  end if;
  select u.* into v_user from accounts.users as u where u.id = accounts.heir_of(v_event.user_id);
  return jsonb_build_object(
    'event', jsonb_build_object(
      'id', v_event.id, 'type', v_event.type, 'data', v_event.data, 'created_at', core.to_iso(v_event.created_at)
    ),
    'language', v_user.language,
    'devices', case when notify.push_silence(v_event, v_user) is null then (
      select jsonb_agg(jsonb_build_object(
        'token', t.token, 'environment', t.environment, 'registered_at', t.registered_at,
        -- What no server has seen tells nobody anything, so that any hash will do.
        'apns_id', md5(p_delivery_id::text || t.token)::uuid
      ) order by t.registered_at, t.token)
      -- Whose guests came with devices of theirs may have more than ten, until they register another.
      from (
        select d.* from notify.push_tokens as d
        where d.user_id = v_user.id
        order by d.registered_at desc, d.token
        limit 10
      ) as t
    ) else '[]' end
  );
end;
$$;

create function notify.learn_of_tokens(p_answers jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What Apple's answers say of tokens: `[{ token, registered_at, outcome, environment, gone_at }]`. One that is `gone` is removed,
-- and one that Apple knows in the other environment is mended, unless it was registered anew after it was sent to, or
-- after Apple saw it go. A second call changes nothing more. Locks: those tokens, in their order.
begin
  perform from notify.push_tokens as t
  where t.token in (select a.answer ->> 'token' from jsonb_array_elements(p_answers) as a (answer))
  order by t.token
  for update;
  delete from notify.push_tokens as t
  using jsonb_array_elements(p_answers) as a (answer)
  where t.token = a.answer ->> 'token' and a.answer ->> 'outcome' = 'gone'
    and t.registered_at <= coalesce(
      (a.answer ->> 'gone_at')::timestamptz, (a.answer ->> 'registered_at')::timestamptz
    );
  update notify.push_tokens as t
  set environment = (a.answer ->> 'environment')::notify.push_environment
  from jsonb_array_elements(p_answers) as a (answer)
  where t.token = a.answer ->> 'token' and a.answer ->> 'outcome' = 'sent'
    and t.registered_at = (a.answer ->> 'registered_at')::timestamptz
    and t.environment <> (a.answer ->> 'environment')::notify.push_environment;
end;
$$;

create function notify.end_push(p_delivery_id uuid, p_sent boolean, p_reason text)
returns events.outcome
language plpgsql
volatile
set search_path = ''
as $$
-- How a delivery to devices ended: `delivered` where one of them was sent to; else `dropped`, with the reason why no push is
-- to be, or Apple's own. Null where the delivery is gone. The caller has locked the user. Locks: delivery.
declare
  v_event constant events.log := events.of_delivery(p_delivery_id);
  v_outcome constant events.outcome := case when p_sent then 'delivered' else 'dropped' end;
  v_user accounts.users;
begin
  if v_event.id is null then
    return null;
  end if;
  select u.* into v_user from accounts.users as u where u.id = accounts.heir_of(v_event.user_id);
  perform events.end_delivery(
    p_delivery_id, v_outcome,
    case when not p_sent then coalesce(p_reason, notify.push_silence(v_event, v_user), 'no device is registered') end
  );
  return v_outcome;
end;
$$;
