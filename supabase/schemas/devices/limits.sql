-- The network that grants are counted under: an IPv4 address, or the /48 of an IPv6 network, which is what a provider
-- gives a customer who asks. Who has none shares one with all who have none.
create function devices.network_of(p_network text)
returns text
language sql
immutable
return case
  when p_network is null then 'unknown'
  when p_network like '%:%' then network(set_masklen(p_network::inet, 48))::text
  else p_network
end;

create function devices.admit_intent(
  p_network text, p_is_proved boolean, out reason text, out retry_after integer, out limits jsonb
)
language plpgsql
volatile
set search_path = ''
as $$
-- Whether one more intent is admitted by `device_grants`, in its network, and by `device_grants_global`, over all.
-- `reason` and `retry_after`, in seconds, are null where it is. A policy without a row is broken, and admits nothing.
-- Grants count for the window from when they were made; an intent that may still become one counts until then. So no
-- window has one grant too many: the last of its intents saw all the others. `limits` are the network's alone; what
-- happens elsewhere is nobody's to see. Who has proved their Apple Account (p_is_proved) is bounded by that, and not by the
-- network, whose address a carrier may give to thousands. Locks: the policies' rows, until the transaction ends.
declare
  -- An intent counts a little longer than it is good, so that one that is just being granted is not overlooked.
  v_margin constant interval := interval '1 minute';
  v_policy guard.policies;
  v_now timestamptz;
  -- When each that counts will count no more, the soonest first.
  v_ends timestamptz[];
  v_used integer;
  v_policies integer := 0;
begin
  limits := '[]';
  for v_policy in
    select p.* from guard.policies as p
    where p.name in ('device_grants', 'device_grants_global') and p.counts = 'grants'
    order by p.name
    for no key update
  loop
    v_policies := v_policies + 1;
    continue when p_is_proved and v_policy.scope = 'network';
    v_now := core.now();
    select coalesce(array_agg(c.ends_at order by c.ends_at), '{}') into v_ends
    from (
      select coalesce(i.granted_at + v_policy.window_length, i.good_until + v_margin) as ends_at
      from (
        -- Apart, so that each is found by its index.
        select n.granted_at, n.good_until from devices.intents as n
        where v_policy.scope = 'network' and n.network = p_network
          and n.good_until > v_now - v_policy.window_length - v_margin
        union all
        select g.granted_at, g.good_until from devices.intents as g
        where v_policy.scope = 'global' and g.good_until > v_now - v_policy.window_length - v_margin
      ) as i
    ) as c
    where c.ends_at > v_now;
    v_used := cardinality(v_ends);
    if v_used >= v_policy.admits then
      reason := 'network_limit';
      -- There is room when the soonest ends, or a later one where the operator lowered the limit.
      retry_after := greatest(
        retry_after, ceil(date_part('epoch', v_ends[v_used - v_policy.admits + 1] - v_now))::integer
      );
    else
      v_ends := v_ends || v_now + v_policy.window_length;
      v_used := v_used + 1;
    end if;
    if v_policy.name = 'device_grants' then
      limits := jsonb_build_array(jsonb_build_object(
        'policy', v_policy.name, 'allowed', reason is null, 'current', v_used, 'limit', v_policy.admits,
        'window', v_policy.window_seconds, 'remaining', greatest(0, v_policy.admits - v_used),
        'reset', coalesce(retry_after, ceil(date_part('epoch', v_ends[1] - v_now))::integer)
      ));
    end if;
  end loop;
  if v_policies < 2 then
    raise warning 'a policy of device grants is missing';
    reason := 'busy';
    -- Only the operator can mend it. An account checks ten times an hour: whoever comes every six minutes is admitted.
    retry_after := 360;
  end if;
end;
$$;
