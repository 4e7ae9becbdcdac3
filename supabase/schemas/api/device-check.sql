create function api.begin_device_check(p_user_id uuid, p_network text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Limits, and what is known. `data`: `{ user_id, credits_remaining, is_new, has_intent, is_granted }`.
-- Locks: rate-limit rows → account → expired lots.
declare
  v_caller record;
  v_grant devices.grants;
begin
  select * into v_caller
  from guard.enter(p_user_id, 'device-check', '{device_check,device_check_network}', p_network, p_locks => true);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select g.* into v_grant from devices.grants as g where g.user_id = p_user_id;
  return guard.answer(
    jsonb_build_object(
      'user_id', p_user_id, 'credits_remaining', v_caller.balance,
      'is_new', v_caller.is_new, 'has_intent', v_grant.user_id is not null, 'is_granted', v_grant.granted_at is not null
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
-- Enters the lane of a network for 10 seconds. `data`: `{ lane }`, the holder's id, or null where another check has it:
-- nobody waits, since who does keeps one of the Data API's connections. Locks: the lane.
declare
  v_holder constant uuid := gen_random_uuid();
begin
  insert into devices.lanes as l (network, holder, leased_until)
  values (coalesce(p_network, 'unknown'), v_holder, core.now() + interval '10 seconds')
  on conflict (network) do update
    set holder = excluded.holder, leased_until = excluded.leased_until
    where l.leased_until <= core.now();
  return guard.answer(jsonb_build_object('lane', case when found then v_holder end));
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
-- Leaves the lane by whoever knows that they have set no bit: an intent that was made in it goes too, or any bit that
-- is set would be good for it. `data`: `{ left }`; false where the lease was already another's.
begin
  delete from devices.grants as g where g.lane = p_lane and g.granted_at is null;
  delete from devices.lanes as l where l.network = coalesce(p_network, 'unknown') and l.holder = p_lane;
  return guard.answer(jsonb_build_object('left', found));
end;
$$;
grant execute on function api.leave_device_lane to service_role;

create function api.record_device_intent(p_user_id uuid, p_network text, p_lane uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The last step before the device's bit is set. `data`: `{ recorded }`: false where the lane is no longer ours, or
-- the network has had its grants of the day; then the bit must stay as it is. An intent that is there from an
-- earlier check takes no grant of the day again. For whoever may no longer act, no bit is set.
-- Locks: account → lane → rate-limit row.
declare
  v_caller record;
  v_taken jsonb;
begin
  select * into v_caller from accounts.admit(p_user_id);
  if v_caller.refusal is null then
    select * into v_caller from accounts.lock(p_user_id);
  end if;
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  perform from devices.lanes as l
  where l.network = coalesce(p_network, 'unknown') and l.holder = p_lane and l.leased_until > core.now()
  for update;
  if not found then
    return guard.answer('{"recorded": false}');
  end if;
  update devices.grants as g set lane = null where g.user_id = p_user_id;
  if found then
    return guard.answer('{"recorded": true}');
  end if;
  v_taken := guard.take('{device_grants}', p_user_id, p_network, 'device-check');
  if v_taken ? 'refusal' then
    return guard.answer('{"recorded": false}', v_taken -> 'limits');
  end if;
  insert into devices.grants (user_id, network, intended_at, lane)
  values (p_user_id, coalesce(p_network, 'unknown'), core.now(), p_lane)
  -- The same account's check from another network was a moment earlier; its intent serves both.
  on conflict (user_id) do update set lane = null;
  return guard.answer('{"recorded": true}', v_taken -> 'limits');
end;
$$;
grant execute on function api.record_device_intent to service_role;

create function api.grant_device_credits(p_user_id uuid, p_network text, p_lane uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Grants the 10 credits of a device whose bit is set for this user, and leaves the lane, if there is one. `data`:
-- `{ credits, credits_remaining }`, `credits` being what this call granted: a second call grants 0, and so does one
-- without an intent, or with one that was taken along meanwhile. Locks: account → lane → lots.
declare
  v_caller record;
  -- Two videos of the cheapest model.
  v_credits constant bigint := 10;
  v_outcome jsonb;
begin
  select * into v_caller from accounts.admit(p_user_id);
  if v_caller.refusal is null then
    select * into v_caller from accounts.lock(p_user_id);
  end if;
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  delete from devices.lanes as l where l.network = coalesce(p_network, 'unknown') and l.holder = p_lane;
  update devices.grants as g set granted_at = core.now() where g.user_id = p_user_id and g.granted_at is null;
  if not found then
    return guard.answer(jsonb_build_object('credits', 0, 'credits_remaining', (v_caller.account).balance));
  end if;
  v_outcome := credits.add(p_user_id, v_credits, 'grant', 'device_grant:' || p_user_id);
  return guard.answer(
    jsonb_build_object('credits', v_credits, 'credits_remaining', v_outcome -> 'credits_remaining')
  );
end;
$$;
grant execute on function api.grant_device_credits to service_role;
