create function api.get_purchases(p_user_id uuid, p_limit integer, p_after jsonb default null, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of what the caller bought and was credited for, newest first, with their subscription: `data` is `{ purchases,
-- subscription, next }`. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'purchased_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_purchases jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'purchases', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select coalesce(jsonb_agg(p.purchase order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(p.position order by p.place) -> p_limit - 1 end
  into v_purchases, v_next
  from (
    select row_number() over (order by t.purchased_at desc, t.id desc) as place,
      jsonb_build_object('purchased_at', t.purchased_at, 'id', t.id) as position, purchases.transaction_json(t) as purchase
    from purchases.transactions as t
    where t.owner_id = p_user_id and t.credited_at is not null and (t.purchased_at, t.id) < (v_before, v_before_id)
    order by t.purchased_at desc, t.id desc
    limit p_limit + 1
  ) as p;
  return guard.answer(
    jsonb_build_object(
      'purchases', v_purchases, 'subscription', purchases.subscription_of(p_user_id), 'next', v_next
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_purchases to service_role;

create function api.post_purchases(p_user_id uuid, p_transaction jsonb, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Credits a verified transaction to whose it is, as purchases.settle does. `data`: `{ transaction_id, product_id, status,
-- credits_added, credits_remaining, expires_at }`, where `status` is `credited` for the call that did it, and
-- `already_credited` after that. purchase/not-verified with a `reason` where the caller is not credited,
-- limit/rate-exceeded beyond what the sandbox may have in a day, feature/switched-off while purchases are; it is stored all
-- the same, and credited by itself when what it waits for is there. Counts against `purchases`.
-- Locks: rate-limit row → as purchases.settle.
declare
  v_caller record;
  v_settled record;
  v_transaction purchases.transactions;
  v_refusal jsonb;
  v_reason text;
begin
  v_caller := guard.enter(p_user_id, 'purchases', '{purchases}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select * into v_settled
  from purchases.settle(jsonb_populate_record(null::purchases.transactions, p_transaction), p_user_id);
  v_transaction := v_settled.settled;

  -- It waited for locks, and the account may have been closed meanwhile, or its user suspended.
  v_refusal := (accounts.admit(p_user_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  v_reason := case
    when v_transaction.reason = 'family_shared' then 'family_shared'
    when v_transaction.owner_id is distinct from p_user_id then 'other_account'
    when v_transaction.revoked_share = 100000 then 'revoked'
    when v_transaction.reason is not null then v_transaction.reason::text
  end;
  if v_reason = 'sandbox_limit' then
    v_refusal := coalesce(v_settled.refusal, guard.refusal('database/unavailable'));
  elsif v_reason = 'switched_off' then
    v_refusal := guard.refusal('feature/switched-off', '{"feature": "purchases"}');
  elsif v_reason is not null then
    v_refusal := guard.refusal('purchase/not-verified', jsonb_build_object('reason', v_reason));
  end if;
  if v_refusal is not null then
    return guard.in_language(v_refusal || jsonb_build_object('limits', v_caller.limits), v_caller.language);
  end if;
  return guard.answer(
    jsonb_build_object(
      'transaction_id', v_transaction.transaction_id, 'product_id', v_transaction.product_id,
      'status', case when v_settled.is_new then 'credited' else 'already_credited' end,
      'credits_added', purchases.added_by(v_transaction), 'credits_remaining', (credits.lock_account(p_user_id)).balance,
      'expires_at', core.to_iso(v_transaction.expires_at)
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.post_purchases to service_role;
