create function purchases.settle(
  p_told purchases.transactions, p_presenter uuid, p_renewal jsonb default null,
  out settled purchases.transactions, out is_new boolean, out refusal jsonb
)
language plpgsql
volatile
set search_path = ''
as $$
-- Does what a transaction, as Apple has signed it, means: it is stored, credited once to its owner, and so much is taken
-- back as Apple says. What was signed later is true, whenever it comes, so that what becomes of a purchase depends on what
-- Apple said, and not on the order in which it came. A period also says what becomes of the others of its subscription:
-- those that it ended, and those that waited for an owner. `is_new`: this call credited it. `refusal`: why the sandbox'
-- limits did not let it. A second call with the same, or with something older, changes nothing.
-- Locks: the purchase, by its original transaction → accounts → transactions → policies → lots.
declare
  v_is_period constant boolean := (p_told).kind = 'subscription';
  v_owner_id uuid;
  v_reason purchases.uncredited_reason;
  v_done record;
  v_other purchases.transactions;
begin
  -- Nobody else decides whose it is meanwhile. Of two numbers, as in ops.take_credits; 2 is purchases.
  perform pg_advisory_xact_lock(2, hashtext((p_told).environment::text || ' ' || (p_told).original_transaction_id));
  if v_is_period then
    select o.owner_id, o.reason into v_owner_id, v_reason from purchases.subscribe(p_told, p_presenter) as o;
    -- The accounts that may be touched: those of the owners of its periods, also of the one that is told of, which stays its
    -- owner's when somebody else restores the subscription. And the presenter's, who may become somebody else meanwhile.
    perform accounts.lock_all(array[v_owner_id, p_presenter] || (
      select array_agg(t.owner_id)
      from purchases.transactions as t
      where t.environment = (p_told).environment and t.original_transaction_id = (p_told).original_transaction_id
    ));
    -- After that: who merges has the accounts, and then moves its row.
    perform purchases.note_renewal(p_renewal);
    if accounts.heir_of(v_owner_id) <> v_owner_id then
      -- They have become somebody else while this waited.
      v_owner_id := accounts.heir_of(v_owner_id);
      perform purchases.move_subscription(p_told, v_owner_id);
    end if;
  else
    select t.owner_id into v_owner_id
    from purchases.transactions as t
    where t.environment = (p_told).environment and t.transaction_id = (p_told).transaction_id;
    if v_owner_id is null then
      select f.owner_id, f.reason into v_owner_id, v_reason from purchases.find_owner(p_told, p_presenter) as f;
    end if;
  end if;
  select s.* into v_done from purchases.settle_one(p_told, v_owner_id, v_reason) as s;
  settled := v_done.settled;
  is_new := v_done.is_new;
  refusal := v_done.refusal;
  if v_is_period then
    for v_other in
      select t.* from purchases.other_periods(p_told) as t
      where (t.credited_at is not null and tstzrange(t.purchased_at, t.expires_at) && tstzrange(settled.purchased_at, settled.expires_at))
        or (t.credited_at is null and v_owner_id is not null and t.owner_id is distinct from v_owner_id)
      order by t.purchased_at, t.id
    loop
      perform purchases.settle_one(v_other, v_owner_id, v_reason);
    end loop;
    perform purchases.restore_from_guest(p_told, p_presenter);
  end if;
end;
$$;

create function purchases.settle_one(
  p_told purchases.transactions, p_owner_id uuid, p_reason purchases.uncredited_reason,
  out settled purchases.transactions, out is_new boolean, out refusal jsonb
)
language plpgsql
volatile
set search_path = ''
as $$
-- purchases.settle for one transaction, whose owner would be p_owner_id, or nobody for p_reason. What was credited stays its
-- owner's; of a closed account's, no word about the person is kept. The caller has locked the purchase. Locks: account →
-- transaction → policies → lots.
declare
  v_owner_id uuid := p_owner_id;
  v_reason purchases.uncredited_reason := p_reason;
  v_product purchases.products;
  v_credits bigint;
  v_now timestamptz;
begin
  is_new := false;
  if v_owner_id is not null then
    -- They may have become somebody else while this waited.
    v_owner_id := (credits.lock_account(v_owner_id)).owner_id;
  end if;
  v_now := core.now();

  insert into purchases.transactions as t (
    environment, transaction_id, original_transaction_id, product_id, kind, quantity, app_account_token, purchased_at,
    expires_at, signed_at, revoked_at, revocation_reason, revocation_type, revocation_percentage, is_family_shared,
    is_upgraded, is_free_trial, is_renewal, price_milliunits, currency, app_transaction_id, owner_id, reason, created_at
  )
  values (
    (p_told).environment, (p_told).transaction_id, (p_told).original_transaction_id, (p_told).product_id, (p_told).kind,
    (p_told).quantity, (p_told).app_account_token, (p_told).purchased_at, (p_told).expires_at, (p_told).signed_at,
    (p_told).revoked_at, (p_told).revocation_reason, (p_told).revocation_type, (p_told).revocation_percentage,
    (p_told).is_family_shared, (p_told).is_upgraded, (p_told).is_free_trial, coalesce((p_told).is_renewal, false),
    (p_told).price_milliunits, (p_told).currency, (p_told).app_transaction_id, v_owner_id, coalesce(v_reason, 'unclaimed'), v_now
  )
  on conflict (environment, transaction_id) do update
    set signed_at = excluded.signed_at, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at,
        revocation_reason = excluded.revocation_reason, revocation_type = excluded.revocation_type,
        revocation_percentage = excluded.revocation_percentage, is_upgraded = excluded.is_upgraded
    -- Of two that were signed in the same moment, the one that takes more: any rule will do that does not ask which came
    -- first.
    where (t.signed_at, t.revoked_share) < (excluded.signed_at, excluded.revoked_share);
  select t.* into strict settled
  from purchases.transactions as t
  where t.environment = (p_told).environment and t.transaction_id = (p_told).transaction_id
  for update;
  if (p_told).grace_until > coalesce(settled.grace_until, '-infinity') then
    update purchases.transactions as t set grace_until = (p_told).grace_until where t.id = settled.id returning t.* into settled;
  end if;

  if settled.credited_at is null then
    v_reason := coalesce(v_reason, purchases.reason_not_to_credit(settled, v_owner_id, v_now));
    if v_reason is null then
      select p.* into strict v_product from purchases.products as p where p.product_id = settled.product_id;
      v_credits := purchases.credits_of(settled, v_product, v_owner_id);
      if settled.environment = 'sandbox' and v_credits > 0 then
        refusal := purchases.admit_sandbox(v_owner_id, v_credits);
      end if;
      if refusal is not null then
        v_reason := 'sandbox_limit';
      end if;
    end if;
    if v_reason is not null then
      update purchases.transactions as t
      set owner_id = v_owner_id, reason = v_reason,
          -- Its erasure may have been, and no other comes. Where it is nobody's, the token alone says whose it would have been.
          app_transaction_id = case when v_reason <> 'closed_account' then t.app_transaction_id end,
          app_account_token = case when v_reason <> 'closed_account' or v_owner_id is null then t.app_account_token end,
          -- Ten minutes where the limiter is broken, which only the operator can mend.
          retry_at = case when refusal is not null
            then v_now + make_interval(secs => coalesce((refusal #>> '{details,retry_after}')::integer, 600)) end
      where t.id = settled.id
      returning t.* into settled;
    else
      if v_credits > 0 then
        settled.transfer_id := credits.add(
          v_owner_id, v_credits, 'purchase', format('purchase:%s:%s', settled.environment, settled.transaction_id),
          purchases.credits_expire_at(settled), null, settled.environment = 'sandbox'
        ) ->> 'transfer_id';
      end if;
      is_new := true;
      update purchases.transactions as t
      set owner_id = v_owner_id, credits = v_credits, credited_at = v_now, transfer_id = settled.transfer_id, reason = null,
          retry_at = null,
          -- It was withheld while its owner's account was closed, and somebody has restored it.
          app_transaction_id = coalesce(t.app_transaction_id, (p_told).app_transaction_id)
      where t.id = settled.id
      returning t.* into settled;
    end if;
  end if;

  if settled.transfer_id is not null then
    -- Of what had to wait, Apple may have put off the end meanwhile.
    if not is_new and settled.kind = 'subscription' then
      perform credits.extend(settled.transfer_id, purchases.credits_expire_at(settled));
    end if;
    if settled.kind = 'subscription' or not (is_new and settled.revoked_share = 0) then
      perform credits.reverse_to(settled.transfer_id, purchases.to_take_back(settled));
    end if;
  end if;
  perform purchases.alert(settled.reason, settled.product_id, settled.environment);
end;
$$;

create function purchases.reason_not_to_credit(
  p_transaction purchases.transactions, p_owner_id uuid, p_now timestamptz
)
returns purchases.uncredited_reason
language plpgsql
volatile
set search_path = ''
as $$
-- Why a transaction cannot be credited to its owner, whose account is locked; null where it can be, as far as this knows.
begin
  if purchases.is_closed(p_owner_id) then
    return 'closed_account';
  elsif (p_transaction).revoked_share = 100000 then
    return 'revoked';
  elsif purchases.credits_expire_at(p_transaction) <= p_now then
    return 'expired';
  elsif not ops.is_enabled('purchases') then
    return 'switched_off';
  elsif not exists (
    select from purchases.products as p
    where p.product_id = (p_transaction).product_id and p.kind::text = (p_transaction).kind
  ) then
    return 'unknown_product';
  elsif (p_transaction).environment = 'sandbox' and not ops.is_enabled('sandbox_purchases') then
    return 'wrong_environment';
  end if;
  return null;
end;
$$;

create function purchases.alert(
  p_reason purchases.uncredited_reason, p_product_id text, p_environment purchases.environment
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells the operator of what only they can mend; of other reasons, nothing. Locks: the alert.
begin
  if p_reason in ('unknown_product', 'wrong_environment', 'sandbox_limit', 'unknown_account', 'closed_account') then
    perform ops.raise_alert('purchase_' || p_reason, p_product_id, jsonb_build_object('environment', p_environment));
  end if;
end;
$$;

create function purchases.mended(p_limit integer)
returns setof uuid
language plpgsql
stable
set search_path = ''
as $$
-- Transactions that wait for something that is there now, up to p_limit, by their reasons. What waits for a switch that is off,
-- or for a product that is not there, is passed over in the index, however much it is.
declare
  v_now constant timestamptz := core.now();
  -- Both as values, by which the planner knows how few rows they are.
  v_product_ids constant text[] := array(select p.product_id from purchases.products as p);
  v_reasons constant purchases.uncredited_reason[] := case
    when ops.is_enabled('sandbox_purchases') then '{switched_off,wrong_environment}' else '{switched_off}'
  end;
begin
  if not ops.is_enabled('purchases') then
    return;
  end if;
  return query
  select m.id
  from (
    select t.id
    from purchases.transactions as t
    where t.reason in ('unknown_product', 'wrong_environment', 'sandbox_limit', 'switched_off') and t.reason = any (v_reasons)
    union all
    select t.id from purchases.transactions as t where t.reason = 'sandbox_limit' and t.retry_at <= v_now
    union all
    select t.id
    from purchases.transactions as t
    where t.reason = 'unknown_product' and t.product_id = any (v_product_ids)
      and exists (select from purchases.products as p where p.product_id = t.product_id and p.kind::text = t.kind)
  ) as m
  limit p_limit;
end;
$$;

-- Up to p_limit purchases that wait for their product, as the operator sees them: the oldest of each product and kind, then
-- the next of each, so that one that many have bought hides no other.
create function purchases.waiting_for_product(p_limit integer)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'transaction_id', w.transaction_id, 'environment', w.environment, 'product_id', w.product_id, 'kind', w.kind,
    'quantity', w.quantity, 'user_id', w.owner_id, 'purchased_at', core.to_iso(w.purchased_at)
  ) order by w.number, w.purchased_at, w.id), '[]')
  from (
    select t.*, row_number() over (partition by t.product_id, t.kind order by t.purchased_at, t.id) as number
    from purchases.transactions as t
    where t.reason = 'unknown_product'
    order by number, t.purchased_at, t.id
    limit p_limit
  ) as w
$$;

create function purchases.settle_mended(p_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `credit_purchases`: tries a transaction again as Apple signed it last. A second call finds it credited.
-- Locks: as purchases.settle.
declare
  v_transaction purchases.transactions;
begin
  select t.* into strict v_transaction from purchases.transactions as t where t.id = p_id;
  perform purchases.settle(v_transaction, null);
end;
$$;

create function purchases.alert_waiting()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `alert_purchases`: as long as a purchase waits for the operator, its alert stays open. Locks: alerts.
declare
  v_waiting record;
begin
  for v_waiting in
    select distinct t.reason, t.product_id, t.environment
    from purchases.transactions as t
    where t.reason in ('unknown_product', 'wrong_environment', 'sandbox_limit', 'switched_off')
    order by t.reason, t.product_id
    limit 100
  loop
    perform purchases.alert(v_waiting.reason, v_waiting.product_id, v_waiting.environment);
  end loop;
end;
$$;
