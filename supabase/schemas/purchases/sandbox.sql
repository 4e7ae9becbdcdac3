create function purchases.admit_sandbox(p_owner_id uuid, p_credits bigint, out refusal jsonb)
language plpgsql
volatile
set search_path = ''
as $$
-- Whether so many credits more of the sandbox may be given to a user, by `sandbox_credits`, and to all, by
-- `sandbox_credits_global`; `refusal` is null where they may. Counted from the purchases that were credited: the caller
-- writes its own before the transaction ends, so no window has one too many. What never fits may be asked again after a
-- whole window. A policy without its row is broken, and admits nothing. Locks: the policies' rows, until the
-- transaction ends.
declare
  v_policy guard.policies;
  v_now timestamptz;
  v_given bigint;
  v_missing bigint;
  v_retry_after integer;
  v_policies integer := 0;
begin
  for v_policy in
    select p.* from guard.policies as p
    where p.name in ('sandbox_credits', 'sandbox_credits_global')
    order by p.name
    for no key update
  loop
    v_policies := v_policies + 1;
    continue when refusal is not null;
    v_now := core.now();
    select coalesce(sum(t.credits), 0) into v_given
    from purchases.transactions as t
    where t.environment = 'sandbox' and t.credited_at > v_now - v_policy.window_length
      and (v_policy.scope = 'global' or t.owner_id = p_owner_id);
    v_missing := v_given + p_credits - v_policy.admits;
    continue when v_missing <= 0;
    select ceil(date_part('epoch', min(g.credited_at) + v_policy.window_length - v_now)) into v_retry_after
    from (
      select t.credited_at, sum(t.credits) over (order by t.credited_at, t.id) as credits
      from purchases.transactions as t
      where t.environment = 'sandbox' and t.credited_at > v_now - v_policy.window_length
        and (v_policy.scope = 'global' or t.owner_id = p_owner_id)
    ) as g
    where g.credits >= v_missing;
    refusal := guard.refusal('limit/rate-exceeded', jsonb_build_object(
      'policy', v_policy.name, 'retry_after', greatest(1, coalesce(v_retry_after, v_policy.window_seconds))
    ));
  end loop;
  if v_policies < 2 then
    raise warning 'a policy of the sandbox is missing';
    refusal := guard.refusal('database/unavailable');
  end if;
end;
$$;
