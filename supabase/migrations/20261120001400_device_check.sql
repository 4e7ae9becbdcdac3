-- The procedures behind device-check. Apple keeps two bits for a device and offers no test-and-set, and a token
-- says nothing that we could lock on. So grants of one client network go one at a time, through a lane.

create table guard.device_grants (
  user_id uuid primary key,
  network text not null,
  -- Written before the device's bit is set: whoever finds the bit set and their own intent is granted.
  intended_at timestamptz not null,
  -- The holder of the lane that it was made in, until another check relies on it.
  lane uuid,
  granted_at timestamptz
);
create unique index device_grants_lane on guard.device_grants (lane) where granted_at is null;
alter table guard.device_grants enable row level security;
revoke all on guard.device_grants from anon, authenticated, service_role;
comment on table guard.device_grants is 'Who meant to get a device''s credits, and who got them.';

create table guard.device_lanes (
  network text primary key,
  holder uuid not null,
  leased_until timestamptz not null
);
alter table guard.device_lanes enable row level security;
revoke all on guard.device_lanes from anon, authenticated, service_role;
comment on table guard.device_lanes is 'One device check of a network at a time is in its critical section.';

create function public.begin_device_check(p_user_id uuid, p_network text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Limits, and what is known. `data`: `{ user_id, credits_remaining, is_new, has_intent, is_granted }`.
declare
  v_caller record;
  v_grant guard.device_grants;
begin
  select * into v_caller from guard.enter(p_user_id, 'device-check', '{device_check,device_check_network}', p_network);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select g.* into v_grant from guard.device_grants as g where g.user_id = p_user_id;
  return guard.answer(
    jsonb_build_object(
      'user_id', p_user_id, 'credits_remaining', (credits.lock_account(p_user_id)).balance,
      'is_new', v_caller.is_new, 'has_intent', v_grant.user_id is not null, 'is_granted', v_grant.granted_at is not null
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;

revoke all on function public.begin_device_check(uuid, text) from public, anon, authenticated;
grant execute on function public.begin_device_check(uuid, text) to service_role;
comment on function public.begin_device_check(uuid, text) is 'The first call of POST device-check.';

create function guard.take_waiting_place(p_network text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether there is a place to wait for a lane, which is then this transaction's until its end. Whoever waits holds one
-- of the Data API's connections, PostgREST's 10 being everybody's, so no more than 4 wait at a time, 2 of one network.
begin
  for v_place in 1..2 loop
    if pg_try_advisory_xact_lock(hashtextextended(format('guard.device_lanes %s %s', v_place, p_network), 0)) then
      for v_place_of_all in 1..4 loop
        if pg_try_advisory_xact_lock(hashtextextended(format('guard.device_lanes %s', v_place_of_all), 0)) then
          return true;
        end if;
      end loop;
      return false;
    end if;
  end loop;
  return false;
end;
$$;

revoke all on function guard.take_waiting_place(text) from public, anon, authenticated, service_role;
comment on function guard.take_waiting_place(text) is 'So that device checks that wait leave connections to everybody else.';

create function public.enter_device_lane(p_network text)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Enters the lane of a network for 10 seconds, waiting up to 2 for it. `data`: `{ lane }`, the holder's id, or null
-- where another check keeps it, or as many wait as may. Between tries only the place of who waits is locked.
declare
  v_give_up_at constant timestamptz := clock_timestamp() + interval '2 seconds';
  v_holder constant uuid := gen_random_uuid();
  v_may_wait boolean;
begin
  loop
    begin
      insert into guard.device_lanes as l (network, holder, leased_until)
      values (coalesce(p_network, 'unknown'), v_holder, ops.now() + interval '10 seconds')
      on conflict (network) do update
        set holder = excluded.holder, leased_until = excluded.leased_until
        where l.leased_until <= ops.now();
      if found then
        return guard.answer(jsonb_build_object('lane', v_holder));
      end if;
      -- The conflict has locked the row, and the holder could not leave: an exception lets go of it.
      raise exception 'the lane is taken' using errcode = 'lock_not_available';
    exception
      when lock_not_available then
        null;
    end;
    v_may_wait := coalesce(v_may_wait, guard.take_waiting_place(coalesce(p_network, 'unknown')));
    if not v_may_wait or clock_timestamp() >= v_give_up_at then
      return guard.answer('{"lane": null}');
    end if;
    perform pg_sleep(0.05);
  end loop;
end;
$$;

revoke all on function public.enter_device_lane(text) from public, anon, authenticated;
grant execute on function public.enter_device_lane(text) to service_role;
comment on function public.enter_device_lane(text) is 'Begins the critical section of a device check.';

create function public.leave_device_lane(p_network text, p_lane uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Leaves the lane by whoever knows that they have set no bit: an intent that was made in it goes too, or any bit that is
-- set would be good for it. `data`: `{ left }`; false where the lease was already another's.
begin
  delete from guard.device_grants as g where g.lane = p_lane and g.granted_at is null;
  delete from guard.device_lanes as l where l.network = coalesce(p_network, 'unknown') and l.holder = p_lane;
  return guard.answer(jsonb_build_object('left', found));
end;
$$;

revoke all on function public.leave_device_lane(text, uuid) from public, anon, authenticated;
grant execute on function public.leave_device_lane(text, uuid) to service_role;
comment on function public.leave_device_lane(text, uuid) is 'Ends the critical section early.';

create function public.record_device_intent(p_user_id uuid, p_network text, p_lane uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The last step before the device's bit is set. `data`: `{ recorded }`: false where the lane is no longer ours, or
-- the network has had its grants of the day; then the bit must stay as it is. An intent that is there from an
-- earlier check takes no grant of the day again. Locks: lane → rate-limit row.
declare
  v_taken jsonb;
begin
  perform from guard.device_lanes as l
  where l.network = coalesce(p_network, 'unknown') and l.holder = p_lane and l.leased_until > ops.now()
  for update;
  if not found then
    return guard.answer('{"recorded": false}');
  end if;
  update guard.device_grants as g set lane = null where g.user_id = p_user_id;
  if found then
    return guard.answer('{"recorded": true}');
  end if;
  v_taken := guard.take('{device_grants}', p_user_id, p_network, 'device-check');
  if v_taken ? 'refusal' then
    return guard.answer('{"recorded": false}', v_taken -> 'limits');
  end if;
  insert into guard.device_grants (user_id, network, intended_at, lane)
  values (p_user_id, coalesce(p_network, 'unknown'), ops.now(), p_lane)
  -- The same account's check from another network was a moment earlier; its intent serves both.
  on conflict (user_id) do update set lane = null;
  return guard.answer('{"recorded": true}', v_taken -> 'limits');
end;
$$;

revoke all on function public.record_device_intent(uuid, text, uuid) from public, anon, authenticated;
grant execute on function public.record_device_intent(uuid, text, uuid) to service_role;
comment on function public.record_device_intent(uuid, text, uuid) is 'Writes down who the device''s bit is set for.';

create function public.grant_device_credits(p_user_id uuid, p_network text, p_lane uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Grants the 10 credits of a device whose bit is set for this user, and leaves the lane, if there is one. `data`:
-- `{ credits, credits_remaining }`, `credits` being what this call granted: a second call grants 0, and so does one
-- without an intent, or with one that was taken along meanwhile. Locks: account → lots.
declare
  v_caller record;
  v_account credits.accounts;
  -- Two videos of the cheapest model.
  v_credits constant bigint := 10;
  v_outcome jsonb;
begin
  select * into v_caller from guard.admit_user(p_user_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  delete from guard.device_lanes as l where l.network = coalesce(p_network, 'unknown') and l.holder = p_lane;
  v_account := credits.lock_account(p_user_id);
  update guard.device_grants as g set granted_at = ops.now() where g.user_id = p_user_id and g.granted_at is null;
  if not found then
    return guard.answer(jsonb_build_object('credits', 0, 'credits_remaining', v_account.balance));
  end if;
  v_outcome := credits.add(p_user_id, v_credits, 'grant', 'device_grant:' || p_user_id);
  return guard.answer(
    jsonb_build_object('credits', v_credits, 'credits_remaining', v_outcome -> 'credits_remaining')
  );
end;
$$;

revoke all on function public.grant_device_credits(uuid, text, uuid) from public, anon, authenticated;
grant execute on function public.grant_device_credits(uuid, text, uuid) to service_role;
comment on function public.grant_device_credits(uuid, text, uuid) is 'The last call of POST device-check.';

create function guard.sweep_device_lanes()
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Deletes lanes by the rule `device_lanes`, counted from the end of the lease, and returns how many. A lane is reused
-- without it.
declare
  v_rule constant record := ops.retention('device_lanes');
  v_deleted integer;
begin
  delete from guard.device_lanes as l
  using (
    select d.network from guard.device_lanes as d where d.leased_until <= v_rule.before limit v_rule.batch for update skip locked
  ) as due
  where l.network = due.network and l.leased_until <= v_rule.before;
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;

revoke all on function guard.sweep_device_lanes() from public, anon, authenticated, service_role;
comment on function guard.sweep_device_lanes() is 'Scheduled: forgets networks that nobody checks from.';

insert into ops.scheduled_tasks (name, procedure, every)
values ('sweep_device_lanes', 'guard.sweep_device_lanes', interval '1 hour');
