-- A purchase as the API shows it to its owner.
create function purchases.transaction_json(p_transaction purchases.transactions)
returns jsonb
language sql
stable
return jsonb_build_object(
  'transaction_id', (p_transaction).transaction_id, 'product_id', (p_transaction).product_id,
  'status', case
    when (p_transaction).revoked_share = 0 then case
      -- Apple gave back what was left of it.
      when (p_transaction).kind = 'subscription' and purchases.cut_at(p_transaction) is not null then 'partially_refunded'
      else 'credited'
    end
    when (p_transaction).revoked_share < 100000 then 'partially_refunded' else 'refunded'
  end,
  'credits_added', purchases.added_by(p_transaction), 'purchased_at', core.to_iso((p_transaction).purchased_at),
  'expires_at', core.to_iso((p_transaction).expires_at)
);

create function purchases.latest_period(p_subscription purchases.subscriptions)
returns setof purchases.transactions
language sql
stable
set search_path = ''
as $$
  -- One row, or none where only a member of the family has it.
  select t.*
  from purchases.transactions as t
  where t.environment = (p_subscription).environment
    and t.original_transaction_id = (p_subscription).original_transaction_id
    and t.kind = 'subscription' and not t.is_family_shared
  order by t.purchased_at desc, t.transaction_id collate "C" desc
  limit 1
$$;

-- How a subscription stands, by its latest period. What Apple said about its renewal counts until there is a period that it
-- did not know of.
create function purchases.status_at(
  p_subscription purchases.subscriptions, p_latest purchases.transactions, p_now timestamptz
)
returns purchases.subscription_status
language sql
immutable
return (case
  when (p_latest).revoked_at is not null then 'revoked'
  when (p_latest).expires_at > p_now then 'active'
  when (p_latest).purchased_at > (p_subscription).renewal_signed_at then 'expired'
  when (p_subscription).grace_period_expires_at > p_now then 'in_grace'
  when (p_subscription).is_in_billing_retry then 'in_billing_retry'
  else 'expired'
end)::purchases.subscription_status;

create function purchases.subscription_of(p_owner_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- A user's subscription as the API shows it, the one that serves them best if they have several; null where they never had
  -- one.
  select jsonb_build_object(
    'product_id', f.product_id, 'status', f.status,
    'renews_at', case when f.status = 'active' and f.is_auto_renewing then core.to_iso(f.expires_at) end,
    'expires_at', core.to_iso(case when f.status = 'in_grace' then f.grace_period_expires_at else f.expires_at end)
  )
  from (
    select p.product_id, p.expires_at, s.grace_period_expires_at, purchases.status_at(s, p, core.now()) as status,
      p.purchased_at > s.renewal_signed_at or s.is_auto_renewing is not false as is_auto_renewing
    from purchases.subscriptions as s
    cross join lateral purchases.latest_period(s) as p
    where s.owner_id = p_owner_id
  ) as f
  order by f.status, f.expires_at desc
  limit 1
$$;
