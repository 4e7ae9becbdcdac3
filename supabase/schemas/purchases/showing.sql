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
  'credits_added', (p_transaction).credits, 'purchased_at', core.to_iso((p_transaction).purchased_at),
  'expires_at', core.to_iso((p_transaction).expires_at)
);

create function purchases.subscription_of(p_owner_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- A user's subscription as the API shows it, the one that serves them best if they have several; null where they never had
  -- one. What Apple said about the renewal counts until there is a period that it did not know of.
  select jsonb_build_object(
    'product_id', s.product_id, 'status', s.status,
    'renews_at', case when s.status = 'active' and s.is_auto_renewing then core.to_iso(s.expires_at) end,
    'expires_at', core.to_iso(case when s.status = 'in_grace' then s.grace_period_expires_at else s.expires_at end)
  )
  from (
    select p.product_id, p.expires_at, s.grace_period_expires_at,
      p.purchased_at > s.renewal_signed_at or s.is_auto_renewing is not false as is_auto_renewing,
      (case
        when p.revoked_at is not null then 'revoked'
        when p.expires_at > n.now then 'active'
        when p.purchased_at > s.renewal_signed_at then 'expired'
        when s.grace_period_expires_at > n.now then 'in_grace'
        when s.is_in_billing_retry then 'in_billing_retry'
        else 'expired'
      end)::purchases.subscription_status as status
    from (select core.now() as now) as n
    cross join purchases.subscriptions as s
    cross join lateral (
      select t.*
      from purchases.transactions as t
      where t.environment = s.environment and t.original_transaction_id = s.original_transaction_id
        and t.kind = 'subscription' and not t.is_family_shared
      order by t.purchased_at desc, t.transaction_id collate "C" desc
      limit 1
    ) as p
    where s.owner_id = p_owner_id
  ) as s
  order by s.status, s.expires_at desc
  limit 1
$$;
