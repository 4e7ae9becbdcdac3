create view ops.purchases with (security_invoker = true) as
select t.user_id, t.transaction_id, t.environment, t.product_id, t.quantity, t.purchased_at,
  t.price_milliunits / 1000.0 as price, t.currency,
  -- `credited`, or why not.
  coalesce(t.reason::text, 'credited') as state, t.credits, t.credited_at,
  t.revoked_at, t.revoked_share / 1000.0 as revoked_percent,
  (select coalesce(sum(r.amount), 0) from credits.reversals_of(t.transfer_id) as r) as credits_taken_back,
  t.retry_at, t.signed_at as heard_of_it_as_of,
  (
    select jsonb_agg(jsonb_build_object(
      'type', n.type, 'signed_at', n.signed_at, 'handled_at', n.handled_at, 'answered_at', n.answered_at
    ) order by n.signed_at)
    from purchases.notifications as n
    where n.environment = t.environment and n.transaction_id = t.transaction_id
  ) as notifications,
  t.original_transaction_id, t.app_account_token
-- Apart, so that one user's are found by an index.
from (
  select t.owner_id as user_id, t.* from purchases.transactions as t where t.owner_id is not null
  union all
  -- Who is named, where nobody has it.
  select u.id, t.*
  from purchases.transactions as t
  left join accounts.users as u on u.app_account_token = t.app_account_token
  where t.owner_id is null
) as t;
comment on view ops.purchases is
  'Every store transaction that we heard of, whose it is, and what became of it. Ask by user_id or transaction_id.';

create view ops.sales with (security_invoker = true) as
select (t.purchased_at at time zone 'UTC')::date as day, t.product_id, t.currency, count(*) as purchases,
  sum(t.quantity) as units, sum(t.credits) as credits, sum(t.price_milliunits) / 1000.0 as sold,
  round(sum(t.price_milliunits * t.revoked_share / 100000.0) / 1000, 2) as refunded
from purchases.transactions as t
where t.environment = 'production'
group by (t.purchased_at at time zone 'UTC')::date, t.product_id, t.currency;
comment on view ops.sales is
  'What customers paid and got back, by the day of the purchase: money, as far as Apple tells. The sandbox has no part in it.';

create view ops.subscriptions with (security_invoker = true) as
select s.owner_id as user_id, u.id as named_user_id, s.original_transaction_id, p.transaction_id, s.environment, p.product_id,
  purchases.status_at(s, p, core.now()) as status, s.is_auto_renewing, s.grace_period_expires_at, p.purchased_at, p.expires_at,
  -- Of the latest period: `credited`, or why not, and to whom.
  coalesce(p.reason::text, 'credited') as state, p.owner_id as credited_to, p.credits,
  (select coalesce(sum(r.amount), 0) from credits.reversals_of(p.transfer_id) as r) as credits_taken_back,
  (select coalesce(sum(e.captured), 0) from credits.use_of(p.transfer_id) as e) as credits_used,
  coalesce((
    select sum(l.remaining) from credits.transfers as t
    cross join lateral credits.lots_of(t.draws[1].lot_id) as l
    where t.id = p.transfer_id
  ), 0) as credits_left,
  credits.owed(s.owner_id) as owed, s.moved_at
from purchases.subscriptions as s
cross join lateral purchases.latest_period(s) as p
left join accounts.users as u on u.app_account_token = p.app_account_token;
comment on view ops.subscriptions is
  'Every subscription with its latest period: whose it is, how it stands, and where the period''s credits are.';
