create function api.begin_device_check(
  p_user_id uuid, p_network text, p_session_id uuid default null, p_app_transaction jsonb default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Limits, and what is known. `data`: `{ user_id, app_account_token, credits_remaining, is_new, is_granted, intent_good_in }`, the last one
-- in seconds: until an intent of theirs in this network is good for this check, 0 where one is, null where there is
-- none. Whose grant is settled has nothing left to check: that counts in `reads`, and costs their network nothing.
-- p_app_transaction, `{ environment, app_transaction_id }` and verified, is noted for whoever comes with it first.
-- Locks: rate-limit rows → account → expired lots → the app transaction.
declare
  v_is_granted constant boolean := exists (select from devices.grants as g where g.user_id = p_user_id);
  v_caller record;
  v_now timestamptz;
  v_good_from timestamptz;
begin
  v_caller := guard.enter(
    p_user_id, 'device-check',
    case when v_is_granted then '{reads}' else '{device_check,device_check_network}' end::text[], p_network, p_locks => true,
    p_session_id => p_session_id
  );
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if p_app_transaction is not null then
    perform devices.note_app_transaction(p_user_id, p_app_transaction);
  end if;
  v_now := core.now();
  select min(i.good_from) into v_good_from
  from devices.intents as i
  where i.user_id = p_user_id and i.network = devices.network_of(p_network)
    and i.granted_at is null and i.good_until > v_now;
  return guard.answer(
    jsonb_build_object(
      'user_id', p_user_id, 'app_account_token', (select u.app_account_token from accounts.users as u where u.id = p_user_id),
      'credits_remaining', v_caller.balance, 'is_new', v_caller.is_new,
      'is_granted', exists (select from devices.grants as g where g.user_id = p_user_id),
      'intent_good_in', case
        when v_good_from is not null then greatest(0, ceil(date_part('epoch', v_good_from - v_now)))
      end
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.begin_device_check to service_role;

create function api.enter_device_lane(p_network text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Enters the lane of a network for 10 seconds. `data`: `{ lane, retry_after }`: the holder's id; or null where another
-- check has it, with the seconds until its lease is over. Nobody waits, since who does keeps one of the Data API's
-- connections. A second call finds the lane taken by the first. Locks: the lane.
declare
  v_network constant text := devices.network_of(p_network);
  v_holder constant uuid := gen_random_uuid();
  v_leased_until timestamptz;
begin
  insert into devices.lanes as l (network, holder, leased_until)
  values (v_network, v_holder, core.now() + interval '10 seconds')
  on conflict (network) do update
    set holder = excluded.holder, leased_until = excluded.leased_until
    where l.leased_until <= core.now();
  if found then
    return guard.answer(jsonb_build_object('lane', v_holder, 'retry_after', null));
  end if;
  select l.leased_until into v_leased_until from devices.lanes as l where l.network = v_network;
  return guard.answer(jsonb_build_object(
    -- It may have been left this moment, and its row be gone.
    'lane', null, 'retry_after', greatest(1, ceil(date_part('epoch', v_leased_until - core.now())))
  ));
end;
$$;
grant execute on function api.enter_device_lane to service_role;

create function api.leave_device_lane(p_network text, p_lane uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Leaves the lane by whoever knows that they have set no bit, and never will. The intent that was made in it goes, or
-- any bit that is set would be good for it; so the limits no longer count it. One that is still being recorded is
-- waited for, and one that comes later finds the lane left. `data`: `{ left }`; false where the lease was already
-- another's, as in a second call. Locks: lane → intent.
declare
  v_left boolean;
begin
  delete from devices.lanes as l where l.network = devices.network_of(p_network) and l.holder = p_lane;
  v_left := found;
  delete from devices.intents as i where i.lane = p_lane and i.granted_at is null;
  return guard.answer(jsonb_build_object('left', v_left));
end;
$$;
grant execute on function api.leave_device_lane to service_role;

create function api.record_device_intent(
  p_user_id uuid, p_network text, p_lane uuid, p_session_id uuid default null, p_app_transaction jsonb default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The last step before the device's bit is set. `data`: `{ recorded, is_granted, reason, retry_after }`. Where it is
-- not recorded, the bit must stay as it is: the user, or their Apple Account by p_app_transaction, was granted meanwhile, or
-- there is a reason to come again, in so
-- many seconds: `busy`, the lane is no longer ours, or not for long enough, or grants are switched off; `network_limit`, the grants of the network,
-- or of all, are used up. An intent belongs to this check alone; an earlier one of the account in the network, whose
-- check is over and has not set this device's bit, gives way to it and counts no more. For whoever may no longer act,
-- no bit is set. A second call records nothing new. Locks: account → lane → policies.
declare
  v_network constant text := devices.network_of(p_network);
  v_caller record;
  v_now timestamptz;
  v_admitted record;
begin
  v_caller := accounts.admit(p_user_id, p_session_id => p_session_id);
  if v_caller.refusal is null then
    v_caller := accounts.lock(p_user_id);
  end if;
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  -- The bit is set within 8 of the 10 seconds or not at all: whoever comes later than that has given up.
  perform from devices.lanes as l
  where l.network = v_network and l.holder = p_lane and l.leased_until > core.now() + interval '2 seconds'
  for update;
  if not found then
    return guard.answer('{"recorded": false, "is_granted": false, "reason": "busy", "retry_after": 10}');
  end if;
  if exists (select from devices.grants as g where g.user_id = p_user_id) or devices.is_granted(p_app_transaction) then
    return guard.answer('{"recorded": false, "is_granted": true}');
  end if;
  if exists (select from devices.intents as i where i.lane = p_lane and i.user_id = p_user_id) then
    return guard.answer('{"recorded": true, "is_granted": false}');
  end if;
  if not ops.is_enabled('grants') then
    return guard.answer('{"recorded": false, "is_granted": false, "reason": "busy", "retry_after": 300}');
  end if;
  v_now := core.now();
  delete from devices.intents as i
  where i.user_id = p_user_id and i.network = v_network and i.granted_at is null and i.good_from <= v_now;
  v_admitted := devices.admit_intent(v_network, p_app_transaction is not null);
  if v_admitted.reason is not null then
    return guard.answer(
      jsonb_build_object(
        'recorded', false, 'is_granted', false, 'reason', v_admitted.reason, 'retry_after', v_admitted.retry_after
      ),
      v_admitted.limits
    );
  end if;
  v_now := core.now();
  insert into devices.intents (lane, user_id, network, good_from, good_until)
  values (
    p_lane, p_user_id, v_network,
    -- Its own check has ended by then: 8 seconds for Apple, and two calls of the Data API, which wait 10 each.
    v_now + interval '30 seconds',
    -- For an app that is opened again after a crash, and no longer: it is good for any device whose bit is set.
    v_now + interval '10 minutes'
  );
  return guard.answer('{"recorded": true, "is_granted": false}', v_admitted.limits);
end;
$$;
grant execute on function api.record_device_intent to service_role;

create function api.grant_device_credits(
  p_user_id uuid, p_network text, p_lane uuid, p_session_id uuid default null, p_app_transaction jsonb default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Grants the 10 credits of a device whose bit is set for this user, and leaves the lane, if there is one. It takes the
-- intent of this lane, or one of theirs in this network that is good for a later check. `data`:
-- `{ credits, credits_remaining }`, `credits` being what this call granted: a second call grants 0, and so does one
-- without an intent, or whose Apple Account, by p_app_transaction, has had its grant. Locks: account → lane → intent → the
-- app transaction → lots.
declare
  v_network constant text := devices.network_of(p_network);
  v_caller record;
  v_now timestamptz;
  -- Two videos of the cheapest model.
  v_credits constant bigint := 10;
  v_outcome jsonb;
begin
  v_caller := accounts.admit(p_user_id, p_session_id => p_session_id);
  if v_caller.refusal is null then
    v_caller := accounts.lock(p_user_id);
  end if;
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  delete from devices.lanes as l where l.network = v_network and l.holder = p_lane;
  v_now := core.now();
  update devices.intents as i set granted_at = v_now
  where i.granted_at is null and i.lane = (
    select o.lane from devices.intents as o
    where o.user_id = p_user_id and o.network = v_network and o.granted_at is null and o.good_until > v_now
      and (o.lane = p_lane or o.good_from <= v_now)
      and not exists (select from devices.grants as g where g.user_id = p_user_id)
    order by o.lane = p_lane desc nulls last
    limit 1
  );
  if not found or (p_app_transaction is not null and not devices.claim_grant(p_app_transaction)) then
    return guard.answer(jsonb_build_object('credits', 0, 'credits_remaining', (v_caller.account).balance));
  end if;
  insert into devices.grants (user_id, granted_at) values (p_user_id, v_now);
  v_outcome := credits.add(p_user_id, v_credits, 'grant', 'device_grant:' || p_user_id);
  return guard.answer(
    jsonb_build_object('credits', v_credits, 'credits_remaining', v_outcome -> 'credits_remaining')
  );
end;
$$;
grant execute on function api.grant_device_credits to service_role;
